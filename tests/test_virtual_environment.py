"""Virtual environments by lock: key, atomic creation, and exported variables."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml import virtual_environment

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runner's folders, and a checkout with an empty lock, so that installing needs no network."""
    workspace = tmp_path / "work"
    (workspace / "requirements").mkdir(parents=True)
    (workspace / "requirements/run.lock").write_text("# nothing\n")
    for name, value in {
        "GITHUB_WORKSPACE": workspace,
        "RUNNER_TOOL_CACHE": tmp_path / "tools",
        "GITHUB_OUTPUT": tmp_path / "output",
        "GITHUB_ENV": tmp_path / "env",
        "GITHUB_PATH": tmp_path / "path",
    }.items():
        monkeypatch.setenv(name, str(value))
    return tmp_path


def test_key_depends_on_lock_and_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another lock or patch release is another environment; the file's name does not matter."""
    one, same, other = (tmp_path / name for name in ("a.lock", "b.lock", "c.lock"))
    one.write_text("x==1\n")
    same.write_text("x==1\n")
    other.write_text("x==2\n")
    key = virtual_environment.key(one)
    assert len(key) == 16
    assert key == virtual_environment.key(same) != virtual_environment.key(other)
    monkeypatch.setattr("platform.python_version", lambda: "3.11.99")
    assert virtual_environment.key(one) != key


def test_environment_is_created_once_and_then_found(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first use creates it, `find` returns it, and a second use reports that it existed."""
    assert virtual_environment.main(["use", "--lock", "run"]) == 0
    assert "installed" in capsys.readouterr().out
    assert virtual_environment.main(["find", "--lock", "run"]) == 0
    found = dict(line.split("=", 1) for line in (job / "output").read_text().splitlines())
    assert found["there"] == "true"
    assert found["key"] == f"fraudops-{Path(found['path']).name}"
    assert virtual_environment.main(["use", "--lock", "run"]) == 0
    assert "reused" in capsys.readouterr().out
    assert (Path(found["path"]) / "bin/fraudops").exists()


def test_concurrent_jobs_create_one_environment(job: Path) -> None:
    """Of two processes that share a tool cache, one installs and the other finds the environment."""
    command = [sys.executable, "-m", "ml.virtual_environment", "use", "--lock", "run"]
    both = [
        subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = sorted(process.communicate(timeout=120)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert sum("installed" in text for text in outputs) == sum("reused" in text for text in outputs) == 1


def test_incomplete_environment_is_created_again(job: Path) -> None:
    """An environment without its stamp does not count, whatever its content."""
    lock = Path(os.environ["GITHUB_WORKSPACE"]) / "requirements/run.lock"
    folder = virtual_environment.folder(lock, job / "tools")
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").write_text("half")
    assert not virtual_environment.is_complete(folder)
    assert virtual_environment.main(["use", "--lock", "run"]) == 0
    assert virtual_environment.is_complete(folder)


def test_linked_environment_counts_if_it_has_python(job: Path) -> None:
    """A laptop's own environment serves its local runner."""
    folder = virtual_environment.folder(Path(os.environ["GITHUB_WORKSPACE"]) / "requirements/run.lock", job / "tools")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(sys.prefix)
    assert virtual_environment.is_complete(folder)
    folder.unlink()
    folder.symlink_to(job / "nowhere")
    assert not virtual_environment.is_complete(folder)


def test_failed_installation_leaves_no_environment(job: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """pip refuses a requirement without a hash; the job fails, and no environment counts as complete."""
    lock = Path(os.environ["GITHUB_WORKSPACE"]) / "requirements/run.lock"
    lock.write_text("surely-not-there==1\n")
    assert virtual_environment.main(["use", "--lock", "run"]) == 1
    assert "::error::pip could not install" in capfd.readouterr().out
    assert not virtual_environment.is_complete(virtual_environment.folder(lock, job / "tools"))
    assert not (job / "env").exists()


def test_variables_are_exported_to_later_steps(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout is first on PYTHONPATH; empty variables are not exported."""
    monkeypatch.setenv("GIVEN_AWS_REGION", "eu-west-1")
    monkeypatch.setenv("GIVEN_FRAUDOPS_STACK", "")
    assert virtual_environment.main(["use", "--lock", "run", "--link", ".venv"]) == 0
    exported = dict(line.split("=", 1) for line in (job / "env").read_text().splitlines())
    assert set(exported) == {"PYTHONPATH", "VIRTUAL_ENV", "AWS_REGION"}
    assert exported["PYTHONPATH"] == os.environ["GITHUB_WORKSPACE"]
    assert (job / "path").read_text() == f"{exported['VIRTUAL_ENV']}/bin\n"
    assert (Path(os.environ["GITHUB_WORKSPACE"]) / ".venv").resolve() == Path(exported["VIRTUAL_ENV"]).resolve()


def test_multiline_value_sets_no_other_variable(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, and nothing is exported."""
    monkeypatch.setenv("GIVEN_AWS_REGION", "eu-west-1\nLD_PRELOAD=/tmp/x.so")
    assert virtual_environment.main(["use", "--lock", "run"]) == 1
    assert not (job / "env").exists()


def test_outside_of_a_job_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The error is one line that names the missing variable."""
    monkeypatch.delenv("RUNNER_TOOL_CACHE", raising=False)
    assert virtual_environment.main(["find", "--lock", "run"]) == 1
    assert "::error::'GITHUB_WORKSPACE' is not set" in capsys.readouterr().out


def test_module_needs_only_the_standard_library() -> None:
    """It runs before installation: the module and its packages import only the standard library."""
    for file in ("ml/virtual_environment.py", "ml/lock_installer.py", "ml/__init__.py"):
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert all(name.split(".")[0] in sys.stdlib_module_names | {"ml"} for name in names), names


def test_help_needs_no_installed_package() -> None:
    """`--help` works without any package on the path."""
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); import ml.virtual_environment",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
