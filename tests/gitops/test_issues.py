"""Issues on the GitHub emulator: one open issue per cause, updated by comments."""

from __future__ import annotations

from typing import Any

from ml.gitops import issues, labels
from ml.gitops.github_client import GitHub
from tests.harness.github.emulator import Hub


def report(github: GitHub, **changes: Any) -> issues.Issue:
    """Reports a failed gate; `changes` replace fields."""
    fields: dict[str, Any] = {
        "cause": "gate failed recall",
        "label": labels.GATE_FAILURE,
        "title": "Gate failed: recall",
        "body": "Recall 0.50 ≤ 0.60.",
        "occurrence": "run-1",
    }
    return issues.report(github, **(fields | changes))


def comments(hub: Hub, number: int) -> list[str]:
    """The last line of each comment."""
    return [comment.body.splitlines()[-1] for comment in hub.person().get_issue(number).get_comments()]


def test_cause_has_one_issue(hub: Hub) -> None:
    """A second occurrence is a comment; a re-run adds nothing, or edits its comment if the text changed."""
    github = hub.client()
    first = report(github)
    assert (first.outcome, first.state, first.title) == ("created", "open", "Gate failed: recall")
    assert report(github).outcome == "kept"
    assert report(github, occurrence="run-2", body="Again.").outcome == "commented"
    assert report(github, occurrence="run-2", body="Again.").outcome == "kept"
    assert report(github, occurrence="run-2", body="Again, with more.").outcome == "commented"
    assert report(github, occurrence="run-3", body="A third time.").number == first.number
    assert comments(hub, first.number) == ["Again, with more.", "A third time."]
    assert [issue.number for issue in hub.person().get_issues(state="all")] == [first.number]
    assert [label.name for label in hub.person().get_issue(first.number).labels] == ["gate-failed"]


def test_without_occurrences_there_is_one_comment(hub: Hub) -> None:
    """A report without an occurrence keeps one comment with the latest text."""
    github = hub.client()
    number = report(github, occurrence=None).number
    assert report(github, occurrence=None).outcome == "kept"
    for body in ("second", "third"):
        assert report(github, occurrence=None, body=body).outcome == "commented"
    assert comments(hub, number) == ["third"]


def test_another_cause_is_another_issue(hub: Hub) -> None:
    """Also with the same label."""
    github = hub.client()
    assert report(github).number != report(github, cause="gate failed champion").number


def test_recurring_cause_opens_an_issue_that_names_the_former(hub: Hub) -> None:
    """A closed issue is not reopened; the new issue links to it."""
    github = hub.client()
    first = report(github)
    closed = issues.close(github, cause="gate failed recall", label=labels.GATE_FAILURE, comment="Approved: #9.")
    assert [(each.number, each.state, each.outcome) for each in closed] == [(first.number, "closed", "closed")]
    assert comments(hub, first.number) == ["Approved: #9."]
    assert issues.close(github, cause="gate failed recall", label=labels.GATE_FAILURE, comment="Again.") == []
    assert issues.find(github, cause="gate failed recall", label=labels.GATE_FAILURE) is None
    second = report(github, occurrence="run-9")
    assert (second.outcome, second.number) != ("kept", first.number)
    assert f"Earlier issue: #{first.number}." in hub.person().get_issue(second.number).body
    found = issues.find(github, cause="gate failed recall", label=labels.GATE_FAILURE)
    assert found is not None
    assert found.number == second.number


def test_issue_of_an_outsider_is_ignored(hub: Hub) -> None:
    """An outsider's issue with the marker and the label is not treated as the bot's."""
    github = hub.client()
    number = report(github).number
    body = hub.person().get_issue(number).body
    issues.close(github, cause="gate failed recall", label=labels.GATE_FAILURE, comment="x")
    hub.person("mallory").create_issue("Mine", body=body, labels=["gate-failed"])
    assert issues.find(github, cause="gate failed recall", label=labels.GATE_FAILURE) is None
    assert report(github, occurrence="run-2").outcome == "created"


def test_pull_requests_are_not_issues(hub: Hub) -> None:
    """GitHub lists pull requests among issues; they are left out."""
    github = hub.client()
    number = report(github).number
    body = hub.person().get_issue(number).body
    issues.close(github, cause="gate failed recall", label=labels.GATE_FAILURE, comment="x")
    hub.branch("bot/x")
    made = github.run("x", lambda api: api.create_pull("main", "bot/x", title="x", body=body).number)
    hub.person().get_issue(made).edit(labels=["gate-failed"])
    assert issues.find(github, cause="gate failed recall", label=labels.GATE_FAILURE) is None
