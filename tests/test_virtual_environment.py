"""The environment of a lock: named by what it holds, made whole or not at all, exported without surprises."""

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
    """A runner's folders, and a checkout whose lock pins nothing, so that installing needs no network."""
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


def test_key_is_of_lock_and_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another lock or another patch release is another environment; the file's name does not matter."""
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
    """The first use makes it, `find` then knows it, and a second use says that it was there."""
    assert virtual_environment.main(["use", "--lock", "run"]) == 0
    assert "installed" in capsys.readouterr().out
    assert virtual_environment.main(["find", "--lock", "run"]) == 0
    found = dict(line.split("=", 1) for line in (job / "output").read_text().splitlines())
    assert found["there"] == "true"
    assert found["key"] == f"fraudops-{Path(found['path']).name}"
    assert virtual_environment.main(["use", "--lock", "run"]) == 0
    assert "reused" in capsys.readouterr().out
    assert (Path(found["path"]) / "bin/fraudops").exists()


def test_jobs_that_want_it_at_once_make_it_once(job: Path) -> None:
    """Two processes that share a tool cache both end well: one has installed, the other has found."""
    command = [sys.executable, "-m", "ml.virtual_environment", "use", "--lock", "run"]
    both = [
        subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = sorted(process.communicate(timeout=120)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert sum("installed" in text for text in said) == sum("reused" in text for text in said) == 1


def test_incomplete_environment_is_created_again(job: Path) -> None:
    """Without its stamp it does not count as there, whatever else lies in it."""
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
    """A requirement without a hash is refused by pip; the job fails, and nothing counts as made."""
    lock = Path(os.environ["GITHUB_WORKSPACE"]) / "requirements/run.lock"
    lock.write_text("surely-not-there==1\n")
    assert virtual_environment.main(["use", "--lock", "run"]) == 1
    assert "::error::pip could not install" in capfd.readouterr().out
    assert not virtual_environment.is_complete(virtual_environment.folder(lock, job / "tools"))
    assert not (job / "env").exists()


def test_later_steps_get_what_was_given(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout's own code comes first; what is empty is not set at all."""
    monkeypatch.setenv("GIVEN_AWS_REGION", "eu-west-1")
    monkeypatch.setenv("GIVEN_FRAUDOPS_STACK", "")
    assert virtual_environment.main(["use", "--lock", "run", "--link", ".venv"]) == 0
    told = dict(line.split("=", 1) for line in (job / "env").read_text().splitlines())
    assert set(told) == {"PYTHONPATH", "VIRTUAL_ENV", "AWS_REGION"}
    assert told["PYTHONPATH"] == os.environ["GITHUB_WORKSPACE"]
    assert (job / "path").read_text() == f"{told['VIRTUAL_ENV']}/bin\n"
    assert (Path(os.environ["GITHUB_WORKSPACE"]) / ".venv").resolve() == Path(told["VIRTUAL_ENV"]).resolve()


def test_multiline_value_sets_no_other_variable(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused, and nothing is exported."""
    monkeypatch.setenv("GIVEN_AWS_REGION", "eu-west-1\nLD_PRELOAD=/tmp/x.so")
    assert virtual_environment.main(["use", "--lock", "run"]) == 1
    assert not (job / "env").exists()


def test_outside_a_job_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, and no environment in a folder called after nothing."""
    monkeypatch.delenv("RUNNER_TOOL_CACHE", raising=False)
    assert virtual_environment.main(["find", "--lock", "run"]) == 1
    assert "::error::'GITHUB_WORKSPACE' is not set" in capsys.readouterr().out


def test_module_needs_only_the_standard_library() -> None:
    """It runs before anything is installed: every import is the standard library's, and so are the package's own."""
    for file in ("ml/virtual_environment.py", "ml/lock_installer.py", "ml/__init__.py"):
        for node in ast.walk(ast.parse((ROOT / file).read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert all(name.split(".")[0] in sys.stdlib_module_names | {"ml"} for name in names), names


def test_module_starts_fast() -> None:
    """`--help` without any package on the path."""
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
