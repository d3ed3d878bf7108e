"""Every lock has the packages that its code imports, and the product's lock has no unused package."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
EMULATORS = {"local_aws", "local_github"}
# The verbs that the jobs with `lock: core` call; what they import, directly or not, must be in that lock.
CORE_VERBS = ("changes", "validate", "plan", "ci_status", "infra", "confirm_ci", "drift_request", "record_failure")
# Required in run.in although neither ml/ nor a package that ml/ imports declares them.
REASONS = {"docker": "sagemaker-core imports it and does not declare it"}


def pinned(lock: str) -> set[str]:
    """The canonical names of the packages in requirements/`lock`.lock."""
    text = (ROOT / f"requirements/{lock}.lock").read_text()
    return {canonical(name) for name in re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==", text, re.M)}


def canonical(name: str) -> str:
    """The name of a distribution as the index normalises it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct(*inputs: str) -> set[str]:
    """The packages named in requirements/`inputs`.in, without those of files that it includes."""
    lines = "\n".join((ROOT / f"requirements/{name}.in").read_text() for name in inputs).splitlines()
    wanted = (line.split(" #")[0].strip() for line in lines if line and not line.startswith(("#", "-r ")))
    return {canonical(Requirement(line).name) for line in wanted}


@functools.cache
def imports(file: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The modules that `file` imports at run time, in functions too: those of ml/, and the others' top-level names.

    A file is read once per process.
    """
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    own = frozenset(name for name in names if name.split(".")[0] == "ml")
    return own, frozenset(name.split(".")[0] for name in names - own) - sys.stdlib_module_names


@functools.cache
def providers() -> Mapping[str, list[str]]:
    """The distributions that provide each top-level module, read once per process."""
    return metadata.packages_distributions()


def third_party(files: set[Path]) -> set[str]:
    """The distributions that `files` import."""
    modules = {module for file in files for module in imports(file)[1]} - EMULATORS
    return {canonical(providers().get(module, [module])[0]) for module in modules if module != "sagemaker"} | (
        {"sagemaker"} if "sagemaker" in modules else set()
    )


def reachable(start: str) -> set[Path]:
    """The files of ml/ that importing `start` may load, directly or indirectly."""
    files: set[Path] = set()
    waiting = [start]
    while waiting:
        parts = waiting.pop().split(".")
        for length in range(1, len(parts) + 1):
            path = ROOT.joinpath(*parts[:length])
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file() and file not in files:
                    files.add(file)
                    waiting += imports(file)[0]
    return files


def product_files() -> set[Path]:
    """The files of ml/ without the playground, which needs the emulators, and the jobs on Spark."""
    return {
        file for file in (ROOT / "ml").rglob("*.py") if file.relative_to(ROOT).parts[1] not in {"playground", "spark"}
    }


@pytest.mark.parametrize("verb", CORE_VERBS)
def test_core_verb_needs_only_the_core_lock(verb: str) -> None:
    """Every package that a verb without data may import is in core.lock."""
    assert third_party(reachable(f"ml.commands.{verb}")) <= pinned("core"), verb


@pytest.mark.parametrize("step", ["prepare", "evaluate"])
def test_step_without_an_install_needs_only_the_image(step: str) -> None:
    """Prepare and Evaluate import what the image has, so run.sh installs nothing for them."""
    assert third_party(reachable(f"ml.steps.{step}")) <= direct("image") | {"threadpoolctl"}  # scikit-learn requires it


def test_train_imports_only_the_image_and_its_requirements() -> None:
    """What Train imports is in the image or in ml/steps/requirements.txt."""
    assert third_party(reachable("ml.steps.train")) <= direct("image", "steps") | {"threadpoolctl"}


def test_counting_job_imports_only_the_image_and_its_requirements() -> None:
    """What an instance of a drift check's job imports is in the image or in ml/shards/requirements.txt."""
    found = third_party(reachable("ml.shards.count"))
    assert found <= direct("image", "shards-job") | {"threadpoolctl"} <= pinned("container")


@pytest.mark.parametrize("module", ["job", "drift", "train"])
def test_job_on_spark_imports_only_its_image_and_its_requirements(module: str) -> None:
    """What a job on Spark imports is in the environment that `make spark` makes as run.sh does."""
    assert (
        third_party(reachable(f"ml.spark.{module}"))
        <= direct("spark-job", "shards-job") | {"pyspark"}
        <= pinned("spark")
    )


@pytest.mark.parametrize("folder", ["shards", "spark"])
def test_jobs_count_with_the_versions_of_the_workflows(folder: str) -> None:
    """What decodes traffic and joins labels has one version in jobs and in the workflow's job."""
    texts = [(ROOT / path).read_text() for path in (f"ml/{folder}/requirements.txt", "requirements/run.lock")]
    for name in ("duckdb", "msgspec", "orjson"):
        job, workflow = (re.findall(rf"^{name}==(\S+)", text, re.M) for text in texts)
        assert job == workflow, name


def test_product_imports_only_declared_packages() -> None:
    """What ml/ imports outside the playground is named in core.in or run.in and pinned in run.lock."""
    imported = third_party(product_files())
    assert imported <= direct("core", "run")
    assert imported <= pinned("run")


def test_playground_imports_only_packages_of_the_local_lock() -> None:
    """The demo and the simulated year find what they import in local.lock."""
    files = {file for file in (ROOT / "ml").rglob("*.py") if file.relative_to(ROOT).parts[1] != "spark"}
    assert third_party(files) <= pinned("local")


def test_every_declared_package_is_imported() -> None:
    """A package of core.in or run.in that ml/ does not import has a reason here."""
    assert direct("core", "run") - third_party(product_files()) == set(REASONS)


def test_every_pin_of_the_run_lock_is_declared_or_required() -> None:
    """A pin is declared, or required by a pinned package; nothing that excludes.in names is left."""
    lock = pinned("run")
    required = direct("core", "run")
    waiting = list(required)
    while waiting:
        try:
            lines = metadata.requires(waiting.pop()) or []
        except metadata.PackageNotFoundError:  # only for another platform
            continue
        for line in lines:
            name = canonical(Requirement(line).name)
            if name in lock and name not in required:
                required.add(name)
                waiting.append(name)
    assert lock <= required
    assert not lock & direct("excludes")


def test_sdk_compiles_a_definition_without_the_excluded_packages() -> None:
    """In a process where no package outside run.lock can be imported the definition is complete."""
    allowed = pinned("run") | {"fraudops", "setuptools"}
    program = f"""
import importlib.abc, importlib.metadata, re, sys
allowed = {allowed!r}
providers = importlib.metadata.packages_distributions()

class OnlyPinned(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        names = {{re.sub(r"[-_.]+", "-", found).lower() for found in providers.get(name.split(".")[0], ())}}
        if names and not names & allowed:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, OnlyPinned())
sys.argv = ["fraudops", "pipeline", "definition", "--bucket", "lake", "--role", "arn:aws:iam::111122223333:role/x"]
from ml.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '"Steps"' in done.stdout
