"""Merge queues: what is built, what waits, what merges, and what leaves the queue."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from local_github.clock import system_clock
from rest_calls import refusal, request

CHECKS = {
    "type": "required_status_checks",
    "parameters": {"required_status_checks": [{"context": "acme/ci"}], "strict_required_status_checks_policy": True},
}


def require(emulator: Any, *rules: dict[str, Any], **parameters: Any) -> None:
    """Requires a merge queue on main, and further rules."""
    body = {
        "name": "main",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [{"type": "merge_queue", "parameters": parameters}, *rules],
    }
    status, answer, _ = request(emulator, "POST", "/rulesets", body, emulator.token())
    assert status == 201, answer


def graphql(emulator: Any, query: str, **variables: Any) -> dict[str, Any]:
    """Sends an operation as alice."""
    data = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Authorization": f"bearer {emulator.token()}"}
    call = urllib.request.Request(emulator.github.graphql_url, data, headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(call, timeout=30) as answer:  # noqa: S310 - loopback
        return dict(json.loads(answer.read()))


def enqueue(emulator: Any, pull: Any) -> dict[str, Any]:
    """Adds a pull request to the queue; returns the answer."""
    fields = "mergeQueueEntry { position state baseCommit { oid } }"
    query = f"mutation($id: ID!) {{ enqueuePullRequest(input: {{pullRequestId: $id}}) {{ {fields} }} }}"
    return graphql(emulator, query, id=pull.raw_data["node_id"])


@pytest.fixture
def propose(emulator: Any, branch: Callable[..., str]) -> Callable[..., Any]:
    """Opens a pull request of a new branch whose head has passed acme/ci."""

    def make(name: str, files: dict[str, str] | None = None, *, passed: bool = True) -> Any:
        head = branch(name, files)
        if passed:
            post(emulator, head)
        return emulator.api().create_pull(base="main", head=name, title=name.title())

    return make


def post(emulator: Any, sha: str, state: str = "success") -> None:
    """Posts acme/ci."""
    emulator.api().get_commit(sha).create_status(state, context="acme/ci")


def queued(emulator: Any) -> dict[int, str]:
    """The commit of each entry that is built, by the number of its pull request."""
    entries = emulator.github.state.find("acme", "fraud").merge_queues.get("main", [])
    return {entry.number: entry.sha for entry in entries if entry.sha}


def tip(emulator: Any, name: str = "main") -> str | None:
    """The commit of a branch."""
    found = emulator.github.state.find("acme", "fraud").git.branch(name)
    return None if found is None else str(found)


def reasons(emulator: Any) -> list[tuple[int, str]]:
    """Which pull requests left the queue without a merge, and why."""
    events = [event for event in emulator.named("pull_request") if event.action == "dequeued"]
    return [(event.payload["number"], event.payload["reason"]) for event in events]


def test_entry_is_built_checked_and_merged(emulator: Any, propose: Any) -> None:
    """Its commit merges the head into the tip of main, is on a branch of the queue, and becomes the tip."""
    require(emulator, CHECKS)
    pull, before = propose("topic"), tip(emulator)
    assert enqueue(emulator, pull)["data"]["enqueuePullRequest"]["mergeQueueEntry"]["position"] == 1
    sha = queued(emulator)[1]
    name = f"gh-readonly-queue/main/pr-1-{before}"
    assert tip(emulator, name) == sha
    commit = emulator.api().get_commit(sha)
    assert [parent.sha for parent in commit.parents] == [before, pull.head.sha]
    assert commit.commit.message.startswith("Merge pull request #1 from acme/topic")
    (event,) = emulator.named("merge_group")
    assert (event.action, event.ref, event.sha) == ("checks_requested", f"refs/heads/{name}", sha)
    group = event.payload["merge_group"]
    assert {key: group[key] for key in ("head_sha", "head_ref", "base_sha", "base_ref")} == {
        "head_sha": sha,
        "head_ref": f"refs/heads/{name}",
        "base_sha": before,
        "base_ref": "refs/heads/main",
    }
    assert (group["head_commit"]["id"], event.actor) == (sha, "github-merge-queue[bot]")
    post(emulator, sha, "pending")
    assert tip(emulator) == before
    post(emulator, sha)
    assert (tip(emulator), tip(emulator, name), queued(emulator)) == (sha, None, {})
    merged = emulator.api().get_pull(1)
    assert (merged.merged, merged.merge_commit_sha, merged.merged_by.login) == (True, sha, "github-merge-queue[bot]")
    assert [(e.action, e.payload.get("reason")) for e in emulator.named("merge_group")[1:]] == [("destroyed", "merged")]
    assert [e.after for e in map(_push, emulator.named("push")) if e.ref == "refs/heads/main"] == [sha]


def _push(event: Any) -> Any:
    return type("Push", (), {"ref": event.ref, "after": event.sha})


def test_entries_are_built_on_each_other(emulator: Any, propose: Any) -> None:
    """The second one includes the first, and waits for it even if its own checks have passed."""
    require(emulator, CHECKS)
    first, second = propose("one"), propose("two")
    enqueue(emulator, first)
    assert enqueue(emulator, second)["data"]["enqueuePullRequest"]["mergeQueueEntry"]["position"] == 2
    built = queued(emulator)
    assert emulator.api().get_commit(built[2]).parents[0].sha == built[1]
    before = tip(emulator)
    post(emulator, built[2])
    assert tip(emulator) == before
    post(emulator, built[1])
    assert tip(emulator) == built[2]
    assert second.number not in queued(emulator)


def test_failed_entry_leaves_and_later_ones_are_built_again(emulator: Any, propose: Any) -> None:
    """The later one loses its commit, which had the failed one in it."""
    require(emulator, CHECKS)
    first, second = propose("one"), propose("two")
    enqueue(emulator, first)
    enqueue(emulator, second)
    built, before = queued(emulator), tip(emulator)
    post(emulator, built[1], "failure")
    again = queued(emulator)
    assert (set(again), again[2] != built[2]) == ({2}, True)
    assert emulator.api().get_commit(again[2]).parents[0].sha == before
    assert (reasons(emulator), emulator.api().get_pull(1).state) == ([(1, "FAILED_CHECKS")], "open")
    post(emulator, again[2])
    assert tip(emulator) == again[2]
    assert enqueue(emulator, first)["data"]["enqueuePullRequest"]["mergeQueueEntry"]["position"] == 1


def test_entry_with_a_conflict_leaves(emulator: Any, propose: Any) -> None:
    """Both merge alone, but not one after the other."""
    require(emulator, CHECKS)
    enqueue(emulator, propose("one", {"gate.yaml": "1\n"}))
    enqueue(emulator, propose("two", {"gate.yaml": "2\n"}))
    assert (set(queued(emulator)), reasons(emulator)) == ({1}, [(2, "MERGE_CONFLICT")])


def test_push_close_and_dequeue_remove_an_entry(emulator: Any, clone: Any, propose: Any) -> None:
    """The branch of the queue is deleted with it."""
    require(emulator, CHECKS)
    pulls = [propose(name) for name in ("one", "two", "three")]
    for pull in pulls:
        enqueue(emulator, pull)
    clone.git("checkout", "--quiet", "one")
    clone.commit({"more": "1"})
    clone.push("one")
    pulls[1].edit(state="closed")
    query = "mutation($id: ID!) { dequeuePullRequest(input: {id: $id}) { mergeQueueEntry { position } } }"
    graphql(emulator, query, id=pulls[2].raw_data["node_id"])
    assert reasons(emulator) == [(1, "BRANCH_PUSHED"), (2, "MANUAL"), (3, "MANUAL")]
    git = emulator.github.state.find("acme", "fraud").git
    assert [name for name in git.refs() if "gh-readonly-queue" in name] == []
    assert "not in the merge queue" in str(graphql(emulator, query, id=pulls[2].raw_data["node_id"])["errors"])


def test_moved_branch_makes_the_queue_build_again(emulator: Any, clone: Any, propose: Any) -> None:
    """A bypass actor pushes to main while an entry waits."""
    actor = {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}
    require(emulator, CHECKS)
    number = request(emulator, "GET", "/rulesets", token=emulator.token())[1][0]["id"]
    enqueue(emulator, propose("topic"))
    former = queued(emulator)[1]
    request(emulator, "PUT", f"/rulesets/{number}", {"bypass_actors": [actor]}, emulator.token())
    clone.git("checkout", "--quiet", "main")
    pushed = clone.commit({"direct": "1"})
    clone.push("main")
    assert queued(emulator)[1] != former
    assert emulator.api().get_commit(queued(emulator)[1]).parents[0].sha == pushed
    post(emulator, queued(emulator)[1])
    assert emulator.api().get_pull(1).merged


def test_squash_queue_makes_one_commit(emulator: Any, propose: Any) -> None:
    """The rule chooses the method; without required checks an entry merges at once."""
    require(emulator, merge_method="SQUASH")
    before = tip(emulator)
    enqueue(emulator, propose("topic", passed=False))
    commit = emulator.api().get_commit(tip(emulator))
    assert ([parent.sha for parent in commit.parents], commit.commit.message) == ([before], "Topic (#1)\n\n* Change")


def test_timeout_of_checks(emulator: Any, propose: Any) -> None:
    """An entry whose checks do not come in time leaves when time has passed and something changes."""
    require(emulator, CHECKS, check_response_timeout_minutes=10)
    enqueue(emulator, propose("topic"))
    state = emulator.github.state
    state.clock = lambda: system_clock() + timedelta(minutes=9)
    emulator.api().create_issue("Nine minutes")
    assert set(queued(emulator)) == {1}
    state.clock = lambda: system_clock() + timedelta(minutes=11)
    emulator.api().create_issue("Eleven minutes")
    assert reasons(emulator) == [(1, "CI_TIMEOUT")]


def test_number_of_built_entries_is_limited(emulator: Any, propose: Any) -> None:
    """The third one is built when the first has merged."""
    require(emulator, CHECKS, max_entries_to_build=2)
    for name in ("one", "two", "three"):
        enqueue(emulator, propose(name))
    assert set(queued(emulator)) == {1, 2}
    post(emulator, queued(emulator)[1])
    assert set(queued(emulator)) == {2, 3}


def test_only_the_queue_changes_main(emulator: Any, clone: Any, propose: Any) -> None:
    """Pushes, merges over REST and changes of the queue's own branches are refused."""
    require(emulator, CHECKS)
    pull = propose("topic")
    assert "Changes must be made through the merge queue" in refusal(pull.merge, 405)
    clone.git("checkout", "--quiet", "main")
    clone.commit({"a": "1"})
    process = clone.push("main", check=False)
    assert process.returncode == 1
    assert "GH013" in process.stderr
    assert "- Changes must be made through the merge queue" in process.stderr
    repository = emulator.api()
    message = refusal(lambda: repository.create_file("new.txt", "Add", "1", branch="main"), 409)
    assert "through the merge queue" in message
    enqueue(emulator, pull)
    name = f"gh-readonly-queue/main/pr-1-{tip(emulator)}"
    for refspec in (f"+main:{name}", f":{name}"):
        process = clone.push(refspec, check=False)
        assert (process.returncode, "Only the merge queue may change" in process.stderr) == (1, True)
    refusal(repository.get_git_ref(f"heads/{name}").delete, 422)


def test_pull_request_that_is_not_ready_is_not_queued(emulator: Any, propose: Any) -> None:
    """Its own head needs the status and the reviews; a draft, a second time and a branch without a queue are errors."""
    pull = propose("topic", passed=False)
    assert "Merge queue is not enabled on main" in str(enqueue(emulator, pull)["errors"])
    review = {"type": "pull_request", "parameters": {"required_approving_review_count": 1}}
    require(emulator, CHECKS, review)
    assert 'Required status check \\"acme/ci\\" is expected' in json.dumps(enqueue(emulator, pull)["errors"])
    post(emulator, pull.head.sha)
    assert "approving review is required" in str(enqueue(emulator, pull)["errors"])
    emulator.api(emulator.token("bob")).get_pull(1).create_review(event="APPROVE")
    assert "errors" not in enqueue(emulator, pull)
    assert "already in the merge queue" in str(enqueue(emulator, pull)["errors"])
    assert "acme/ci" not in str(reasons(emulator))


def test_queue_that_is_no_longer_required_is_cleared(emulator: Any, propose: Any) -> None:
    """The pull request stays open and can be merged directly."""
    require(emulator, CHECKS)
    pull = propose("topic")
    enqueue(emulator, pull)
    number = request(emulator, "GET", "/rulesets", token=emulator.token())[1][0]["id"]
    request(emulator, "DELETE", f"/rulesets/{number}", token=emulator.token())
    assert (reasons(emulator), queued(emulator)) == ([(1, "QUEUE_CLEARED")], {})
    assert pull.merge().merged
