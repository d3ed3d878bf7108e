"""Merges pull requests and updates their branches with real commits.

Callers hold the backend's lock and have checked the caller's permissions.
"""

from __future__ import annotations

from local_github.domain import branch_protection, pushes
from local_github.domain.emitter import Emitter
from local_github.domain.pull_requests import mark_merged, pull_of, refresh
from local_github.domain.records import Issue, Repository
from local_github.domain.tokens import Principal
from local_github.errors import ApiError, invalid
from local_github.git.bare_repository import RefMoved
from local_github.git.output_parser import ZERO

_NOT_ALLOWED = {"merge": "Merge commits are", "squash": "Squash merges are", "rebase": "Rebase merges are"}


def merge(
    emitter: Emitter,
    repository: Repository,
    issue: Issue,
    principal: Principal,
    *,
    method: str = "merge",
    title: str | None = None,
    message: str | None = None,
    expected_head: str | None = None,
) -> str:
    """Merges an open pull request with a real commit and returns the commit's id.

    Raises:
        ApiError: 405 if it is not mergeable, or the method or the branch's rule forbids it; 409 if the head is not
            `expected_head` or the base moved meanwhile.
    """
    pull, git = pull_of(issue), repository.git
    if method not in _NOT_ALLOWED:
        raise invalid("PullRequest", "merge_method")
    if issue.state != "open" or pull.draft:
        raise ApiError(405, "Pull Request is still a draft" if pull.draft else "Pull Request is not mergeable")
    if not repository.settings[f"allow_{'merge_commit' if method == 'merge' else f'{method}_merge'}"]:
        raise ApiError(405, f"{_NOT_ALLOWED[method]} not allowed on this repository.")
    refresh(emitter.state, repository, issue)
    if expected_head and expected_head != pull.head_sha:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    tree = git.merged_tree(pull.base_sha, pull.head_sha)
    if tree is None:
        raise ApiError(405, "Pull Request is not mergeable")
    branch_protection.check_merge(emitter.state, repository, issue, principal, method)
    text = commit_message(repository, issue, method, title, message)
    parents = (pull.base_sha, pull.head_sha) if method == "merge" else (pull.base_sha,)
    author, committer = emitter.state.author(principal.login), emitter.state.github_person()
    sha = git.write_commit(tree, parents, text, author=author, committer=committer)
    before = pull.base_sha
    try:
        git.update(f"refs/heads/{pull.base_ref}", sha, before)
    except RefMoved:
        raise ApiError(409, "Base branch was modified. Review and try the merge again.") from None
    mark_merged(emitter, repository, issue, sha, principal)
    pushes.record(emitter, repository, pushes.RefUpdate(f"refs/heads/{pull.base_ref}", before, sha), principal)
    delete_head_if_set(emitter, repository, issue, principal)
    return sha


def commit_message(
    repository: Repository, issue: Issue, method: str, title: str | None = None, message: str | None = None
) -> str:
    """The message of the commit that merges a pull request: GitHub's default, or the given parts."""
    pull = pull_of(issue)
    if method == "merge":
        owner = pull.head_repository.partition("/")[0]
        subject = title or f"Merge pull request #{issue.number} from {owner}/{pull.head_ref}"
        body = issue.title if message is None else message
    else:
        subject = title or f"{issue.title} (#{issue.number})"
        commits = reversed(repository.git.commits(f"{pull.base_sha}..{pull.head_sha}"))
        body = "\n\n".join(f"* {commit.message}" for commit in commits) if message is None else message
    return f"{subject}\n\n{body}".strip() + "\n"


def update_branch(emitter: Emitter, repository: Repository, issue: Issue, principal: Principal) -> str | None:
    """Merges the base into the head's branch and returns the head; None on conflict."""
    pull = pull_of(issue)
    source = emitter.state.named(pull.head_repository)
    refresh(emitter.state, repository, issue)
    if repository.git.is_ancestor(pull.base_sha, pull.head_sha):
        return pull.head_sha
    tree, before = repository.git.merged_tree(pull.base_sha, pull.head_sha), pull.head_sha
    if tree is None:
        return None
    message = f"Merge branch '{pull.base_ref}' into {pull.head_ref}\n"
    author, committer = emitter.state.author(principal.login), emitter.state.github_person()
    sha = repository.git.write_commit(tree, (before, pull.base_sha), message, author=author, committer=committer)
    if source is not repository:
        source.git.run("fetch", "--quiet", "--no-tags", str(repository.git.path), sha)
    source.git.update(f"refs/heads/{pull.head_ref}", sha, before)
    pushes.record(emitter, source, pushes.RefUpdate(f"refs/heads/{pull.head_ref}", before, sha), principal)
    return sha


def delete_head_if_set(emitter: Emitter, repository: Repository, issue: Issue, principal: Principal) -> None:
    """Deletes the branch of a merged pull request if the repository's settings say so; never one of a fork."""
    pull = pull_of(issue)
    if not repository.settings["delete_branch_on_merge"] or pull.head_repository != repository.full_name:
        return
    branch = pull.head_ref
    tip = repository.git.branch(branch)
    if tip:
        repository.git.update(f"refs/heads/{branch}", ZERO, tip)
        pushes.record(emitter, repository, pushes.RefUpdate(f"refs/heads/{branch}", tip, ZERO), principal)
