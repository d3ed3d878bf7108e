"""The loop under single faults on both emulators: what is retried, what fails and is repaired, and exact replays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.playground.chaos import shard
from ml.playground.chaos.environment import ChaosEnvironment
from ml.playground.chaos.loop import Loop

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """Both emulators and the loop, which has learned its calls."""
    with ChaosEnvironment(ROOT, tmp_path_factory.mktemp("chaos")) as environment:
        made = Loop(environment)
        made.learn()
        yield made


@pytest.mark.parametrize("seed", [3, 13, 18])
def test_seed_replays_the_same_run(loop: Loop, seed: int) -> None:
    """The second run of a seed meets the same faults, fails at the same verbs and ends in the same state."""
    first = loop.run(seed)
    assert first.met
    assert not first.violations
    assert loop.run(seed).trace() == first.trace()


def test_shard_continues_after_the_seeds_that_it_has(tmp_path: Path) -> None:
    """Seeds in the file are not run again; the last line, which a kill has cut off, does not count."""
    file = tmp_path / "results.jsonl"
    file.write_text('{"seed": 1}\n{"seed": 2, "fau')
    assert [line["seed"] for line in shard.read(file)] == [1]
    assert shard.run(ROOT, [1], results=file) == []
    assert shard.read(tmp_path / "none.jsonl") == []
