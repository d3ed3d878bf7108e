"""The loop under single faults on both emulators: what is retried, what fails and is repaired, and exact replays."""

from __future__ import annotations

import os
import subprocess
import sys
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


def test_whole_loop_serves_the_first_model_again(tmp_path: Path) -> None:
    """Two models, the rollback to the first one, and a training that fails the gate: no invariant is violated."""
    code = (
        "import sys, pathlib; from ml.playground.chaos import shard; "
        "[result] = shard.run(pathlib.Path(sys.argv[1]), [6], whole=True); "
        "print(result.violations, sorted({run.verb for run in result.runs}))"
    )
    # A process of its own: the AWS emulator runs once in a process, and the module's fixture has it.
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=_alone(tmp_path),
    )
    verbs = ["deploy", "deploy again", "deploy former", "propose", "propose again", "record-failure", "rollback"]
    assert done.stdout.strip() == f"[] {[*verbs, 'train', 'train again', 'train failing']}"


def _alone(home: Path) -> dict[str, str]:
    """An environment without the variables of the fixture's emulators."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GITHUB_", "FRAUDOPS_"))}
    return {**own, "HOME": str(home)}


def test_shard_continues_after_the_seeds_that_it_has(tmp_path: Path) -> None:
    """Seeds in the file are not run again; the last line, which a kill has cut off, does not count."""
    file = tmp_path / "results.jsonl"
    file.write_text('{"seed": 1}\n{"seed": 2, "fau')
    assert [line["seed"] for line in shard.read(file)] == [1]
    assert shard.run(ROOT, [1], results=file) == []
    assert shard.read(tmp_path / "none.jsonl") == []
