"""Push events and their delivery."""

from __future__ import annotations

from typing import Any

from local_github.git.output_parser import ZERO


def test_push_event_has_githubs_payload(emulator: Any, clone: Any) -> None:
    """Commits are in order with their files; changed files compare before with after."""
    before = clone.git("rev-parse", "main").stdout.strip()
    clone.commit({"a.txt": "1", "model-config/gate.yaml": "min_recall: 0.7\n"}, "One\n\nWhy.")
    after = clone.commit({"a.txt": None, "b.txt": "2"}, "Two")
    clone.push("main")
    (event,) = emulator.events
    payload = event.payload
    assert (event.name, event.ref, event.before, event.sha, event.actor) == (
        "push", "refs/heads/main", before, after, "alice",
    )  # fmt: skip
    assert set(event.changed_files) == {"b.txt", "model-config/gate.yaml"}
    assert not event.from_workflow_token
    assert [commit["message"] for commit in payload["commits"]] == ["One\n\nWhy.", "Two"]
    assert payload["commits"][0]["added"] == ["a.txt"]
    assert payload["commits"][0]["modified"] == ["model-config/gate.yaml"]
    assert payload["commits"][1]["removed"] == ["a.txt"]
    assert (payload["created"], payload["deleted"], payload["forced"]) == (False, False, False)
    assert payload["head_commit"]["id"] == payload["after"] == after
    assert payload["pusher"]["name"] == payload["sender"]["login"] == "alice"
    assert payload["repository"]["full_name"] == "acme/fraud"


def test_new_branch_event_has_only_new_commits(emulator: Any, clone: Any, branch: Any) -> None:
    """before is ZERO, and the changed files are those of the new commits."""
    branch("topic", {"topic.txt": "1"})
    (event,) = emulator.events
    assert event.before == ZERO
    assert event.payload["created"]
    assert len(event.payload["commits"]) == 1
    assert event.changed_files == ("topic.txt",)


def test_push_event_marks_force_deletion_and_tag(emulator: Any, clone: Any, branch: Any) -> None:
    """The payload has created, forced and deleted; a tag has no changed files."""
    branch("topic", {"one.txt": "1"})
    branch("topic", {"two.txt": "1"})
    clone.git("tag", "v1")
    clone.push("v1")
    clone.push(":topic")
    kinds = [(e.ref, e.payload["created"], e.payload["forced"], e.payload["deleted"]) for e in emulator.events]
    assert kinds == [
        ("refs/heads/topic", True, False, False),
        ("refs/heads/topic", False, True, False),
        ("refs/tags/v1", True, False, False),
        ("refs/heads/topic", False, False, True),
    ]
    assert emulator.events[2].changed_files == ()
    assert emulator.events[3].sha == ZERO


def test_events_of_a_workflow_token_are_marked(emulator: Any, clone: Any) -> None:
    """Events of an App are not marked."""
    clone.git("push", "--quiet", emulator.url(emulator.workflow_token(contents="write")), "main:one")
    app = emulator.token("release[bot]", permissions={"contents": "write"}, repository="acme/fraud")
    clone.git("push", "--quiet", emulator.url(app), "main:two")
    assert [(e.actor, e.from_workflow_token) for e in emulator.events] == [
        ("github-actions[bot]", True),
        ("release[bot]", False),
    ]


def test_failing_listener_does_not_fail_the_push(emulator: Any, clone: Any, caplog: Any) -> None:
    """The error is logged."""

    def fail(_: object) -> None:
        raise RuntimeError("no")

    emulator.github.events.listener = fail
    sha = clone.commit({"a": "1"})
    clone.push("main")
    assert emulator.github.state.find("acme", "fraud").git.branch("main") == sha
    assert "the listener failed on push" in caplog.text


def test_listener_may_call_the_api(emulator: Any, clone: Any) -> None:
    """Events are delivered in order without a lock, including those that the listener causes."""
    seen: list[str] = []

    def listen(event: Any) -> None:
        seen.append(event.ref)
        if event.ref == "refs/heads/main":
            api = emulator.api()
            api.create_git_ref("refs/heads/made", event.sha)

    emulator.github.events.listener = listen
    clone.commit({"a": "1"})
    clone.push("main")
    assert seen == ["refs/heads/main", "refs/heads/made"]


def test_changed_files_are_the_first_300_of_the_diff(emulator: Any, clone: Any, branch: Any) -> None:
    """GitHub's `paths:` filters read no more of a push or a pull request."""
    before = clone.git("rev-parse", "main").stdout.strip()
    files = {f"many/{number:03}.txt": "1" for number in range(300)}
    clone.commit(files | {"zzz.txt": "1"}, "Many")
    clone.push("main")
    (event,) = emulator.events
    assert event.before == before
    assert len(event.changed_files) == 300
    assert event.changed_files[-1] == "many/299.txt"
    assert not event.diff_too_large
    branch("topic", files | {"zzz.txt": "2"} | {f"many/{number:03}.txt": "2" for number in range(300)})
    emulator.api().create_pull(base="main", head="topic", title="T")
    (opened,) = emulator.named("pull_request")
    assert (len(opened.changed_files), opened.changed_files[-1]) == (300, "many/299.txt")


def test_push_of_more_than_1000_commits_is_too_large_to_compare(emulator: Any, clone: Any) -> None:
    """The workflow then runs regardless of its paths; 1,000 commits are compared."""
    for commits in (1_000, 1_001):
        parent = clone.git("rev-parse", "main").stdout.strip()
        stream = "".join(
            f"commit refs/heads/main\nmark :{number}\ncommitter Ada <ada@example.invalid> {number} +0000\ndata 1\nm\n"
            + (f"from {parent}\n" if number == 1 else "")
            for number in range(1, commits + 1)
        )
        (clone.root / "stream").write_text(stream)
        clone.git("checkout", "--quiet", "--detach")
        clone.git("-c", "core.pager=cat", "-c", "alias.load=!git fast-import --quiet --force < stream", "load")
        clone.push("main")
        assert emulator.events[-1].diff_too_large is (commits > 1_000)
