"""A rollback as a pull request: by a person, and by the run whose deployment has failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_github.server import LocalGitHub

from ml import config
from ml.aws import deployment_records
from ml.commands.rollback import rollback
from ml.errors import Refused
from ml.gitops import labels, serving_pointer
from ml.gitops.repository import BOT
from tests import moto_server
from tests.aws.deployments import finished
from tests.commands import forge_world, served_world
from tests.commands.forge_world import RUN, Forge


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """One moto for all tests of this file."""
    with moto_server.served() as url:
        yield url


@pytest.fixture
def forge(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A platform and a repository on a GitHub of its own; nothing is approved yet."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    world = served_world.moto_platform(served_world.repository(tmp_path / "repository"))
    with LocalGitHub(tmp_path / "github") as github:
        yield forge_world.around(world, github, tmp_path, monkeypatch)


def approve(forge: Forge, *numbers: int) -> None:
    """Approvals on main, one after the other."""
    for number in numbers:
        forge.world.approve(forge.register(float(number)))
    forge.push()


def deployed(forge: Forge, number: int, status: str = "succeeded") -> None:
    """A deployment of what main says, in the history."""
    from dataclasses import replace

    past = finished(number, "2026-03-01T00:00:00Z", status="failed" if status == "failed" else "succeeded")
    deployment_records.record("lake", replace(past, commit=forge.workshop.repository.head()))


def test_a_person_proposes_the_former_model(forge: Forge) -> None:
    """The branch holds the revert of the pointer alone; the text says what merging does; told again it is the same."""
    for number in (1, 2):
        approve(forge, number)
        deployed(forge, number)
    result = rollback(forge.root, propose=True)
    pull = forge.api.get_pull(result.pull_request or 0)
    assert (pull.title, pull.head.ref, pull.base.ref) == ("Serve approval 0001 again", "rollback/0001", "main")
    assert [file.filename for file in pull.get_files()] == [config.SERVING.as_posix()]
    (commit,) = pull.get_commits()
    assert commit.commit.author.name == BOT.name
    assert f"/runs/{RUN}" in commit.commit.message
    assert f"This reverts commit {result.reverted}" in commit.commit.message
    assert [label.name for label in pull.labels] == [labels.ROLLBACK.name]
    assert "serves approval 0001 again in place of 0002" in pull.body
    assert forge.started == [("ci.yml", "rollback/0001", {"pull_request": str(pull.number)})]
    assert result.says.endswith(f"To let it: merge #{pull.number}.")
    again = rollback(forge.root, propose=True)
    assert (again.state, again.pull_request, again.commit) == ("kept", pull.number, result.commit)
    assert forge.api.get_pulls(state="all").totalCount == 1
    forge.merge(pull.number)
    assert serving_pointer.at(forge.workshop.repository, "main").approval == 1


def test_it_goes_by_what_github_has(forge: Forge) -> None:
    """A checkout that is behind proposes what is right for main as it is now."""
    for number in (1, 2):
        approve(forge, number)
        deployed(forge, number)
    forge.workshop.git("reset", "-q", "--hard", "HEAD~1")
    assert rollback(forge.root, propose=True).current == 2


def test_only_what_has_served(forge: Forge) -> None:
    """A model that was never deployed is no way back; nothing is pushed."""
    for number in (1, 2):
        approve(forge, number)
        deployed(forge, number)
    approve(forge, 3)
    deployed(forge, 3, "failed")
    with pytest.raises(Refused, match="never served"):
        rollback(forge.root, to=9, propose=True)
    with pytest.raises(Refused, match="choose one"):
        rollback(forge.root, propose=True, merge=True)
    assert forge.api.get_pulls(state="all").totalCount == 0


def test_a_failed_deployment_is_named_and_taken_back(forge: Forge) -> None:
    """To what serves still, which is not always the approval before."""
    for number in (1, 2, 3):
        approve(forge, number)
        deployed(forge, number, "failed" if number > 1 else "succeeded")
    result = rollback(forge.root, propose=True, failed=True)
    pull = forge.api.get_pull(result.pull_request or 0)
    assert pull.title == "Deployment of approval 0003 failed: serve approval 0001 again"
    assert "The deployment of approval 0003 failed" in pull.body
    assert serving_pointer.at(forge.workshop.repository, result.commit).approval == 1


def test_a_failed_deployment_that_was_overtaken_proposes_nothing(forge: Forge) -> None:
    """Another approval was merged meanwhile: its deployment waits, and nobody knows yet that it fails."""
    for number in (1, 2):
        approve(forge, number)
        deployed(forge, number, "failed" if number > 1 else "succeeded")
    failed = forge.workshop.git("rev-parse", "HEAD")
    approve(forge, 3)
    forge.workshop.git("reset", "-q", "--hard", failed)
    with pytest.raises(Refused, match=r"moved on from what could not be deployed and says approval 0003 now"):
        rollback(forge.root, propose=True, failed=True)
    assert forge.api.get_pulls(state="all").totalCount == 0


def test_a_failed_change_of_settings_takes_the_settings_back(forge: Forge) -> None:
    """The model stays; the serving file is what it was when it was last deployed."""
    approve(forge, 1)
    deployed(forge, 1)
    before = forge.workshop.text(config.SERVING)
    forge.workshop.write({config.SERVING: before.replace("ml.m5.large", "ml.m5.huge")}, "Take a bigger one")
    forge.push()
    result = rollback(forge.root, propose=True, failed=True)
    pull = forge.api.get_pull(result.pull_request or 0)
    assert pull.title == "Deployment of approval 0001 failed: serve approval 0001 as before"
    assert serving_pointer.text_at(forge.workshop.repository, result.commit) == before
    assert "with the settings that it was deployed with last" in pull.body
    forge.merge(pull.number)
    with pytest.raises(Refused, match="going back would change nothing"):
        rollback(forge.root, propose=True, failed=True)


def test_the_first_model_ever_has_nothing_to_go_back_to(forge: Forge) -> None:
    """Its failed deployment says so, and proposes nothing."""
    approve(forge, 1)
    deployed(forge, 1, "failed")
    with pytest.raises(Refused, match="nothing to go back to"):
        rollback(forge.root, propose=True, failed=True)
    assert forge.api.get_pulls(state="all").totalCount == 0
