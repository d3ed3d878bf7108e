"""Required reviews: who may approve, what a push dismisses, code owners, the last push."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from local_github.domain.branch_protection import protect
from rest_calls import refusal

Pull = Any


@pytest.fixture
def protected(emulator: Any) -> Callable[..., None]:
    """Sets the review rule of main, for administrators too."""

    def set_rule(**reviews: Any) -> None:
        protect(
            emulator.github.state.find("acme", "fraud"),
            "main",
            enforce_admins=True,
            required_pull_request_reviews=reviews,
        )

    return set_rule


def approve(emulator: Any, login: str, number: int = 1) -> None:
    """Approves a pull request."""
    emulator.api(emulator.token(login)).get_pull(number).create_review(event="APPROVE", body="Good.")


def test_count_of_approvals_is_required(emulator: Any, branch: Any, protected: Any) -> None:
    """The latest review of each user counts; requested changes block."""
    branch("topic")
    protected(required_approving_review_count=2)
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    approve(emulator, "bob")
    approve(emulator, "bob")
    assert "At least 2 approving reviews are required" in refusal(pull.merge, 405)
    carol = emulator.api(emulator.token("carol")).get_pull(1)
    carol.create_review(event="REQUEST_CHANGES", body="No.")
    assert "Changes requested by a reviewer." in refusal(pull.merge, 405)
    approve(emulator, "carol")
    assert pull.merge().merged


def test_only_collaborators_with_write_access_count(emulator: Any, branch: Any, protected: Any) -> None:
    """A reader's approval is kept but does not count."""
    branch("topic")
    protected(required_approving_review_count=1)
    repository = emulator.api()
    repository.add_to_collaborators("alice", "admin")
    repository.add_to_collaborators("bob", "pull")
    repository.add_to_collaborators("carol", "push")
    pull = repository.create_pull(base="main", head="topic", title="T")
    approve(emulator, "bob")
    assert "by reviewers with write access" in refusal(pull.merge, 405)
    approve(emulator, "carol")
    assert pull.merge().merged


def test_push_dismisses_approvals_of_another_diff(emulator: Any, clone: Any, branch: Any, protected: Any) -> None:
    """A merge of the base keeps them, because the diff of the pull request stays."""
    branch("topic")
    protected(required_approving_review_count=1, dismiss_stale_reviews=True)
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    approve(emulator, "bob")
    emulator.github.state.find("acme", "fraud").protections.pop("main")
    clone.commit({"other.txt": "1"})
    clone.push("main")
    protected(required_approving_review_count=1, dismiss_stale_reviews=True)
    assert pull.update_branch()
    assert [review.state for review in pull.get_reviews()] == ["APPROVED"]
    clone.git("fetch", "--quiet", emulator.url(emulator.token()), "topic")
    clone.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    clone.commit({"more.txt": "1"})
    clone.push("HEAD:topic")
    assert [review.state for review in pull.get_reviews()] == ["DISMISSED"]
    assert "approving review" in refusal(pull.merge, 405)


def test_approvals_stay_without_the_setting(emulator: Any, branch: Any, protected: Any) -> None:
    """GitHub's default keeps an approval of an older commit; a reviewer's approval can be dismissed by hand."""
    branch("topic")
    protected(required_approving_review_count=1)
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    approve(emulator, "bob")
    branch("topic", {"x.txt": "2"})
    (review,) = pull.get_reviews()
    assert review.state == "APPROVED"
    review.dismiss("Wrong commit")
    assert "approving review" in refusal(pull.merge, 405)


def test_last_push_needs_another_approver(emulator: Any, clone: Any, branch: Any, protected: Any) -> None:
    """A user who approves and then pushes has approved their own push."""
    branch("topic")
    protected(required_approving_review_count=1, require_last_push_approval=True)
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    clone.git("checkout", "--quiet", "topic")
    clone.commit({"by-bob.txt": "1"})
    clone.git("push", "--quiet", emulator.url(emulator.token("bob")), "topic")
    approve(emulator, "bob")
    assert "The most recent push must be approved by someone other" in refusal(pull.merge, 405)
    approve(emulator, "carol")
    assert pull.merge().merged


def test_code_owners_must_approve_their_files(emulator: Any, clone: Any, branch: Any, protected: Any) -> None:
    """The file is read from the base, so a pull request cannot make itself owned by others."""
    clone.commit({".github/CODEOWNERS": "* @bob\n/model-config/ @carol @dave\n/docs/\n"}, "Own")
    clone.push("main")
    branch("topic", {"model-config/gate.yaml": "x\n", "a.txt": "1\n", ".github/CODEOWNERS": "* @eve\n"})
    protected(require_code_owner_reviews=True, required_approving_review_count=1)
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    approve(emulator, "eve")
    assert "Waiting on code owner review from @bob" in refusal(pull.merge, 405)
    approve(emulator, "bob")
    assert "Waiting on code owner review from @carol @dave" in refusal(pull.merge, 405)
    approve(emulator, "dave")
    assert pull.merge().merged


def test_author_who_owns_alone_cannot_merge(emulator: Any, clone: Any, branch: Any, protected: Any) -> None:
    """Nobody may approve their own pull request; files without owners need none."""
    clone.commit({"CODEOWNERS": "/owned/ @alice\n"}, "Own")
    clone.push("main")
    protected(require_code_owner_reviews=True)
    branch("free", {"free.txt": "1\n"})
    assert emulator.api().create_pull(base="main", head="free", title="F").merge().merged
    branch("topic", {"owned/x": "1\n"})
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    approve(emulator, "bob", pull.number)
    assert "Waiting on code owner review from @alice" in refusal(pull.merge, 405)
