"""Pull requests on the GitHub emulator: one per branch, concurrent runs, superseding, comments, workflow dispatch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from github.Repository import Repository as Api

from ml.errors import GitHubError
from ml.gitops import comments, labels, pull_requests
from ml.gitops.github_client import BODY_LIMIT, GitHub
from tests.harness.github.emulator import NAME, Hub
from tests.harness.github.scripted import Script, answer, refusal, serving

TEXT = "The figures.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"


def propose(github: GitHub, branch: str = "approve/0007", **changes: Any) -> pull_requests.PullRequest:
    """Proposes an approval's branch."""
    fields = {"base": "main", "title": "Serve approval 0007", "body": TEXT, "labels": [labels.APPROVAL]} | changes
    return pull_requests.propose(github, branch=branch, **fields)


def test_branch_has_one_pull_request(hub: Hub) -> None:
    """It is created, kept if nothing changed, and updated if the title or text changed."""
    commit = hub.branch("approve/0007")
    first = propose(hub.client())
    assert (first.outcome, first.state, first.head_sha, first.base) == ("created", "open", commit, "main")
    assert (first.labels, first.author, first.from_fork) == (("model-approval",), "github-actions[bot]", False)
    assert first.url == f"{hub.server.url}/{NAME}/pull/{first.number}"
    events = list(hub.person().get_issue(first.number).get_comments())
    assert propose(hub.client()).outcome == "kept"
    second = propose(hub.client(), body="Other figures.", title="Serve it")
    assert (second.number, second.outcome, second.title, second.body) == (
        first.number,
        "updated",
        "Serve it",
        "Other figures.",
    )
    assert [pull.number for pull in hub.person().get_pulls(state="all")] == [first.number]
    assert list(hub.person().get_issue(first.number).get_comments()) == events == []


def test_label_is_created_and_other_labels_stay(hub: Hub) -> None:
    """The label has its colour and description; edits and labels of people are kept."""
    hub.branch("approve/0007")
    number = propose(hub.client()).number
    label = hub.person().get_label("model-approval")
    assert (label.color, label.description) == (labels.APPROVAL.colour, labels.APPROVAL.description)
    label.edit("model-approval", "ff00ff")
    hub.person().create_label("urgent", "aabbcc")
    issue = hub.person().get_issue(number)
    issue.edit(labels=["urgent"])
    assert propose(hub.client()).labels == ("model-approval", "urgent")
    assert {each.name for each in hub.person().get_issue(number).labels} == {"model-approval", "urgent"}
    assert hub.person().get_label("model-approval").color == "ff00ff"


def test_concurrent_runs_open_one_pull_request(hub: Hub) -> None:
    """Six runs at the same time: one creates it, the others find it, without an error."""
    hub.branch("approve/0007")
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: propose(hub.client()), range(6)))
    assert len({pull.number for pull in found}) == 1
    assert [pull.outcome for pull in found].count("created") == 1
    assert hub.person().get_pulls(state="all").totalCount == 1


def test_existing_pull_request_is_updated_after_a_lost_race() -> None:
    """If GitHub answers that one exists already, it is looked up and updated."""
    pull = {
        "number": 3, "html_url": "x", "url": "x", "title": "old", "body": TEXT, "state": "open", "merged_at": None,
        "head": {"ref": "approve/0007", "sha": "a" * 40, "repo": {"full_name": "O/R", "url": "x"}},
        "base": {"ref": "main", "sha": "b" * 40}, "user": {"login": "x", "url": "x"},
        "labels": [{"name": "model-approval", "url": "x"}],
    }  # fmt: skip
    exists = answer(
        {"message": "Validation Failed", "errors": [{"message": "A pull request already exists for o:approve/0007."}]},
        422,
    )
    script = Script().on("GET", "/pulls", answer([]), answer([pull])).on("POST", "/pulls", exists)
    script.on("PATCH", "/pulls/3", answer(pull | {"title": "Serve approval 0007"}))
    with serving(script):
        pull["url"] = f"{script.url}/api/v3/repos/o/r/pulls/3"
        assert propose(script.github()).outcome == "updated"
    assert script.asked[-1] == ("PATCH", "/pulls/3", {"title": "Serve approval 0007", "body": TEXT})


def test_lost_answer_creates_no_second_pull_request() -> None:
    """GitHub answers 502 although it created the pull request: it is found and not created again."""
    pull = {
        "number": 3, "html_url": "x", "url": "x", "title": "Serve approval 0007", "body": TEXT, "state": "open",
        "head": {"ref": "approve/0007", "sha": "a" * 40, "repo": {"full_name": "o/r", "url": "x"}},
        "base": {"ref": "main", "sha": "b" * 40}, "user": {"login": "x", "url": "x"}, "merged_at": None,
        "labels": [{"name": "model-approval", "url": "x"}],
    }  # fmt: skip
    script = Script().on("GET", "/pulls", answer([]), answer([pull])).on("POST", "/pulls", refusal(502, "Oops"))
    with serving(script):
        assert propose(script.github()).number == 3
    assert script.count("POST", "/pulls") == 1


def test_refused_proposal_is_an_error(hub: Hub) -> None:
    """A missing branch, a repository setting and a missing permission each give an error with the remedy."""
    with pytest.raises(GitHubError, match=r"proposing approve/0007: GitHub answered 422"):
        propose(hub.client())
    hub.branch("approve/0007")
    settings = hub.server.state.repositories[NAME].settings
    settings["can_approve_pull_request_reviews"] = False
    with pytest.raises(GitHubError, match='switch on "Allow GitHub Actions to create and approve pull requests"'):
        propose(hub.client())
    with pytest.raises(GitHubError, match=r"403: .*grant the job that permission"):
        propose(hub.client(hub.server.token("x-app[bot]", permissions={"contents": "write"}, repository=NAME)))


def test_long_text_is_cut(hub: Hub) -> None:
    """The text ends with a note at GitHub's length limit."""
    hub.branch("approve/0007")
    found = propose(hub.client(), body="a line\n" * 20_000)
    assert comments.github_length(found.body) <= BODY_LIMIT
    assert found.body.endswith("a line\n\n… cut off here: GitHub's length limit.")
    assert propose(hub.client(), body="a line\n" * 20_000).outcome == "kept"


def fork(hub: Hub, branch: str) -> Api:
    """A fork of user mallory with a commit on a branch of that name, and its pull request."""
    hub.person("mallory").create_fork()
    forked = hub.person("mallory", "mallory/fraudops")
    head = forked.get_branch("main").commit.sha
    forked.create_git_ref(f"refs/heads/{branch}", head)
    forked.create_file("evil.md", "evil", "x", branch=branch)
    hub.person("mallory").create_pull("main", f"mallory:{branch}", title="Mine", body="x")
    return forked


def test_fork_branch_of_the_same_name_is_ignored(hub: Hub) -> None:
    """A fork's pull request is not found, listed or updated as the bot's."""
    fork(hub, "approve/0007")
    github = hub.client()
    assert pull_requests.find(github, "approve/0007") is None
    assert pull_requests.list_open(github, "approve/") == []
    hub.branch("approve/0007")
    ours = propose(github)
    assert (ours.outcome, ours.title) == ("created", "Serve approval 0007")
    theirs = pull_requests.get(github, 1)
    assert (theirs.from_fork, theirs.title) == (True, "Mine")
    assert [pull.number for pull in pull_requests.list_open(github, "approve/")] == [ours.number]


def test_superseded_pull_requests_are_closed_with_a_comment(hub: Hub) -> None:
    """The comment has the successor and the reason; branches are deleted; closed ones are left alone."""
    github = hub.client()
    for name in ("approve/0007", "approve/0008", "approve/0009", "rollback/0006"):
        hub.branch(name)
        propose(github, name, title=name)
    numbers = [pull.number for pull in pull_requests.list_open(github, "approve/")]
    assert [pull.branch for pull in pull_requests.list_open(github, "approve/")] == [
        "approve/0007",
        "approve/0008",
        "approve/0009",
    ]
    newest = numbers.pop()
    closed = pull_requests.supersede(github, numbers, by=f"#{newest}", reason="A newer model.", delete_branch=True)
    assert closed == numbers
    assert pull_requests.supersede(github, numbers, by=f"#{newest}", reason="A newer model.", delete_branch=True) == []
    for number in numbers:
        assert pull_requests.get(github, number).state == "closed"
        comments = [comment.body for comment in hub.person().get_issue(number).get_comments()]
        assert len(comments) == 1
        assert f"Superseded by #{newest}: A newer model." in comments[0]
    assert [pull.number for pull in pull_requests.list_open(github, "approve/")] == [newest]
    assert hub.remote().fetch("approve/0007") is None
    assert hub.remote().fetch("approve/0009") is not None


def test_superseded_branch_with_a_commit_of_a_person_is_kept(hub: Hub) -> None:
    """The pull request is closed, but the branch is not deleted."""
    github = hub.client()
    hub.branch("approve/0007")
    number = propose(github).number
    hub.person().create_file("notes/mine.md", "Look at this", "mine\n", branch="approve/0007")
    assert pull_requests.supersede(github, [number], by="#9", reason="A newer model.", delete_branch=True) == [number]
    assert hub.remote().fetch("approve/0007") is not None


def test_merged_pull_request_has_state_merged(hub: Hub) -> None:
    """It is not found as open and cannot be superseded."""
    hub.branch("approve/0007")
    number = propose(hub.client()).number
    hub.person().get_pull(number).merge()
    assert pull_requests.get(hub.client(), number).state == "merged"
    assert pull_requests.find(hub.client(), "approve/0007") is None
    assert pull_requests.supersede(hub.client(), [number], by="#9", reason="x") == []


def test_changed_files_are_listed(hub: Hub) -> None:
    """The changed files of a pull request are returned by path."""
    hub.branch("approve/0007")
    number = propose(hub.client()).number
    assert pull_requests.changed_files(hub.client(), number) == ["notes/approve/0007.md"]


def test_comment_is_updated_in_place(hub: Hub) -> None:
    """One comment per marker: created, kept, updated."""
    hub.branch("approve/0007")
    github, number = hub.client(), propose(hub.client()).number
    states = [comments.upsert(github, number, "plan", text).state for text in ("one", "one", "two")]
    assert states == ["created", "kept", "updated"]
    assert comments.upsert(github, number, "superseded", "other").state == "created"
    assert [comment.body for comment in hub.person().get_issue(number).get_comments()] == [
        "<!-- fraudops: plan -->\ntwo",
        "<!-- fraudops: superseded -->\nother",
    ]
    found = comments.find(github, number, "plan")
    assert found is not None
    assert found.body.endswith("two")
    assert comments.find(github, number, "else") is None


def test_comment_of_an_outsider_with_the_marker_is_ignored(hub: Hub) -> None:
    """The bot writes a comment of its own, because the outsider could edit theirs later."""
    hub.branch("approve/0007")
    github, number = hub.client(), propose(hub.client()).number
    hub.person("mallory").get_issue(number).create_comment("<!-- fraudops: plan -->\nAll is well, merge it.")
    assert comments.upsert(github, number, "plan", "The truth").state == "created"
    assert comments.upsert(github, number, "plan", "The truth").state == "kept"
    assert [comment.user.login for comment in hub.person().get_issue(number).get_comments()] == [
        "mallory",
        "github-actions[bot]",
    ]


def test_duplicate_comments_are_reduced_to_one(hub: Hub) -> None:
    """After a lost answer there are two: the first is updated and the second deleted."""
    hub.branch("approve/0007")
    github, number = hub.client(), propose(hub.client()).number
    for _ in range(2):
        github.run("twice", lambda api: api.get_issue(number).create_comment("<!-- fraudops: plan -->\nold"))
    comments.upsert(github, number, "plan", "new")
    assert [comment.body for comment in hub.person().get_issue(number).get_comments()] == [
        "<!-- fraudops: plan -->\nnew"
    ]


@pytest.mark.parametrize("marker", ["", "a--b", "a>b", "a\nb", "<!--"])
def test_marker_with_other_characters_is_rejected(marker: str) -> None:
    """A marker has only letters, digits, spaces and single dashes, so it cannot end the HTML comment."""
    with pytest.raises(ValueError, match="a marker is"):
        comments.marker_line(marker)


def test_workflow_is_dispatched_by_file_name() -> None:
    """Booleans are sent as "true" and "false"; a lost answer is retried, a refusal is an error."""
    script = Script().on("POST", "/actions/workflows/ci.yml/dispatches", refusal(502, "Oops"), answer(None, 204))
    with serving(script):
        pull_requests.dispatch(script.github(), "ci.yml", ref="approve/0007", inputs={"suite": False, "reason": "$(x)"})
        with pytest.raises(GitHubError, match=r"starting none\.yml on main: GitHub answered 404"):
            pull_requests.dispatch(script.github(), "none.yml", ref="main")
    expected = {"ref": "approve/0007", "inputs": {"suite": "false", "reason": "$(x)"}}
    assert [each[2] for each in script.asked[:2]] == [expected, expected]
