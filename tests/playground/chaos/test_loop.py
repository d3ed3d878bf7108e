"""The loop under single faults on both emulators: what is retried, what fails and is repaired, and exact replays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ml.aws import session
from ml.gitops.remote import Remote
from ml.gitops.repository import Repository
from ml.playground.chaos import shard
from ml.playground.chaos.environment import ChaosEnvironment
from ml.playground.chaos.loop import Loop, Training

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosEnvironment]:
    """Both emulators; each run of a loop resets them."""
    with ChaosEnvironment(ROOT, tmp_path_factory.mktemp("chaos")) as made:
        yield made


@pytest.fixture(scope="module")
def learned(environment: ChaosEnvironment) -> Loop:
    """The loop to a served model, which has learned its calls."""
    made = Loop(environment, Training(environment=environment))
    made.learn()
    return made


@pytest.fixture
def loop(learned: Loop) -> Loop:
    """The same with new clients, as in a process of its own."""
    session.renew()
    return learned


def test_copied_checkout_is_a_clone_of_the_run(environment: ChaosEnvironment) -> None:
    """The second one of the same commits: clean, at main's tip, with the address of this run's server."""
    environment.reset()
    first = environment.root
    environment.checkout()
    assert first != environment.root
    for root in (first, environment.root):
        repository = Repository(root)
        assert (repository.head(), repository.branch(), repository.dirty()) == (environment.tip(), "main", [])
        remote = Remote(repository)
        assert remote.fetch("main") == environment.tip()
        assert f"{environment.github.url}/acme/fraudops.git" in (root / ".git/config").read_text("utf-8")


@pytest.mark.parametrize("seed", [3, 13])
def test_seed_replays_the_same_run(loop: Loop, seed: int) -> None:
    """The second run of a seed meets the same faults, fails at the same verbs and ends in the same state."""
    first = loop.run(seed)
    assert first.met
    assert not first.violations
    assert loop.run(seed).trace() == first.trace()


def test_whole_loop_serves_the_first_model_again(environment: ChaosEnvironment) -> None:
    """Two models, the rollback to the first one, and a training that fails the gate: no invariant is violated."""
    session.renew()
    result = Loop(environment, Training(environment=environment, whole=True)).run(6)
    assert result.violations == []
    verbs = {"deploy", "deploy again", "deploy former", "propose", "propose again", "record-failure", "rollback"}
    assert {run.verb for run in result.runs} == {*verbs, "train", "train again", "train failing"}


def test_shard_continues_after_the_seeds_that_it_has(tmp_path: Path) -> None:
    """Seeds in the file are not run again; the last line, which a kill has cut off, does not count."""
    file = tmp_path / "results.jsonl"
    file.write_text('{"seed": 1}\n{"seed": 2, "fau')
    assert [line["seed"] for line in shard.read(file)] == [1]
    assert shard.run(ROOT, [1], results=file) == []
    assert shard.read(tmp_path / "none.jsonl") == []
