"""The running environment is linked into the tool cache only if it satisfies the lock."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from ml import virtual_environment
from ml.playground import environment_link


def lock(folder: Path, text: str) -> Path:
    """Writes every lock with this text."""
    for name in virtual_environment.LOCKS:
        (folder / f"{name}.lock").write_text(text)
    return folder


def test_environment_that_satisfies_the_lock_is_found_by_the_setup_action(tmp_path: Path) -> None:
    """The link is where the setup action looks for the environment of that lock, and counts as complete."""
    pin = f"numpy=={metadata.version('numpy')} \\\n    --hash=sha256:{'0' * 64}\n"
    made = environment_link.link_environment(tmp_path / "tools", lock(tmp_path, f"# a comment\n{pin}"))
    where = virtual_environment.folder(tmp_path / "run.lock", tmp_path / "tools")
    assert where in made
    assert virtual_environment.is_complete(where)
    assert where.resolve() == Path(sys.prefix).resolve()
    assert environment_link.link_environment(tmp_path / "tools", tmp_path) == made


@pytest.mark.parametrize("text", ["numpy==0.0.1\n", "no-such-package==1.0\n", "not a pin at all\n"])
def test_environment_that_lacks_a_pin_is_not_linked(tmp_path: Path, text: str) -> None:
    """A missing package, another version and a line that is no pin leave the cache empty."""
    assert environment_link.link_environment(tmp_path / "tools", lock(tmp_path, text)) == []


def test_pin_for_another_python_is_ignored(tmp_path: Path) -> None:
    """A pin whose marker does not apply need not be installed."""
    text = f"no-such-package==1.0 ; python_full_version < '3.0'\nnumpy=={metadata.version('numpy')}\n"
    linked = environment_link.link_environment(tmp_path / "tools", lock(tmp_path, text))
    assert len(linked) == len(virtual_environment.LOCKS)
