"""A model that passed the gate becomes one pull request with its evidence: repeated, concurrent and outdated runs."""

from __future__ import annotations

import pytest

from ml import config
from ml.aws import registry
from ml.commands.propose import propose
from ml.errors import ConfigError, GitHubError, Refused
from ml.gitops import approvals, labels, serving_pointer
from ml.gitops.repository import BOT
from ml.records.package_proposal import OutOfDate
from ml.training.gate_result import GateResult
from tests.harness.github.bot_environment import RUN, BotEnvironment

REQUEST = "20260301T060000Z-data-drift"


def test_model_that_passed_becomes_a_pull_request(bot: BotEnvironment) -> None:
    """Two commits of the bot on one branch, images, label and summary; ci.yml is started."""
    result = propose(bot.root, outcome=bot.outcome(bot.register(-1.0)))
    assert (result.state, result.branch, result.superseded) == ("created", "approve/0001", ())
    pull = bot.api.get_pull(result.pull_request or 0)
    assert (pull.state, pull.base.ref, pull.head.sha) == ("open", "main", result.commit)
    assert pull.title.startswith("0001: the first model: recall ")
    assert [label.name for label in pull.labels] == [labels.APPROVAL.name]
    assert [(each.commit.author.name, f"/runs/{RUN}" in each.commit.message) for each in pull.get_commits()] == [
        (BOT.name, True),
        (BOT.name, True),
    ]
    assert {file.filename for file in pull.get_files()} == {
        config.approval_path(1).as_posix(),
        config.SERVING.as_posix(),
    }
    assert bot.started == [("ci.yml", "approve/0001", {"pull_request": str(pull.number)})]
    evidence = bot.tip("evidence")
    for name in ("decision.png", "confusion-matrix.png"):
        assert f"/raw/{evidence}/approvals/0001/{name})" in pull.body
        content = bot.api.get_contents(f"approvals/0001/{name}", ref=evidence)
        assert not isinstance(content, list)
        assert content.decoded_content.startswith(b"\x89PNG")
    summary = (bot.folder / "summary.md").read_text()
    assert f"[#{pull.number}]({result.url}) was opened" in summary
    assert "pull_request<<" in (bot.folder / "output").read_text()


def test_second_run_changes_nothing(bot: BotEnvironment) -> None:
    """Pull request, commits, text and images are unchanged."""
    file = bot.outcome(bot.register(-1.0))
    first = propose(bot.root, outcome=file)
    pull, evidence = bot.api.get_pull(first.pull_request or 0), bot.tip("evidence")
    again = propose(bot.root, outcome=file)
    after = bot.api.get_pull(first.pull_request or 0)
    assert (again.state, again.pull_request, again.commit) == ("kept", first.pull_request, first.commit)
    assert (after.body, after.head.sha, bot.tip("evidence")) == (pull.body, pull.head.sha, evidence)
    assert bot.api.get_pulls(state="all").totalCount == 1


def test_fresh_clone_uses_the_existing_branch(bot: BotEnvironment) -> None:
    """A re-run has a new checkout, so the branch is fetched from GitHub."""
    file = bot.outcome(bot.register(-1.0))
    first = propose(bot.root, outcome=file)
    bot.workspace.git("branch", "-D", "approve/0001")
    again = propose(bot.root, outcome=file)
    assert (again.state, again.commit) == ("kept", first.commit)


def test_checks_are_not_dispatched_with_an_app_token(bot: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """An App's pull request starts ci.yml by itself."""
    monkeypatch.setenv("FRAUDOPS_TOKEN_FIRES", "true")
    assert not propose(bot.root, outcome=bot.outcome(bot.register(-1.0))).checked
    assert bot.started == []


def test_checks_are_not_dispatched_twice(bot: BotEnvironment) -> None:
    """A commit that has the status fraudops/ci is not checked again."""
    file = bot.outcome(bot.register(-1.0))
    first = propose(bot.root, outcome=file)
    bot.api.get_commit(first.commit or "").create_status("success", context="fraudops/ci")
    assert not propose(bot.root, outcome=file).checked
    assert len(bot.started) == 1


def test_branch_is_rebuilt_on_a_newer_main(bot: BotEnvironment) -> None:
    """The record keeps its time, and the pull request its number."""
    file = bot.outcome(bot.register(-1.0))
    first = propose(bot.root, outcome=file)
    created = approvals.read_record(bot.workspace.repository, first.commit or "", 1)
    bot.workspace.write({"README.md": "hello\n"}, "Say hello")
    bot.push()
    again = propose(bot.root, outcome=file)
    assert (again.state, again.pull_request) == ("updated", first.pull_request)
    assert bot.workspace.repository.is_ancestor(bot.tip("main"), again.commit or "")
    assert approvals.read_record(bot.workspace.repository, again.commit or "", 1) == created


def test_newer_model_replaces_an_older_proposal(bot: BotEnvironment) -> None:
    """The older pull request is closed with a comment and its branch deleted; a second run changes nothing."""
    older = propose(bot.root, outcome=bot.outcome(bot.register(-1.0)))
    file = bot.outcome(bot.register(2.0))
    newer = propose(bot.root, outcome=file)
    assert newer.superseded == (older.pull_request,)
    closed = bot.api.get_pull(older.pull_request or 0)
    assert (closed.state, closed.merged) == ("closed", False)
    (comment,) = bot.api.get_issue(closed.number).get_comments()
    assert f"Superseded by #{newer.pull_request}:" in comment.body
    assert "approve/0001" not in {branch.name for branch in bot.api.get_branches()}
    body = bot.api.get_pull(newer.pull_request or 0).body
    assert f"Replaces #{older.pull_request}." in body
    assert propose(bot.root, outcome=file).state == "kept"
    assert bot.api.get_pull(newer.pull_request or 0).body == body


def test_branch_of_a_person_is_not_replaced(bot: BotEnvironment) -> None:
    """A person's branch below approve/ and its pull request stay, whatever its name."""
    main = bot.tip("main")
    for branch in ("approve/mine", "approve/7"):
        bot.api.create_git_ref(f"refs/heads/{branch}", main)
        bot.api.create_file(f"docs/{branch[8:]}.md", "Write", "mine\n", branch=branch)
        bot.api.create_pull("main", branch, title="Mine", body="")
    assert propose(bot.root, outcome=bot.outcome(bot.register(-1.0))).superseded == ()
    assert {pull.head.ref for pull in bot.api.get_pulls()} == {"approve/0001", "approve/mine", "approve/7"}


def test_older_model_does_not_replace_a_newer_proposal(bot: BotEnvironment) -> None:
    """A re-run of the older training opens nothing, and the summary has the reason."""
    first = bot.outcome(bot.register(-1.0))
    newer = propose(bot.root, outcome=bot.outcome(bot.register(2.0)))
    result = propose(bot.root, outcome=first)
    assert (result.state, result.pull_request) == ("superseded", None)
    assert [pull.number for pull in bot.api.get_pulls()] == [newer.pull_request]
    assert f"#{newer.pull_request} proposes a model that was trained later" in (
        bot.folder / "summary.md"
    ).read_text().replace("&#8203;", "")


def test_merged_approval_is_not_proposed_again(bot: BotEnvironment) -> None:
    """A re-run after the merge reports "on main already"."""
    file = bot.outcome(bot.register(-1.0))
    bot.merge(propose(bot.root, outcome=file).pull_request or 0)
    assert serving_pointer.read(bot.workspace.repository, "main").approval == 1
    assert propose(bot.root, outcome=file).state == "on main already"
    assert bot.api.get_pulls(state="all").totalCount == 1


def test_pull_request_compares_with_the_champion(bot: BotEnvironment) -> None:
    """The text has the champion's approval and the configuration change since."""
    bot.merge(propose(bot.root, outcome=bot.outcome(bot.register(-1.0))).pull_request or 0)
    gate = bot.workspace.text(config.GATE).replace("min_positives: 15 ", "min_positives: 16 ", 1)
    bot.workspace.write({config.GATE: gate}, "Ask for more frauds")
    bot.push()
    result = propose(bot.root, outcome=bot.outcome(bot.register(2.0)))
    body = bot.api.get_pull(result.pull_request or 0).body
    assert "in place of approval 0001" in body
    assert "+min_positives: 16 " in body
    assert "The champion is approval 0001" in body


def test_model_compared_with_another_champion_is_refused_and_closed(bot: BotEnvironment) -> None:
    """If main serves another approval than the one compared with, the pull request is closed."""
    stale = bot.outcome(bot.register(-1.0))
    opened = propose(bot.root, outcome=stale)
    other = bot.outcome(bot.register(2.0))
    bot.workspace.git("fetch", "-q", "origin")
    from ml.commands.approve import approve
    from tests.harness.git.repositories import PERSON

    approve(bot.root, GateResult.read(other).package_arn or "", merge=True, approver=PERSON)
    bot.push()
    with pytest.raises(OutOfDate, match=r"approval 0002 serves: its verdict is out of date; train again"):
        propose(bot.root, outcome=stale)
    closed = bot.api.get_pull(opened.pull_request or 0)
    assert closed.state == "closed"
    (comment,) = bot.api.get_issue(closed.number).get_comments()
    assert "main serves approval 0002 meanwhile" in comment.body
    assert "start train.yml by hand." in (bot.folder / "summary.md").read_text()


def test_request_and_reason_are_escaped(bot: BotEnvironment) -> None:
    """Mentions, closing keywords and markup in people's text have no effect."""
    bot.request(REQUEST)
    arn = bot.register(-1.0, requests=f"={REQUEST}")
    result = propose(bot.root, outcome=bot.outcome(arn, asked="$(touch /tmp/x) closes #1 for @alice <b>"))
    body = bot.api.get_pull(result.pull_request or 0).body
    assert REQUEST in body
    assert "Evidence of" in body
    for live in ("@alice ", "@alice\n", "closes #1", "<b>"):
        assert live not in body.split("```yaml")[0]


def test_inconsistent_package_is_not_proposed(bot: BotEnvironment) -> None:
    """An artifact that differs from the evaluated one is refused, as by `approve`."""
    arn = bot.register(-1.0)
    package = registry.package(arn)
    bucket, key = package.model_data_url.removeprefix("s3://").split("/", 1)
    from ml.aws.session import client

    client("s3").put_object(Bucket=bucket, Key=key, Body=b"another")
    with pytest.raises(Refused, match="is not the model"):
        propose(bot.root, outcome=bot.outcome(arn))
    assert bot.api.get_pulls(state="all").totalCount == 0


def test_gate_failure_is_not_proposed(bot: BotEnvironment) -> None:
    """A failed gate, an incomplete file and a missing file are refused with the next step."""
    with pytest.raises(Refused, match="fraudops record-failure"):
        propose(bot.root, outcome=bot.gate_failure())
    (bot.folder / "x.json").write_text('{"schema": 1, "verdict": "passed"}')
    with pytest.raises(ConfigError, match="train again"):
        propose(bot.root, outcome=bot.folder / "x.json")
    with pytest.raises(ConfigError, match="no such file"):
        propose(bot.root, outcome=bot.folder / "absent.json")


def test_wrong_token_is_an_error(bot: BotEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names GITHUB_TOKEN."""
    file = bot.outcome(bot.register(-1.0))
    bot.workspace.git("fetch", "-q", "origin")
    monkeypatch.setenv("GITHUB_TOKEN", "wrong")
    with pytest.raises((GitHubError, Exception), match="GITHUB_TOKEN"):
        propose(bot.root, outcome=file)
