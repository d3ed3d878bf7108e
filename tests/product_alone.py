"""Checks the product's wheel in an environment without the emulators: `make product-alone` runs it.

Not a pytest module: the environment has the run lock and setuptools, and no test tools.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_IMPORT = """
import importlib, os, pkgutil, ml
os.environ["AWS_DEFAULT_REGION"] = "eu-west-1"  # the SageMaker SDK makes a client when it is imported
for module in pkgutil.walk_packages(ml.__path__, "ml."):
    if not module.name.startswith(("ml.playground", "ml.spark.job", "ml.spark.spark_cluster")):
        importlib.import_module(module.name)
        print(module.name)
"""
"""Imports every module but the playground's and those that run on Spark only, whose image has pyspark.

The verbs import theirs when they run, so --help would not show a gap.
"""
_ROLE = "arn:aws:iam::111122223333:role/execution"


def verbs() -> set[str]:
    """The verbs that the workflow files call, as `drift check`."""
    pattern = re.compile(
        r"^\s*(?:run: |- run: |[^#]*\$\()?fraudops "
        r"((?:[a-z]+(?:-[a-z]+)*)(?: (?:check|collect|request|plan|apply))?)\b",
        re.M,
    )
    return {verb for file in (ROOT / ".github/workflows").glob("*.yml") for verb in pattern.findall(file.read_text())}


def main() -> None:
    """Builds and installs the wheel, imports all of it, and runs verbs of the workflows."""
    installed = {found.name for found in metadata.distributions()}
    for name in ("local-aws", "local-github", "moto"):
        _check(name not in installed, f"{name} is installed in the product's own environment")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "repository"
        _run(["git", "clone", "--quiet", str(ROOT), str(copy)], Path(folder))
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, "."], copy)
        (wheel,) = Path(folder).glob("*.whl")
        top = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
        _check({name for name in top if not name.endswith(".dist-info")} == {"ml"}, f"the wheel contains {sorted(top)}")
        _run([*pip, "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", str(wheel)], copy)
        # Run outside the copy, where `import ml` can find the wheel only.
        fraudops, outside = str(Path(sys.prefix) / "bin/fraudops"), Path(folder)
        imported = _run([sys.executable, "-c", _IMPORT], outside).split()
        _check(len(imported) >= 100, f"only {len(imported)} modules found in the wheel")
        found = verbs()
        _check(len(found) >= 10, f"only {sorted(found)} found in the workflows")
        for verb in sorted(found):
            _run([fraudops, *verb.split(), "--help"], outside)
        # The wheel has the shipped state; it replaces that of the repository, so that its settings play no part here.
        restore = "from pathlib import Path; from ml.playground import template_state; template_state.restore(Path())"
        _run([sys.executable, "-I", "-c", restore], copy)
        _run(["git", "add", "--all"], copy)
        who = ["-c", "user.name=A", "-c", "user.email=a@example.invalid"]
        _run(["git", *who, "commit", "--quiet", "--allow-empty", "--message", "Start"], copy)
        _run([fraudops, "validate"], copy)
        _run([fraudops, "changes"], copy)
        definition = _run([fraudops, "pipeline", "definition", "--bucket", "lake", "--role", _ROLE], copy)
        _check(len(json.loads(definition)["Steps"]) == 4, "the definition does not have four steps")
        local = subprocess.run([fraudops, "local", "up"], cwd=copy, capture_output=True, text=True, check=False)
        result = (local.returncode, "Traceback" in local.stderr, "make demo" in local.stderr)
        _check(
            result == (10, False, True), f"`fraudops local up` without emulators: {local.returncode}, {local.stderr}"
        )
    sys.stdout.write(f"product alone: {len(imported)} modules imported, {len(found)} verbs of the workflows\n")


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    _check(done.returncode == 0, f"{' '.join(command)} failed: {done.stderr}{done.stdout}")
    return done.stdout


def _check(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"product-alone: {message}")


if __name__ == "__main__":
    main()
