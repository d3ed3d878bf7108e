"""An approval's branch: its two commits, repeated runs, rebuilding on a newer main, and commits of people on it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ml import config
from ml.errors import ConfigError, GitError, Refused
from ml.gitops import approvals, commit_messages, serving_pointer
from ml.gitops.repository import BOT
from tests.harness.git.repositories import PERSON, SERVING, GitWorkspace, record


def merge(workspace: GitWorkspace, proposal: approvals.ApprovalBranch) -> str:
    """Merges an approval's branch as a person does."""
    return workspace.repository.merge(
        proposal.branch, commit_messages.merge(proposal.record, proposal.branch), author=PERSON
    )


def test_branch_holds_the_record_and_then_the_pointer(workspace: GitWorkspace) -> None:
    """The bot's first commit adds the record, the second changes the pointer; main does not move."""
    repository, base = workspace.repository, workspace.repository.head()
    proposal = approvals.propose(repository, record(7))
    assert (proposal.branch, proposal.state) == ("approve/0007", "created")
    second, first = repository.log(f"main..{proposal.branch}")
    assert (first.sha, second.sha) == (proposal.record_commit, proposal.pointer_commit)
    assert {first.author, second.author} == {BOT.name}
    assert workspace.changed(base, first.sha) == ["model-config/approvals/0007.yaml"]
    assert workspace.changed(first.sha, second.sha) == ["model-config/serving/production.yaml"]
    assert repository.show(proposal.branch, config.SERVING) == SERVING.replace("null", "7").encode()
    assert approvals.read_record(repository, proposal.branch, 7) == record(7)
    assert (repository.head(), repository.branch(), repository.dirty()) == (base, "main", [])


def test_commit_messages_have_the_evidence(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Subject, verdict, package, digest, data, requests, the run's URL and how to undo it."""
    for name, value in (("SERVER_URL", "https://git.invalid"), ("REPOSITORY", "o/r"), ("RUN_ID", "5")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    proposal = approvals.propose(workspace.repository, record(7))
    first = workspace.git("log", "-1", "--format=%B", proposal.record_commit)
    assert first.splitlines()[0] == "Record approval 0007"
    for evidence in ("Recall 0.90 > 0.60", record(7).model_package_arn, record(7).artifact.sha256, "20 frauds"):
        assert evidence in first
    assert "Resolves: 20260301T060000Z-data-drift" in first
    second = workspace.git("log", "-1", "--format=%B", proposal.pointer_commit)
    assert second.splitlines()[0] == "Serve approval 0007"
    assert "revert only this commit" in second
    assert first.endswith(second_run := "Run: https://git.invalid/o/r/actions/runs/5")
    assert second.endswith(second_run)


def test_second_run_keeps_the_branch(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on another day keeps the commits and the record's time."""
    first = approvals.propose(workspace.repository, record(7))
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-01-01T00:00:00Z")
    again = approvals.propose(workspace.repository, record(7, created=datetime(2031, 1, 1, tzinfo=UTC)))
    assert again.state == "kept"
    assert again.record == record(7)
    assert (again.record_commit, again.pointer_commit) == (first.record_commit, first.pointer_commit)


def test_commits_of_people_on_the_branch_are_kept(workspace: GitWorkspace) -> None:
    """With a reviewer's commit on the branch, a second run still finds the bot's two commits."""
    first = approvals.propose(workspace.repository, record(7))
    workspace.git("switch", "-q", first.branch)
    workspace.write({"notes.md": "looked at"}, "Notes")
    workspace.git("switch", "-q", "main")
    again = approvals.propose(workspace.repository, record(7))
    assert (again.state, again.record_commit, again.pointer_commit) == (
        "kept",
        first.record_commit,
        first.pointer_commit,
    )


def test_outdated_branch_is_rebuilt_on_main(workspace: GitWorkspace) -> None:
    """The rebuilt branch contains main's newer edits and keeps the record's time."""
    approvals.propose(workspace.repository, record(7))
    moved = workspace.write({config.SERVING: SERVING.replace("count: 1", "count: 2")}, "Two instances")
    again = approvals.propose(workspace.repository, record(7, created=datetime(2031, 1, 1, tzinfo=UTC)))
    assert again.state == "rebuilt"
    assert workspace.repository.is_ancestor(moved, again.branch)
    assert approvals.read_record(workspace.repository, again.branch, 7) == record(7)
    assert serving_pointer.read(workspace.repository, again.branch).instance.count == 2


def test_outdated_branch_with_a_commit_of_a_person_is_not_rebuilt(workspace: GitWorkspace) -> None:
    """Rebuilding would lose the commit; the error says to merge main into the branch."""
    proposal = approvals.propose(workspace.repository, record(7))
    workspace.git("switch", "-q", proposal.branch)
    tip = workspace.write({"notes.md": "looked at"}, "Notes")
    workspace.git("switch", "-q", "main")
    workspace.write({"README.md": "x"}, "Readme")
    with pytest.raises(GitError, match="merge main into it"):
        approvals.propose(workspace.repository, record(7))
    assert workspace.repository.resolve(proposal.branch) == tip


def test_another_record_of_the_same_number_is_refused(workspace: GitWorkspace) -> None:
    """A record that exists on a branch or on main is never rewritten."""
    proposal = approvals.propose(workspace.repository, record(7))
    with pytest.raises(Refused, match="another record"):
        approvals.propose(workspace.repository, record(7, threshold=0.5))
    merge(workspace, proposal)
    with pytest.raises(Refused, match="never rewritten"):
        approvals.propose(workspace.repository, record(7, threshold=0.5))


def test_merged_approval_is_found_on_main(workspace: GitWorkspace) -> None:
    """A run after the merge reports this state and the two commits."""
    proposal = approvals.propose(workspace.repository, record(7))
    merge(workspace, proposal)
    again = approvals.propose(workspace.repository, record(7))
    assert again.state == "on main already"
    assert (again.record_commit, again.pointer_commit) == (proposal.record_commit, proposal.pointer_commit)


def test_former_approval_is_not_approved_again(workspace: GitWorkspace) -> None:
    """The error names the rollback command that serves it again."""
    for number in (7, 8):
        merge(workspace, approvals.propose(workspace.repository, record(number)))
    with pytest.raises(Refused, match="fraudops rollback --to 0007"):
        approvals.propose(workspace.repository, record(7))


def test_pointer_without_a_record_is_refused(workspace: GitWorkspace) -> None:
    """A pointer that a person set to an approval without a record stops the proposal."""
    workspace.write({config.SERVING: SERVING.replace("null", "7")}, "Serve 7, trust me")
    with pytest.raises(Refused, match="no record on main"):
        approvals.propose(workspace.repository, record(7))
    assert workspace.repository.resolve("approve/0007") is None


def test_record_with_the_wrong_file_name_is_refused(workspace: GitWorkspace) -> None:
    """The number in the record must be that of the file name."""
    workspace.write({config.approval_path(8): config.dump(record(7))}, "Copy")
    with pytest.raises(ConfigError, match="approval must be 8"):
        approvals.read_record(workspace.repository, "main", 8)


def test_statement_is_committed_with_its_record_and_made_once(workspace: GitWorkspace) -> None:
    """A second run and a branch that is rebuilt on a newer main keep it: no two signatures are equal."""
    made: list[int] = []

    def sign(approved: config.ApprovalRecord) -> bytes:
        made.append(approved.approval)
        return b"signature %d\n" % len(made)

    repository, path = workspace.repository, config.statement_path(7)
    first = approvals.propose(repository, record(7), sign=sign)
    assert workspace.changed("main", first.record_commit) == [
        "model-config/approvals/0007.intoto.json",
        "model-config/approvals/0007.yaml",
    ]
    assert approvals.propose(repository, record(7), sign=sign).signed
    workspace.write({"README.md": "more\n"}, "Other work")
    again = approvals.propose(repository, record(7), sign=sign)
    assert (again.state, again.signed, made) == ("rebuilt", True, [7])
    assert repository.show(again.branch, path) == b"signature 1\n"


def test_branch_without_a_statement_gets_one_when_it_is_rebuilt(workspace: GitWorkspace) -> None:
    """It was proposed when nobody could sign."""
    repository = workspace.repository
    assert not approvals.propose(repository, record(7)).signed
    workspace.write({"README.md": "more\n"}, "Other work")
    again = approvals.propose(repository, record(7), sign=lambda _: b"signature\n")
    assert (again.state, again.signed) == ("rebuilt", True)
