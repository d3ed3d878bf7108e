"""REST: issues, comments, labels, search, paging."""

from __future__ import annotations

from typing import Any

from github import Auth, Github
from rest_calls import refusal, request


def test_issue_changes_emit_events(emulator: Any, clone: Any) -> None:
    """Opening, labelling, commenting, closing and reopening emit GitHub's events."""
    api = emulator.api()
    issue = api.create_issue("Gate failed", "0.58 < 0.60", labels=["training", "bug"])
    assert {label.name for label in issue.labels} == {"training", "bug"}
    comment = issue.create_comment("First")
    comment.edit("Second")
    assert [item.body for item in issue.get_comments()] == ["Second"]
    comment.delete()
    assert issue.get_comments().totalCount == 0
    issue.remove_from_labels("bug")
    issue.add_to_labels("drift")
    issue.edit(title="New", state="closed", state_reason="not_planned")
    assert (issue.title, issue.state, issue.state_reason) == ("New", "closed", "not_planned")
    issue.edit(state="open")
    actions = [(event.name, event.action) for event in emulator.events]
    assert actions == [
        ("issues", "opened"), ("issues", "labeled"), ("issues", "labeled"), ("issue_comment", "created"),
        ("issues", "unlabeled"), ("issues", "labeled"), ("issues", "closed"), ("issues", "reopened"),
    ]  # fmt: skip
    assert [item.number for item in api.get_issues(labels=["drift"])] == [1]
    assert api.get_issues(labels=["bug"]).totalCount == 0
    refusal(lambda: issue.create_comment(" "), 422)
    refusal(lambda: api.get_issue(9), 404)
    refusal(lambda: issue.remove_from_labels("absent"), 404)


def test_labels_are_renamed_and_deleted_on_issues(emulator: Any, clone: Any) -> None:
    """A duplicate or an invalid colour is 422."""
    api = emulator.api()
    label = api.create_label("approval", "00ff00", "Serves when merged")
    assert "already_exists" in refusal(lambda: api.create_label("Approval", "00ff00"), 422)
    refusal(lambda: api.create_label("other", "green"), 422)
    issue = api.create_issue("T", labels=["approval"])
    label.edit("serve", "ff0000")
    issue.update()
    assert [item.name for item in issue.labels] == ["serve"]
    api.get_label("serve").delete()
    issue.update()
    assert issue.labels == []


def test_search_by_qualifiers_and_words(emulator: Any, clone: Any) -> None:
    """An unknown qualifier is 422."""
    emulator.api().create_issue("Gate failed on Monday", labels=["training"])
    emulator.api().create_issue("Something else")
    client = Github(base_url=emulator.github.api_url, auth=Auth.Token(emulator.token()), retry=None)
    found = client.search_issues("repo:acme/fraud is:issue is:open label:training gate")
    assert [issue.number for issue in found] == [1]
    assert client.search_issues("repo:acme/fraud -label:training").totalCount == 1
    refusal(lambda: list(client.search_issues("reactions:>5")), 422)


def test_lists_have_link_headers(emulator: Any, clone: Any) -> None:
    """PyGithub follows the headers; they name first, previous, next and last."""
    repository, api = emulator.github.state.find("acme", "fraud"), emulator.api()
    for number in range(65):
        api.create_issue(f"Issue {number}")
    assert len(repository.issues) == 65
    assert len({issue.number for issue in api.get_issues()}) == 65
    _, items, headers = request(emulator, "GET", "/issues?per_page=20&page=2&state=all")
    assert len(items) == 20
    links = headers["Link"]
    assert [part.partition('rel="')[2].rstrip('"') for part in links.split(", ")] == ["prev", "first", "next", "last"]
    assert f"<{emulator.github.api_url}/repos/acme/fraud/issues?state=all&per_page=20&page=4>" in links
    assert request(emulator, "GET", "/issues?per_page=100")[2]["Link"] is None
    assert len(request(emulator, "GET", "/issues?per_page=1000&page=-3")[1]) == 65
