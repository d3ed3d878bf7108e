"""Locks are installed by uv, or by pip if uv does not work; uv itself is installed completely or not at all."""

from __future__ import annotations

import base64
import hashlib
import shutil
import stat
import subprocess
import sys
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ml import lock_installer

UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has only pip; each test installs a package with its own name."""
    folder = tmp_path_factory.mktemp("environment") / "env"
    venv.create(folder, with_pip=True)
    return folder


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only index that pip and uv know."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def add_wheel(index: Path, name: str, *, command: str | None = None) -> Path:
    """Writes a wheel with one module, and with the program `bin/NAME` if `command` is given; returns a lock of it."""
    files = {f"{name}/__init__.py": "answer = 42\n"}
    if command is not None:
        files[f"{name}-1.0.data/scripts/{name}"] = command
    files[f"{name}-1.0.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    files[f"{name}-1.0.dist-info/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}")
    files[f"{name}-1.0.dist-info/RECORD"] = "\n".join([*rows, f"{name}-1.0.dist-info/RECORD,,"]) + "\n"
    wheel = index / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (stat.S_IFREG | (0o755 if "/scripts/" in path else 0o644)) << 16
            archive.writestr(entry, text)
    lock = index.parent / f"{name}.lock"
    lock.write_text(f"{name}==1.0 \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    return lock


def tools_with_uv(tmp_path: Path, write: str | None) -> Path:
    """A tools folder whose uv is a file with the content `write`; the environment's own uv if None."""
    tools = tmp_path / "tools"
    digest = hashlib.sha256(lock_installer._UV_LOCK.read_bytes()).hexdigest()[:16]
    uv = tools / f"uv-{digest}/bin/uv"
    uv.parent.mkdir(parents=True)
    if write is None:
        shutil.copy2(UV, uv)
    else:
        uv.write_text(write)
        uv.chmod(0o755)
    return tools


def answer(environment: Path, name: str) -> str:
    """A value of the installed module, read by the environment's own Python."""
    command = [str(environment / "bin/python"), "-c", f"import {name}; print({name}.answer)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_uv_installs(environment: Path, index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """uv is used if it works; pip is not started."""
    tools = tools_with_uv(tmp_path, None)
    lock_installer.install(environment, [add_wheel(index, "by_uv")], tools=tools)
    assert answer(environment, "by_uv") == "42"
    printed = capfd.readouterr().out
    assert "with uv" in printed
    assert "with pip" not in printed


BROKEN = {
    "after_failure": "#!/bin/sh\nexit 3\n",
    "after_foreign": "\x7fELF of another architecture",
    "after_no_interpreter": "#!/nowhere/interpreter\n",
}
"""The content of a uv that does not work, by the name of the package to install."""


@pytest.mark.parametrize("name", BROKEN)
def test_pip_installs_where_uv_does_not_work(
    environment: Path, index: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """pip takes over if uv fails or cannot be executed at all."""
    tools = tools_with_uv(tmp_path, BROKEN[name])
    lock_installer.install(environment, [add_wheel(index, name)], tools=tools)
    assert answer(environment, name) == "42"
    printed = capfd.readouterr().out
    assert printed.index("with uv") < printed.index("with pip")


def test_wrong_hash_is_installed_by_neither(environment: Path, index: Path, tmp_path: Path) -> None:
    """A wheel that differs from the lock is refused, and the message names the lock."""
    tools, lock = tools_with_uv(tmp_path, None), add_wheel(index, "altered")
    lock.write_text(f"altered==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(lock_installer.InstallFailed, match=r"altered\.lock"):
        lock_installer.install(environment, [lock], tools=tools)
    assert not list(environment.rglob("altered"))


def test_concurrent_jobs_share_one_complete_uv(
    environment: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that install uv into one folder at the same time get the same working program; no draft remains."""
    monkeypatch.setattr(lock_installer, "_UV_LOCK", add_wheel(index, "uv", command="#!/bin/sh\necho works\n"))
    tools, python = tmp_path / "tools", environment / "bin/python"
    with ThreadPoolExecutor(3) as jobs:
        found = list(jobs.map(lambda _: lock_installer.find_uv(python, tools), range(3)))
    (uv,) = set(found)
    assert uv is not None
    assert subprocess.run([uv], capture_output=True, text=True, check=True).stdout == "works\n"
    assert list(tools.iterdir()) == [uv.parents[1]]


def test_uv_that_cannot_be_installed_is_none(
    environment: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a wheel the result is None, and no incomplete uv remains that a later job would use."""
    lock = tmp_path / "uv.lock"
    lock.write_text(f"uv==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(lock_installer, "_UV_LOCK", lock)
    assert lock_installer.find_uv(environment / "bin/python", tmp_path / "tools") is None
    assert list((tmp_path / "tools").iterdir()) == []


def test_folder_without_uv_is_named(
    environment: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A folder at uv's path with other content is kept and named, and pip installs."""
    lock = add_wheel(index, "uv", command="#!/bin/sh\n")
    monkeypatch.setattr(lock_installer, "_UV_LOCK", lock)
    folder = tmp_path / "tools" / f"uv-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("kept")
    assert lock_installer.find_uv(environment / "bin/python", tmp_path / "tools") is None
    assert f"{folder}: Directory not empty; remove it" in capfd.readouterr().out
    assert (folder / "notes.txt").read_text() == "kept"
