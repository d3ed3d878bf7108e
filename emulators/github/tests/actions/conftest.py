"""Fixtures: emulators with Actions, stopped after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from actions_emulator import ActionsEmulator

MakeEmulator = Callable[..., ActionsEmulator]


@pytest.fixture
def make_emulator(tmp_path: Path) -> Iterator[MakeEmulator]:
    """Creates emulators with options for Actions."""
    emulators: list[ActionsEmulator] = []

    def make(**options: Any) -> ActionsEmulator:
        folder = tmp_path / f"emulator{len(emulators)}"
        folder.mkdir()
        emulators.append(ActionsEmulator(folder, **options))
        return emulators[-1]

    yield make
    for emulator in emulators:
        emulator.close()


@pytest.fixture
def emulator(make_emulator: MakeEmulator) -> ActionsEmulator:
    """An emulator with default options."""
    return make_emulator()
