"""Pull requests: opened, kept up with their branches, merged with real commits, closed.

Every function changes records and refs and emits the event that GitHub emits; callers hold the server's lock and have
checked that the caller may.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from local_github.domain import branch_protection
from local_github.domain.events import Event
from local_github.domain.state import Issue, Pull, Repository, now
from local_github.domain.tokens import Principal
from local_github.errors import ApiError, custom, invalid
from local_github.git.bare_repository import ZERO, Person, RefMoved, person

if TYPE_CHECKING:
    from local_github.server import LocalGitHub

_CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+#(\d+)\b", re.IGNORECASE)
METHODS = ("merge", "squash", "rebase")


def pull_of(issue: Issue) -> Pull:
    """The pull request that an issue is."""
    assert issue.pull is not None  # noqa: S101 - callers look pull requests up as such
    return issue.pull


def emit(
    github: LocalGitHub, repository: Repository, issue: Issue, action: str, principal: Principal, **more: object
) -> None:
    """Tells the workflows of a pull request's event."""
    pull, shapes = pull_of(issue), github.shapes()
    base = repository.git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    payload = {
        "action": action,
        "number": issue.number,
        "pull_request": shapes.pull(repository, issue),
        "repository": shapes.repository(repository),
        "sender": shapes.user(principal.login),
        **more,
    }
    github.emit(
        Event(
            name="pull_request",
            action=action,
            repository=repository.full_name,
            ref=f"refs/pull/{issue.number}/merge",
            sha=pull.merge_sha or "",
            payload=payload,
            changed_files=paths(repository, base, pull.head_sha),
            actor=principal.login,
            from_workflow_token=principal.is_workflow,
        )
    )


def paths(repository: Repository, before: str, after: str) -> tuple[str, ...]:
    """The paths that differ, both names of a renamed file, in order."""
    changes = repository.git.changes(before, after)
    return tuple(sorted({name for change in changes for name in (change.path, change.previous) if name}))


def new_number(repository: Repository) -> int:
    """The next number of an issue or pull request."""
    repository.numbers += 1
    return repository.numbers


def open_pull(
    github: LocalGitHub,
    repository: Repository,
    principal: Principal,
    *,
    title: str,
    body: str | None,
    head: tuple[Repository, str],
    base: str,
    draft: bool = False,
    modifiable: bool = False,
) -> Issue:
    """Opens a pull request from head's branch into `base`; 422 where GitHub would not."""
    source, branch = head
    head_sha, base_sha = source.git.branch(branch), repository.git.branch(base)
    if head_sha is None:
        raise invalid("PullRequest", "head")
    if base_sha is None:
        raise invalid("PullRequest", "base")
    if source is not repository and repository.full_name not in {source.parent, source.full_name}:
        raise invalid("PullRequest", "head")
    for other in repository.pulls():
        if other.state == "open" and (
            pull_of(other).head_repository,
            pull_of(other).head_ref,
            pull_of(other).base_ref,
        ) == (
            source.full_name,
            branch,
            base,
        ):
            raise custom("PullRequest", f"A pull request already exists for {source.owner}:{branch}.")
    pull = Pull(
        id=github.state.new_id(),
        head_repository=source.full_name,
        head_ref=branch,
        head_sha=head_sha,
        base_ref=base,
        base_sha=base_sha,
        draft=draft,
        maintainer_can_modify=modifiable,
    )
    number, moment = repository.numbers + 1, now()
    issue = Issue(
        id=github.state.new_id(),
        number=number,
        title=title,
        body=body,
        author=principal.login,
        created=moment,
        updated=moment,
        pull=pull,
    )
    refresh(github, repository, issue)
    if not repository.git.count(f"{base_sha}..{head_sha}"):
        repository.git.force(f"refs/pull/{number}/head", None)
        raise custom("PullRequest", f"No commits between {base} and {branch}")
    repository.issues[new_number(repository)] = issue
    emit(github, repository, issue, "opened", principal)
    return issue


def refresh(github: LocalGitHub, repository: Repository, issue: Issue) -> None:
    """Brings an open pull request's refs and its test merge up to its branches."""
    pull, git = pull_of(issue), repository.git
    source = github.state.named(pull.head_repository)
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
        by = person("GitHub", "noreply@github.com")
        message = f"Merge {pull.head_sha} into {pull.base_sha}"
        pull.merge_sha = git.write_commit(tree, (pull.base_sha, pull.head_sha), message, author=by)
    git.force(f"refs/pull/{issue.number}/merge", pull.merge_sha)


def refresh_if_moved(github: LocalGitHub, repository: Repository, issue: Issue) -> None:
    """Brings one up to its branches where they have moved behind the server's back, as a test or a seed may do."""
    pull = pull_of(issue)
    head = github.state.named(pull.head_repository).git.branch(pull.head_ref)
    if (head or pull.head_sha, repository.git.branch(pull.base_ref)) != (pull.head_sha, pull.base_sha):
        refresh(github, repository, issue)


def moved(
    github: LocalGitHub, repository: Repository, branch: str, before: str, after: str, *, principal: Principal
) -> None:
    """What a branch's move does to pull requests: from it they are synchronized, into it they may be merged by it."""
    for target in list(github.state.repositories.values()):
        for issue in list(target.issues.values()):
            if issue.pull is None or issue.state != "open":
                continue
            pull = issue.pull
            from_here = (pull.head_repository, pull.head_ref) == (repository.full_name, branch)
            if from_here and after == ZERO:
                close(github, target, issue, principal)
            elif from_here:
                refresh(github, target, issue)
                issue.touch()
                emit(github, target, issue, "synchronize", principal, before=before, after=after)
            elif target is repository and pull.base_ref == branch and after != ZERO:
                if repository.git.is_ancestor(pull.head_sha, after):
                    _merged(github, repository, issue, after, principal)
                else:
                    refresh(github, target, issue)


def close(github: LocalGitHub, repository: Repository, issue: Issue, principal: Principal) -> None:
    """Closes one without merging it."""
    _closed(issue, principal)
    repository.git.force(f"refs/pull/{issue.number}/merge", None)
    emit(github, repository, issue, "closed", principal)


def reopen(github: LocalGitHub, repository: Repository, issue: Issue, principal: Principal) -> None:
    """Opens a closed one again; 422 where it is merged or its branch is gone."""
    pull = pull_of(issue)
    if pull.merged or github.state.named(pull.head_repository).git.branch(pull.head_ref) is None:
        raise invalid(
            "PullRequest", "state", "custom", "state cannot be changed. The branch has been deleted or merged."
        )
    issue.state, issue.closed, issue.closed_by = "open", None, None
    issue.touch()
    refresh(github, repository, issue)
    emit(github, repository, issue, "reopened", principal)


def _closed(issue: Issue, principal: Principal) -> None:
    issue.state, issue.closed, issue.closed_by = "closed", now(), principal.login
    issue.touch()


def _merged(github: LocalGitHub, repository: Repository, issue: Issue, sha: str, principal: Principal) -> None:
    pull = pull_of(issue)
    _closed(issue, principal)
    pull.merged, pull.merged_by, pull.merge_sha = issue.closed, principal.login, sha
    repository.git.force(f"refs/pull/{issue.number}/merge", None)
    emit(github, repository, issue, "closed", principal)
    if pull.base_ref == repository.default_branch:
        for number in _CLOSES.findall(issue.body or ""):
            other = repository.issues.get(int(number))
            if other and other.state == "open" and other.pull is None:
                other.reason = "completed"
                _closed(other, principal)


def merge(
    github: LocalGitHub,
    repository: Repository,
    issue: Issue,
    principal: Principal,
    *,
    method: str = "merge",
    title: str | None = None,
    message: str | None = None,
    expected: str | None = None,
) -> str:
    """Merges an open pull request with a real commit, whose SHA it gives.

    Raises:
        ApiError: 405 where it is not mergeable, or the method or the branch's rule forbids it; 409 where the head is
            not the one that the caller expected, or the base moved meanwhile.
    """
    pull, git = pull_of(issue), repository.git
    if method not in METHODS:
        raise invalid("PullRequest", "merge_method")
    if issue.state != "open" or pull.draft:
        raise ApiError(405, "Pull Request is still a draft" if pull.draft else "Pull Request is not mergeable")
    if not repository.settings[f"allow_{'merge_commit' if method == 'merge' else f'{method}_merge'}"]:
        names = {"merge": "Merge commits are", "squash": "Squash merges are", "rebase": "Rebase merges are"}
        raise ApiError(405, f"{names[method]} not allowed on this repository.")
    refresh(github, repository, issue)
    if expected and expected != pull.head_sha:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    tree = git.merged_tree(pull.base_sha, pull.head_sha)
    if tree is None:
        raise ApiError(405, "Pull Request is not mergeable")
    branch_protection.check_merge(repository, issue, principal)
    user = github.state.user(principal.login)
    author, github_itself = person(user.login, user.email), person("GitHub", "noreply@github.com")
    owner = pull.head_repository.partition("/")[0]
    if method == "merge":
        subject = title or f"Merge pull request #{issue.number} from {owner}/{pull.head_ref}"
        text = issue.title if message is None else message
        parents: tuple[str, ...] = (pull.base_sha, pull.head_sha)
    else:
        subject = title or f"{issue.title} (#{issue.number})"
        commits = reversed(git.commits(f"{pull.base_sha}..{pull.head_sha}"))
        text = "\n\n".join(f"* {commit.message}" for commit in commits) if message is None else message
        parents = (pull.base_sha,)
    sha = git.write_commit(tree, parents, f"{subject}\n\n{text}".strip() + "\n", author=author, committer=github_itself)
    before = pull.base_sha
    try:
        git.update(f"refs/heads/{pull.base_ref}", sha, before)
    except RefMoved:
        raise ApiError(409, "Base branch was modified. Review and try the merge again.") from None
    _merged(github, repository, issue, sha, principal)
    github.pushed(repository, f"refs/heads/{pull.base_ref}", before, sha, principal)
    if repository.settings["delete_branch_on_merge"] and pull.head_repository == repository.full_name:
        delete_branch(github, repository, pull.head_ref, principal)
    return sha


def update_branch(github: LocalGitHub, repository: Repository, issue: Issue, principal: Principal) -> str | None:
    """Merges the base into the head's branch; None where they conflict, the head where there is nothing to do."""
    pull = pull_of(issue)
    source = github.state.named(pull.head_repository)
    refresh(github, repository, issue)
    if repository.git.is_ancestor(pull.base_sha, pull.head_sha):
        return pull.head_sha
    tree, before = repository.git.merged_tree(pull.base_sha, pull.head_sha), pull.head_sha
    if tree is None:
        return None
    message = f"Merge branch '{pull.base_ref}' into {pull.head_ref}\n"
    by, itself = author_of(github, principal.login), person("GitHub", "noreply@github.com")
    sha = repository.git.write_commit(tree, (before, pull.base_sha), message, author=by, committer=itself)
    if source is not repository:
        source.git.run("fetch", "--quiet", "--no-tags", str(repository.git.path), sha)
    source.git.update(f"refs/heads/{pull.head_ref}", sha, before)
    github.pushed(source, f"refs/heads/{pull.head_ref}", before, sha, principal)
    return sha


def delete_branch(github: LocalGitHub, repository: Repository, branch: str, principal: Principal) -> None:
    """Deletes a branch, if it is still there, and tells of it."""
    tip = repository.git.branch(branch)
    if tip:
        repository.git.update(f"refs/heads/{branch}", ZERO, tip)
        github.pushed(repository, f"refs/heads/{branch}", tip, ZERO, principal)


def author_of(github: LocalGitHub, login: str) -> Person:
    """A user as the author of a commit made through the API."""
    user = github.state.user(login)
    return person(user.login, user.email)
