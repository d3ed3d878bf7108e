"""A job sees its own files, packages and environment only."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation, Mode
from pipeline_jobs import PipelineAws, failure_reason, processing, python


def test_job_environment_is_minimal(aws: PipelineAws, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job gets none of the caller's variables except the package path; it gets those of the definition."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("SOME_SETTING", "mine")
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_TARGET", "/somewhere")
    step = processing(
        "Show",
        python(
            "import json, os, pathlib; root = pathlib.Path('/opt/ml/processing/out');"
            "(root / 'env').write_text(json.dumps(dict(os.environ)))"
        ),
        outputs={"out": f"s3://{aws.bucket}/env"},
        arguments={"Environment": {"MINE": "/opt/ml/processing/out", "OTHER": "/opt/mlflow"}},
    )
    _, described = aws.run([step])
    assert described["PipelineExecutionStatus"] == "Succeeded"
    env = json.loads(aws.get(f"s3://{aws.bucket}/env/env"))
    assert not env.keys() & {"GITHUB_TOKEN", "SOME_SETTING", "PIP_TARGET", "PYTEST_CURRENT_TEST"}
    assert env["PIP_INDEX_URL"] == "http://index.invalid/simple"
    assert env["AWS_REGION"] == "us-east-1"
    assert env["AWS_ENDPOINT_URL"] == aws.url
    assert env["PROCESSING_JOB_NAME"].startswith("pipelines-")
    assert env["HOME"] != str(Path.home())
    assert env["OTHER"] == "/opt/mlflow"
    assert (env["MINE"] == "/opt/ml/processing/out") is (mode == "namespace")


def wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module that returns its version."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def installed_packages() -> list[tuple[str, str, str | None]]:
    """Every package of this interpreter: its metadata folder, version and file hashes."""
    return sorted(
        (str(package.locate_file(package.name)), package.version, package.read_text("RECORD") or "")
        for package in importlib.metadata.distributions()
    )


def test_job_does_not_see_editable_installs(aws: PipelineAws, mode: Mode, tmp_path: Path) -> None:
    """A path that a .pth file adds for the caller is not on the job's path."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "caller")], check=True)
    project = tmp_path / "project"
    project.mkdir()
    (project / "callersproject.py").touch()
    [site] = (tmp_path / "caller").glob("lib/python*/site-packages")
    (site / "project.pth").write_text(f"{project}\n")
    python = tmp_path / "caller/bin/python"
    subprocess.run([str(python), "-c", "import callersproject"], check=True)
    aws.serve(isolation=Isolation(mode, python))
    found = failure_reason(aws, processing("Import", ["python3", "-c", "import callersproject"]))
    assert "exit code: 1" in found


def test_job_installs_packages_into_its_own_environment(aws: PipelineAws, mode: Mode, tmp_path: Path) -> None:
    """pip installs, replaces and uninstalls in the job's environment; the caller's packages are unchanged."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "localawsprobe", "1.0")
    wheel(wheels, "tenacity", "99.0")  # the caller has another version
    before = installed_packages()
    script = f"""
set -ex
pip uninstall --yes typing
pip uninstall --yes pydantic
pip install --no-index --find-links {wheels} localawsprobe tenacity==99.0
python3 -c "import subprocess as s, sys; s.check_call([sys.executable, *'-m pip install --no-index pydantic'.split()])"
python3 - <<'PY'
import localawsprobe, tenacity, pydantic, sys
assert tenacity.VERSION == '99.0' and 'site-packages' in pydantic.__file__ and '/venv/' in localawsprobe.__file__
PY
"""
    command = python(f"import subprocess, sys; sys.exit(subprocess.call(['bash', '-c', {script!r}]))")
    _, described = aws.run([processing("Install", command)])
    assert described["PipelineExecutionStatus"] == "Succeeded", next(aws.folder.rglob("output.log")).read_text()
    assert installed_packages() == before


def test_namespace_mode_fails_without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode "namespace" raises an error; "auto" falls back."""
    monkeypatch.setattr("local_aws.sagemaker.pipelines.jobs.isolation._works", lambda way: False)
    assert Isolation("auto").prefix == ()
    with pytest.raises(RuntimeError, match="does not allow mount namespaces"):
        _ = Isolation("namespace").prefix


def test_job_environment_is_small(tmp_path: Path) -> None:
    """Each job's Python environment consists of links."""
    space = Isolation().create_space(tmp_path / "job")
    assert (space.venv / "bin/python3").is_symlink()
    assert sum(path.stat().st_size for path in space.venv.rglob("*") if not path.is_symlink()) < 100_000
