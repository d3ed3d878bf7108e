"""`fraudops rollback --propose`: by a person, and by the run whose deployment failed."""

from __future__ import annotations

import pytest

from ml import config
from ml.aws import deployment_records
from ml.commands.rollback import rollback
from ml.errors import Refused
from ml.gitops import labels, serving_pointer
from ml.gitops.repository import BOT
from tests.harness.aws.deployments import finished
from tests.harness.github.bot_environment import RUN, BotEnvironment


def approve(bot: BotEnvironment, *numbers: int) -> None:
    """Merges approvals on main, one after the other."""
    for number in numbers:
        bot.env.approve(bot.register(float(number)))
    bot.push()


def deployed(bot: BotEnvironment, number: int, status: str = "succeeded") -> None:
    """Records a deployment of main in the history."""
    from dataclasses import replace

    past = finished(number, "2026-03-01T00:00:00Z", status="failed" if status == "failed" else "succeeded")
    deployment_records.record("lake", replace(past, commit=bot.workspace.repository.head()))


def test_person_proposes_the_former_model(bot: BotEnvironment) -> None:
    """The branch has only the pointer's revert; a second run keeps the pull request."""
    for number in (1, 2):
        approve(bot, number)
        deployed(bot, number)
    result = rollback(bot.root, propose=True)
    pull = bot.api.get_pull(result.pull_request or 0)
    assert (pull.title, pull.head.ref, pull.base.ref) == ("Serve approval 0001 again", "rollback/0001", "main")
    assert [file.filename for file in pull.get_files()] == [config.SERVING.as_posix()]
    (commit,) = pull.get_commits()
    assert commit.commit.author.name == BOT.name
    assert f"/runs/{RUN}" in commit.commit.message
    assert f"This reverts commit {result.reverted}" in commit.commit.message
    assert [label.name for label in pull.labels] == [labels.ROLLBACK.name]
    assert "serves approval 0001 again in place of 0002" in pull.body
    assert bot.started == [("ci.yml", "rollback/0001", {"pull_request": str(pull.number)})]
    assert result.says.endswith(f"To apply it: merge #{pull.number}.")
    again = rollback(bot.root, propose=True)
    assert (again.state, again.pull_request, again.commit) == ("kept", pull.number, result.commit)
    assert bot.api.get_pulls(state="all").totalCount == 1
    bot.merge(pull.number)
    assert serving_pointer.read(bot.workspace.repository, "main").approval == 1


def test_rollback_uses_main_of_the_remote(bot: BotEnvironment) -> None:
    """The remote's main decides, not an outdated checkout."""
    for number in (1, 2):
        approve(bot, number)
        deployed(bot, number)
    bot.workspace.git("reset", "-q", "--hard", "HEAD~1")
    assert rollback(bot.root, propose=True).current == 2


def test_rollback_pull_only_to_served_approvals(bot: BotEnvironment) -> None:
    """A model that was never deployed is refused; nothing is pushed."""
    for number in (1, 2):
        approve(bot, number)
        deployed(bot, number)
    approve(bot, 3)
    deployed(bot, 3, "failed")
    with pytest.raises(Refused, match="never served"):
        rollback(bot.root, to=9, propose=True)
    with pytest.raises(Refused, match="choose one"):
        rollback(bot.root, propose=True, merge=True)
    assert bot.api.get_pulls(state="all").totalCount == 0


def test_failed_deployment_is_named_and_reverted(bot: BotEnvironment) -> None:
    """The target is the last approval that served, not always the one before."""
    for number in (1, 2, 3):
        approve(bot, number)
        deployed(bot, number, "failed" if number > 1 else "succeeded")
    result = rollback(bot.root, propose=True, failed=True)
    pull = bot.api.get_pull(result.pull_request or 0)
    assert pull.title == "Deployment of approval 0003 failed: serve approval 0001 again"
    assert "The deployment of approval 0003 failed" in pull.body
    assert serving_pointer.read(bot.workspace.repository, result.commit).approval == 1


def test_superseded_failed_deployment_proposes_nothing(bot: BotEnvironment) -> None:
    """Another approval was merged meanwhile, whose deployment is pending."""
    for number in (1, 2):
        approve(bot, number)
        deployed(bot, number, "failed" if number > 1 else "succeeded")
    failed = bot.workspace.git("rev-parse", "HEAD")
    approve(bot, 3)
    bot.workspace.git("reset", "-q", "--hard", failed)
    with pytest.raises(Refused, match=r"changed since the failed deployment and now names approval 0003,"):
        rollback(bot.root, propose=True, failed=True)
    assert bot.api.get_pulls(state="all").totalCount == 0


def test_failed_settings_change_is_reverted(bot: BotEnvironment) -> None:
    """The model stays; the serving file is restored to its last deployed state."""
    approve(bot, 1)
    deployed(bot, 1)
    before = bot.workspace.text(config.SERVING)
    bot.workspace.write({config.SERVING: before.replace("ml.m5.large", "ml.m5.huge")}, "Take a bigger one")
    bot.push()
    result = rollback(bot.root, propose=True, failed=True)
    pull = bot.api.get_pull(result.pull_request or 0)
    assert pull.title == "Deployment of approval 0001 failed: serve approval 0001 as before"
    assert serving_pointer.read_text(bot.workspace.repository, result.commit) == before
    assert "with the settings that it was deployed with last" in pull.body
    bot.merge(pull.number)
    with pytest.raises(Refused, match="a rollback would change nothing"):
        rollback(bot.root, propose=True, failed=True)


def test_first_model_has_no_rollback(bot: BotEnvironment) -> None:
    """The failed deployment of a first model is refused with the reason."""
    approve(bot, 1)
    deployed(bot, 1, "failed")
    with pytest.raises(Refused, match="a rollback is not possible"):
        rollback(bot.root, propose=True, failed=True)
    assert bot.api.get_pulls(state="all").totalCount == 0
