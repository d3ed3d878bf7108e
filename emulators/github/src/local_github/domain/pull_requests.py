"""Opens and closes pull requests and updates them when their branches move; emits GitHub's events. Merges nothing.

Callers hold the backend's lock and have checked the caller's permissions.
"""

from __future__ import annotations

import re

from local_github.domain import review_requirements
from local_github.domain.branch_rules import HEADS, rules_of
from local_github.domain.changed_files import changed_files
from local_github.domain.emitter import Emitter
from local_github.domain.in_memory_store import State
from local_github.domain.records import Issue, Pull, Repository, Review
from local_github.domain.tokens import Principal
from local_github.errors import ApiError, custom, invalid
from local_github.git.output_parser import ZERO
from local_github.serializers import issues as serialize

_CLOSING_KEYWORDS = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)\b", re.IGNORECASE)
_REVIEW_STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
_NOT_PERMITTED = "GitHub Actions is not permitted to create or approve pull requests."


def pull_of(issue: Issue) -> Pull:
    """The pull request part of an issue that is one."""
    assert issue.pull is not None  # noqa: S101 - callers have looked it up as a pull request
    return issue.pull


def emit(
    emitter: Emitter, repository: Repository, issue: Issue, action: str, principal: Principal, **payload: object
) -> None:
    """Emits a pull_request event."""
    pull = pull_of(issue)
    base = merge_base(repository, issue)
    emitter.emit(
        "pull_request",
        repository,
        principal,
        action=action,
        ref=f"refs/pull/{issue.number}/merge",
        sha=pull.merge_sha or "",
        payload={
            "action": action,
            "number": issue.number,
            "pull_request": serialize.pull_request(emitter.serializer, repository, issue),
            **payload,
        },
        changed_files=changed_files(repository, base, pull.head_sha),
    )


def merge_base(repository: Repository, issue: Issue) -> str:
    """The commit that a pull request's changes are compared with."""
    pull = pull_of(issue)
    return repository.git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha


def unified_diff(repository: Repository, issue: Issue) -> bytes:
    """The unified diff of a pull request, merge base to head."""
    return repository.git.run("diff", "--no-color", "-M", merge_base(repository, issue), pull_of(issue).head_sha)


def check_may_open(repository: Repository, principal: Principal) -> None:
    """403 for a workflow token if the repository's settings forbid workflows to open pull requests."""
    if principal.is_workflow and not repository.settings["can_approve_pull_request_reviews"]:
        raise ApiError(403, _NOT_PERMITTED)


def open_pull_request(
    emitter: Emitter,
    repository: Repository,
    principal: Principal,
    *,
    title: str,
    body: str | None,
    head: tuple[Repository, str],
    base: str,
    draft: bool = False,
    maintainer_can_modify: bool = False,
) -> Issue:
    """Opens a pull request from the branch `head` into `base`; 422 if GitHub would refuse it."""
    source, branch = head
    head_sha, base_sha = source.git.branch(branch), repository.git.branch(base)
    if head_sha is None:
        raise invalid("PullRequest", "head")
    if base_sha is None:
        raise invalid("PullRequest", "base")
    if source is not repository and repository.full_name not in {source.parent, source.full_name}:
        raise invalid("PullRequest", "head")
    for other in repository.pulls():
        pull = pull_of(other)
        same = (pull.head_repository, pull.head_ref, pull.base_ref) == (source.full_name, branch, base)
        if other.state == "open" and same:
            raise custom("PullRequest", f"A pull request already exists for {source.owner}:{branch}.")
    pull = Pull(
        id=emitter.state.new_id(),
        head_repository=source.full_name,
        head_ref=branch,
        head_sha=head_sha,
        base_ref=base,
        base_sha=base_sha,
        draft=draft,
        maintainer_can_modify=maintainer_can_modify,
        last_pusher=principal.login,
    )
    number, moment = repository.last_number + 1, emitter.state.now()
    issue = Issue(
        id=emitter.state.new_id(),
        number=number,
        title=title,
        body=body,
        author=principal.login,
        created=moment,
        updated=moment,
        pull=pull,
    )
    refresh(emitter.state, repository, issue)
    if not repository.git.count(f"{base_sha}..{head_sha}"):
        repository.git.force(f"refs/pull/{number}/head", None)
        raise custom("PullRequest", f"No commits between {base} and {branch}")
    repository.issues[repository.next_number()] = issue
    emit(emitter, repository, issue, "opened", principal)
    return issue


def refresh(state: State, repository: Repository, issue: Issue) -> None:
    """Updates an open pull request's refs and its test merge from its branches."""
    pull, git = pull_of(issue), repository.git
    source = state.named(pull.head_repository)
    pull.head_sha = source.git.branch(pull.head_ref) or pull.head_sha
    pull.base_sha = git.branch(pull.base_ref) or pull.base_sha
    if source is not repository:
        git.fetch(source.git, f"refs/heads/{pull.head_ref}:refs/pull/{issue.number}/head")
    else:
        git.force(f"refs/pull/{issue.number}/head", pull.head_sha)
    tree = git.merged_tree(pull.base_sha, pull.head_sha)
    pull.mergeable = tree is not None
    pull.merge_sha = None
    if tree:
        message = f"Merge {pull.head_sha} into {pull.base_sha}"
        parents = (pull.base_sha, pull.head_sha)
        pull.merge_sha = git.write_commit(tree, parents, message, author=state.github_person())
    git.force(f"refs/pull/{issue.number}/merge", pull.merge_sha)


def refresh_if_moved(state: State, repository: Repository, issue: Issue) -> None:
    """Refreshes a pull request whose branches were changed in the bare repository directly, as by a seed."""
    pull = pull_of(issue)
    head = state.named(pull.head_repository).git.branch(pull.head_ref)
    if (head or pull.head_sha, repository.git.branch(pull.base_ref)) != (pull.head_sha, pull.base_sha):
        refresh(state, repository, issue)


def update_after_push(
    emitter: Emitter,
    repository: Repository,
    branch: str,
    before: str,
    after: str,
    *,
    principal: Principal,
) -> None:
    """Updates the pull requests from or into a branch that moved: synchronized, closed, or merged by the push."""
    for target in list(emitter.state.repositories.values()):
        for issue in list(target.issues.values()):
            if issue.pull is None or issue.state != "open":
                continue
            pull = issue.pull
            is_head = (pull.head_repository, pull.head_ref) == (repository.full_name, branch)
            if is_head and after == ZERO:
                close(emitter, target, issue, principal)
            elif is_head:
                _note_push(emitter.state, target, issue, (before, after), principal)
                refresh(emitter.state, target, issue)
                emitter.state.touch(issue)
                emit(emitter, target, issue, "synchronize", principal, before=before, after=after)
            elif target is repository and pull.base_ref == branch and after != ZERO:
                if repository.git.is_ancestor(pull.head_sha, after):
                    mark_merged(emitter, repository, issue, after, principal)
                else:
                    refresh(emitter.state, target, issue)


def _note_push(
    state: State, repository: Repository, issue: Issue, moved: tuple[str, str], principal: Principal
) -> None:
    """Notes who pushed, and dismisses approvals if a rule says so and the push changed the pull request's diff."""
    pull = pull_of(issue)
    pull.last_pusher = principal.login
    rules = rules_of(state, repository, f"{HEADS}{pull.base_ref}")
    if not any(rule.reviews and rule.reviews.dismiss_stale for rule in rules):
        return
    source, base = state.named(pull.head_repository).git, repository.git.branch(pull.base_ref) or pull.base_sha
    if source is not repository.git:
        repository.git.fetch(source, f"refs/heads/{pull.head_ref}:refs/pull/{issue.number}/head")
    old, new = (_diff(repository, base, head) for head in moved)
    if old != new:
        review_requirements.dismiss_stale(pull)


def _diff(repository: Repository, base: str, head: str) -> bytes:
    start = repository.git.merge_base(base, head) or base
    return repository.git.run("diff", "--no-color", "--full-index", start, head)


def close(emitter: Emitter, repository: Repository, issue: Issue, principal: Principal) -> None:
    """Closes a pull request without merging it."""
    _set_closed(emitter.state, issue, principal)
    repository.git.force(f"refs/pull/{issue.number}/merge", None)
    emit(emitter, repository, issue, "closed", principal)


def reopen(emitter: Emitter, repository: Repository, issue: Issue, principal: Principal) -> None:
    """Reopens a closed pull request; 422 if it is merged or its branch is gone."""
    pull = pull_of(issue)
    if pull.merged or emitter.state.named(pull.head_repository).git.branch(pull.head_ref) is None:
        raise invalid(
            "PullRequest", "state", "custom", "state cannot be changed. The branch has been deleted or merged."
        )
    issue.state, issue.closed, issue.closed_by = "open", None, None
    emitter.state.touch(issue)
    refresh(emitter.state, repository, issue)
    emit(emitter, repository, issue, "reopened", principal)


def _set_closed(state: State, issue: Issue, principal: Principal) -> None:
    issue.state, issue.closed, issue.closed_by = "closed", state.now(), principal.login
    state.touch(issue)


def mark_merged(emitter: Emitter, repository: Repository, issue: Issue, sha: str, principal: Principal) -> None:
    """Records that commit `sha` merged a pull request; closes the issues that its body names."""
    pull = pull_of(issue)
    _set_closed(emitter.state, issue, principal)
    pull.merged, pull.merged_by, pull.merge_sha = issue.closed, principal.login, sha
    repository.git.force(f"refs/pull/{issue.number}/merge", None)
    emit(emitter, repository, issue, "closed", principal)
    if pull.base_ref == repository.default_branch:
        for number in _CLOSING_KEYWORDS.findall(issue.body or ""):
            other = repository.issues.get(int(number))
            if other and other.state == "open" and other.pull is None:
                other.reason = "completed"
                _set_closed(emitter.state, other, principal)


def add_review(
    state: State, repository: Repository, issue: Issue, principal: Principal, *, event: str, body: str
) -> Review:
    """Adds a review; 422 for an approval by the author, or for a comment or requested changes without a body."""
    review_state = _REVIEW_STATES.get(event, "PENDING")
    if review_state == "APPROVED" and principal.login == issue.author:
        raise custom("PullRequestReview", "Can not approve your own pull request")
    if review_state == "APPROVED":
        check_may_open(repository, principal)
    if review_state in {"CHANGES_REQUESTED", "COMMENTED"} and not body:
        raise custom("PullRequestReview", "body can't be blank")
    review = Review(
        id=state.new_id(),
        author=principal.login,
        body=body,
        state=review_state,
        sha=pull_of(issue).head_sha,
        submitted=state.now(),
    )
    pull_of(issue).reviews.append(review)
    state.touch(issue)
    return review
