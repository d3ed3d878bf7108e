"""A deployment on both emulators: GitHub deployments, step summaries, and pull requests that it closes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws.server import LocalAws
from local_github.server import LocalGitHub

from ml import config
from ml.commands.bootstrap import bootstrap
from ml.commands.deploy import deploy
from ml.commands.propose import propose
from ml.commands.rollback import rollback
from ml.errors import DeploymentFailed, Refused
from tests.harness.github import bot_environment
from tests.harness.github.bot_environment import RUN, BotEnvironment
from tests.harness.platform import served
from tests.harness.platform.served import ENDPOINT, ServedPlatform

pytestmark = pytest.mark.slow


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotEnvironment]:
    """The platform on an AWS emulator that delivers no event twice, and the repository on a GitHub emulator."""
    workspace = served.repository(tmp_path / "repository")
    with LocalAws(tmp_path / "cloud", double_every=0) as cloud, LocalGitHub(tmp_path / "github") as github:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        bootstrap(workspace.root)
        yield bot_environment.around(ServedPlatform(workspace=workspace, cloud=cloud), github, tmp_path, monkeypatch)


def states(bot: BotEnvironment) -> list[tuple[str, list[str]]]:
    """Each deployment's commit and statuses, oldest first."""
    found = bot.api.get_deployments(environment=ENDPOINT)
    return [(each.sha, [status.state for status in each.get_statuses()][::-1]) for each in found][::-1]


def test_deployment_is_published_and_closes_outdated_pull_requests(bot: BotEnvironment) -> None:
    """Statuses in_progress and success with the run's URL; an approval compared with another champion is closed."""
    first = propose(bot.root, outcome=bot.outcome(bot.register(-1.0)))
    bot.merge(first.pull_request or 0)
    assert deploy(bot.root, reason="first").state == "created"
    commit = bot.workspace.repository.head()
    assert states(bot) == [(commit, ["in_progress", "success"])]
    (shown,) = bot.api.get_deployments(environment=ENDPOINT)
    status = next(iter(shown.get_statuses()))
    assert status.log_url.endswith(f"/actions/runs/{RUN}")
    summary = (bot.folder / "summary.md").read_text()
    assert "### Approval 0001 serves" in summary
    assert "known transactions scored" in summary
    assert deploy(bot.root).state == "unchanged"
    assert states(bot) == [(commit, ["in_progress", "success", "in_progress", "success"])]

    other = propose(bot.root, outcome=bot.outcome(bot.register(2.0)))
    bot.merge(propose(bot.root, outcome=bot.outcome(bot.register(3.0))).pull_request or 0)
    bot.api.get_pull(other.pull_request or 0).edit(state="closed")
    late = bot.register(4.0)  # its champion is 3, which is on main
    newest = propose(bot.root, outcome=bot.outcome(late))
    stale = bot.api.create_git_ref("refs/heads/approve/0002", other.commit or "")
    again = bot.api.create_pull("main", "approve/0002", title="Serve approval 0002", body="")
    assert deploy(bot.root).approval == 3
    assert stale.ref == "refs/heads/approve/0002"
    assert [pull.number for pull in bot.api.get_pulls()] == [newest.pull_request]
    (comment,) = bot.api.get_issue(again.number).get_comments()
    assert "Superseded by approval 0003: it serves now" in comment.body
    assert f"#{again.number}" in (bot.folder / "summary.md").read_text()


def test_successful_deployment_closes_failed_rollback(bot: BotEnvironment) -> None:
    """A rollback proposed by a failed deployment is closed; one proposed by a person stays open."""
    for intercept in (-1.0, 2.0):
        bot.merge(propose(bot.root, outcome=bot.outcome(bot.register(intercept))).pull_request or 0)
        deploy(bot.root)
    bot.merge(propose(bot.root, outcome=bot.outcome(bot.register(3.0, broken_code=True))).pull_request or 0)
    with pytest.raises(DeploymentFailed):
        deploy(bot.root)
    back = rollback(bot.root, propose=True, failed=True)
    persons = rollback(bot.root, to=1, propose=True)
    assert {pull.head.ref for pull in bot.api.get_pulls()} == {"rollback/0001", "rollback/0002"}
    bot.merge(propose(bot.root, outcome=bot.outcome(bot.register(4.0))).pull_request or 0)
    assert deploy(bot.root).approval == 4
    assert [pull.number for pull in bot.api.get_pulls()] == [persons.pull_request]
    (comment,) = bot.api.get_issue(back.pull_request or 0).get_comments()
    assert "Superseded by approval 0004: it serves now, and this was proposed because" in comment.body


def test_unreadable_proposal_does_not_fail_deployment(bot: BotEnvironment, capsys: pytest.CaptureFixture[str]) -> None:
    """An open approval with a broken record gives a warning and stays open."""
    bot.merge(propose(bot.root, outcome=bot.outcome(bot.register(-1.0))).pull_request or 0)
    open_one = propose(bot.root, outcome=bot.outcome(bot.register(2.0)))
    path = config.approval_path(2).as_posix()
    there = bot.api.get_contents(path, ref="approve/0002")
    assert not isinstance(there, list)
    bot.api.update_file(path, "Break", "approval: two\n", there.sha, branch="approve/0002")
    assert deploy(bot.root).state == "created"
    assert f"#{open_one.pull_request} proposes what cannot be read, and stays" in capsys.readouterr().err
    assert [pull.number for pull in bot.api.get_pulls()] == [open_one.pull_request]


def test_failed_deployment_is_published_and_raises(bot: BotEnvironment) -> None:
    """The deployment's status is failure and the summary has the reason, also for a refusal."""
    bot.merge(propose(bot.root, outcome=bot.outcome(bot.register(-1.0, broken_code=True))).pull_request or 0)
    with pytest.raises(DeploymentFailed):
        deploy(bot.root)
    commit = bot.workspace.repository.head()
    assert states(bot) == [(commit, ["in_progress", "failure"])]
    assert "### Approval 0001 was not deployed" in (bot.folder / "summary.md").read_text()
    text = bot.workspace.text(config.approval_path(1))
    sha256 = config.load_approval(bot.root, 1).artifact.sha256
    bot.workspace.write({config.approval_path(1): text.replace(sha256, "e" * 64)}, "Tamper")
    bot.push()
    with pytest.raises(Refused):
        deploy(bot.root)
    assert states(bot)[1] == (bot.workspace.repository.head(), ["in_progress", "failure"])


def test_deployment_does_not_depend_on_github(
    bot: BotEnvironment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of GitHub is a warning, so that a rollback does not wait for GitHub."""
    bot.merge(propose(bot.root, outcome=bot.outcome(bot.register(-1.0))).pull_request or 0)
    monkeypatch.setenv("GITHUB_TOKEN", "wrong")
    assert deploy(bot.root).state == "created"
    assert "warning: recording the deployment on GitHub failed" in capsys.readouterr().err
    monkeypatch.delenv("GITHUB_TOKEN")
    assert deploy(bot.root).state == "unchanged"
    assert "warning" not in capsys.readouterr().err
