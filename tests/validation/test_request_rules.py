"""The kind of a request agrees with what serves, and the kind of a record with the requests that it resolves."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ml import config
from ml.validation import request_rules, rules
from ml.workflow.changed_files import Change
from tests.harness.git import changes
from tests.harness.git.changes import ChangedRepository

NAME = "20260301T060000Z-concept-drift"
PATH = config.REQUESTS / f"{NAME}.yaml"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChangedRepository:
    """A repository with model-config/ in which nothing serves."""
    return changes.make(tmp_path, monkeypatch)


def request(kind: config.RunKind) -> str:
    """A request for concept drift as YAML."""
    window = config.Window(start=datetime(2026, 3, 1, tzinfo=UTC), end=None)
    return config.dump(config.RetrainRequest(kind=kind, cause="concept-drift", reason="r", window=window, evidence={}))


def found(env: ChangedRepository, status: str) -> list[str]:
    """The contradictions of a change in which the request has that status."""
    change = Change(event="push", base=None, main=None, files={PATH.as_posix(): status}, forced=False)
    return [problem.message for problem in rules.contradictions(env.repository, change)]


@pytest.mark.parametrize("kind", ["adapt", "threshold"])
def test_request_of_a_kind_that_needs_a_champion_is_refused_while_none_serves(
    env: ChangedRepository, kind: config.RunKind
) -> None:
    """An added request is refused; one that main has already is not this change's problem, and a fit needs none."""
    env.workspace.write({PATH: request(kind)}, "Ask")
    (message,) = found(env, "A")
    assert message == (
        f"{PATH}: kind must be fit while no model serves (got '{kind}', which starts from the serving model)"
    )
    assert found(env, "M") == []
    env.workspace.write({PATH: request("fit")}, "Ask for a fit")
    assert found(env, "A") == []


def test_record_cannot_resolve_a_request_for_more_than_it_does(env: ChangedRepository) -> None:
    """A new threshold is no adaptation; a fit covers both; an id that leaves the folder is unknown."""
    env.workspace.write({PATH: request("adapt")}, "Ask")
    champion = config.Champion(
        approval=1,
        model_package_arn=env.record(1).model_package_arn,
        artifact_sha256="a" * 64,
        comparison="compared",
        reason="r",
    )

    def problems(kind: config.RunKind, name: str = NAME) -> list[str]:
        record = env.record(2, kind=kind, champion=champion, requests=(name,))
        path = config.approval_path(2)
        return [problem.message for problem in request_rules.of_record(env.root, path, record)]

    assert problems("fit") == problems("adapt") == []
    (message,) = problems("threshold")
    assert message.endswith(
        f"requests names {NAME!r}, which requests a run of kind adapt; a run of kind threshold does less"
    )
    (unknown,) = problems("fit", f"../approvals/{NAME}")
    assert unknown.endswith("does not exist")
