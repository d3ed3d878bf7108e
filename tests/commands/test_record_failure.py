"""`fraudops record-failure`: one record in Git and one issue per cause, also when repeated."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from github.PullRequest import PullRequest
from local_github.server import LocalGitHub

from ml import config
from ml.commands.record_failure import record_failure
from ml.errors import Refused
from ml.gitops import labels
from ml.gitops.remote import Remote
from ml.gitops.repository import BOT, Repository
from ml.training import open_requests
from tests.harness.git.repositories import GitWorkspace, record
from tests.harness.github import bot_environment
from tests.harness.github.bot_environment import RUN, BotEnvironment
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform

FIRST, SECOND, THIRD = "20260301T060000Z-data-drift", "20260302T060000Z-data-drift", "20260303T060000Z-concept-drift"


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotEnvironment]:
    """A repository on a GitHub emulator without AWS, which recording a gate failure must not need."""
    env = ServedPlatform(workspace=served.repository(tmp_path / "repository"))
    with LocalGitHub(tmp_path / "github") as github:
        yield bot_environment.around(env, github, tmp_path, monkeypatch)


def protect(bot: BotEnvironment) -> None:
    """Protects main: it takes pull requests only."""
    bot.api.get_branch("main").edit_protection(required_approving_review_count=1, enforce_admins=False)


def records(bot: BotEnvironment) -> list[str]:
    """The gate failures on main."""
    bot.workspace.git("fetch", "-q", "origin")
    return bot.workspace.repository.files("origin/main", config.GATE_FAILURES)


def test_gate_failure_is_recorded_and_closes_its_requests(bot: BotEnvironment) -> None:
    """One commit of the bot on main with the evidence; its requests are resolved, others stay open."""
    bot.request(FIRST)
    bot.request(THIRD)
    result = record_failure(bot.root, outcome=bot.gate_failure("abcdef123456", FIRST))
    assert (result.state, result.pull_request) == ("pushed", None)
    assert bot.tip("main") == result.commit
    assert records(bot) == [result.record]
    bot.pull()
    name = Path(result.record).stem
    record = config.load_gate_failure(bot.root, name)
    assert record.requests == (FIRST,)
    assert record.verdict.reason.startswith("Recall gate failed: 0.58 < 0.60")
    assert list(open_requests.open_requests(bot.root)) == [THIRD]
    with pytest.raises(Refused, match=result.record):
        open_requests.choose(bot.root, [FIRST])
    message = bot.workspace.git("log", "-1", "--format=%an%n%B")
    assert message.startswith(f"{BOT.name}\nRecord gate failure {name}\n\nRecall gate failed")
    assert f"/runs/{RUN}" in message
    assert f"Resolves:   {FIRST}" in message


def test_second_run_changes_nothing(bot: BotEnvironment) -> None:
    """The same execution gives the same record and the same issue."""
    file = bot.gate_failure()
    first = record_failure(bot.root, outcome=file)
    again = record_failure(bot.root, outcome=file)
    assert (again.state, again.record, again.issues) == ("there already", first.record, first.issues)
    assert records(bot) == [first.record]
    issue = bot.api.get_issue(first.issues[0])
    assert (issue.comments, bot.api.get_issues(state="all").totalCount) == (0, 1)


def test_two_gate_failures_of_one_commit_in_one_second_are_two_records(
    bot: BotEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With equal clock times the later record's name is one second later."""
    monkeypatch.setenv("FRAUDOPS_NOW", "2026-03-01T06:00:00Z")
    for execution in ("aaaaaaaaaaaa", "bbbbbbbbbbbb"):
        record_failure(bot.root, outcome=bot.gate_failure(execution))
    assert [name[-34:-18] for name in records(bot)] == ["20260301T060000Z", "20260301T060001Z"]


def test_one_issue_per_cause(bot: BotEnvironment) -> None:
    """A second gate failure of a cause is a comment; another cause has its own issue."""
    first = record_failure(bot.root, outcome=bot.gate_failure("aaaaaaaaaaaa", FIRST))
    again = record_failure(bot.root, outcome=bot.gate_failure("bbbbbbbbbbbb", SECOND))
    both = record_failure(bot.root, outcome=bot.gate_failure("cccccccccccc", SECOND, THIRD))
    commit = record_failure(bot.root, outcome=bot.gate_failure("dddddddddddd"))
    assert again.issues == first.issues
    assert len(both.issues) == 2
    assert first.issues[0] in both.issues
    assert not set(commit.issues) & set(both.issues)
    issues = {issue.title: issue for issue in bot.api.get_issues()}
    assert set(issues) == {"Gate failed: concept-drift", "Gate failed: configuration", "Gate failed: data-drift"}
    assert issues["Gate failed: data-drift"].comments == 2
    assert {label.name for issue in issues.values() for label in issue.labels} == {labels.GATE_FAILURE.name}


def test_issue_holds_the_evidence(bot: BotEnvironment) -> None:
    """The issue has reason, figures, execution, evaluation and run; people's text is escaped."""
    result = record_failure(bot.root, outcome=bot.gate_failure("abcdef123456", FIRST, asked="fixes #1 @alice"))
    body = bot.api.get_issue(result.issues[0]).body
    for part in ("0.58 &lt; 0.60", "recall", "execution/abcdef123456", "evaluation.json", f"/runs/{RUN}", FIRST):
        assert part in body
    assert "@alice" not in body
    assert "fixes #1" not in body
    summary = (bot.folder / "summary.md").read_text()
    assert summary.startswith("### Gate failed")
    assert result.record in summary


def test_concurrent_push_is_rebased(bot: BotEnvironment, tmp_path: Path) -> None:
    """Another push to main between fetch and push: both commits are on main."""
    before = bot.tip("main")
    hook = bot.root / ".git/hooks/pre-push"
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "-q", str(bot.root), str(other)], check=True)
    theirs = GitWorkspace(root=other, repository=Repository(other)).write({"README.md": "hello\n"}, "Say hello")
    bare = bot.hub.server.state.find("acme", "fraudops")
    assert bare is not None
    # Runs once, after git has seen the remote's branch.
    hook.write_text(f'#!/bin/sh\nrm "$0"\ngit -C "{other}" push -q "{bare.git.path}" {theirs}:refs/heads/main\n')
    hook.chmod(0o755)
    result = record_failure(bot.root, outcome=bot.gate_failure())
    assert result.state == "pushed"
    bot.pull()
    log = bot.workspace.repository.log("main", first_parent=True)
    assert [commit.sha for commit in log][:3] == [result.commit, theirs, before]


def test_protected_main_gets_a_pull_request(bot: BotEnvironment) -> None:
    """The record is proposed and ci.yml started; a second run keeps the pull request."""
    bot.request(FIRST)
    protect(bot)
    before = bot.tip("main")
    file = bot.gate_failure("abcdef123456", FIRST)
    result = record_failure(bot.root, outcome=file)
    assert (result.state, bot.tip("main")) == ("proposed", before)
    pull = bot.api.get_pull(result.pull_request or 0)
    assert (pull.head.ref, pull.head.sha) == ("bot/gate-failure-abcdef123456", result.commit)
    assert [label.name for label in pull.labels] == [labels.BOT.name]
    assert [each.filename for each in pull.get_files()] == [result.record]
    assert bot.started == [("ci.yml", "bot/gate-failure-abcdef123456", {"pull_request": str(pull.number)})]
    bot.workspace.git("branch", "-D", "bot/gate-failure-abcdef123456") if bot.workspace.repository.resolve(
        "refs/heads/bot/gate-failure-abcdef123456"
    ) else None
    again = record_failure(bot.root, outcome=file)
    assert (again.pull_request, again.record, again.commit) == (result.pull_request, result.record, result.commit)
    assert bot.api.get_pulls(state="all").totalCount == 1


def test_model_that_passed_is_no_gate_failure(bot: BotEnvironment) -> None:
    """It is refused and nothing is recorded."""
    file = bot.gate_failure()
    file.write_text(file.read_text().replace('"verdict": "failed"', '"verdict": "passed"', 1))
    with pytest.raises(Refused, match="fraudops propose"):
        record_failure(bot.root, outcome=file)
    assert records(bot) == []


def propose(bot: BotEnvironment, number: int) -> PullRequest:
    """Opens the pull request of an approval whose model is of main's commit."""
    repository, main = bot.workspace.repository, bot.workspace.repository.head()
    approval = record(number, commit=main, config_sha256=config.load_settings(bot.root).sha256, requests=())
    commit = repository.commit(main, {config.approval_path(number): config.dump(approval).encode()}, "Record")
    Remote(repository).push_branch(f"approve/{number:04d}", commit, seen=None)
    return bot.api.create_pull(title=f"{number:04d}", body="", base="main", head=f"approve/{number:04d}")


def test_approvals_under_a_former_gate_are_closed(bot: BotEnvironment) -> None:
    """Their checks do not run again, so they would stay green; one under the gate of main stays open."""
    former = propose(bot, 1)
    text = bot.workspace.text(config.GATE)
    bot.workspace.write({config.GATE: text.replace("min_recall: 0.6", "min_recall: 0.99", 1)}, "Raise the gate")
    bot.push()
    same = propose(bot, 2)
    record_failure(bot.root, outcome=bot.gate_failure("abcdef123456"))
    assert (bot.api.get_pull(former.number).state, bot.api.get_pull(same.number).state) == ("closed", "open")
    (comment,) = former.get_issue_comments()
    assert "this one was judged by another gate (min_recall 0.6 → 0.99)" in comment.body
