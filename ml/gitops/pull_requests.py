"""Opens, updates, closes and reads pull requests.

A pull request is identified by its branch in this repository; one from a fork is never taken for the bot's, whatever
its branch is called. People merge; this module cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from ml.gitops import comments, commit_messages, labels
from ml.gitops.github_client import GitHub, is_invalid, is_not_found
from ml.gitops.labels import Label
from ml.gitops.repository import BOT

if TYPE_CHECKING:
    from github.PullRequest import PullRequest as Pull
    from github.Repository import Repository

_SUPERSEDED = "superseded"


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """A pull request; `outcome` says what `propose` did to it."""

    number: int
    url: str
    branch: str
    base: str
    head_sha: str
    title: str
    body: str
    author: str
    labels: tuple[str, ...]
    state: Literal["open", "closed", "merged"]
    from_fork: bool
    outcome: Literal["created", "updated", "kept", "found"] = "found"


def propose(
    github: GitHub, *, branch: str, base: str, title: str, body: str, labels: Sequence[Label] = ()
) -> PullRequest:
    """Opens or updates the pull request from `branch` to `base`. Idempotent; labels that people added stay.

    Raises:
        GitHubError: there is no such branch, it has no commit that `base` lacks, or the repository's settings forbid
            the token to open pull requests.
    """
    text = comments.truncate(body)

    def operation(repository: Repository) -> PullRequest:
        found = _open(repository, github, branch, base)
        outcome: Literal["created", "updated", "kept"] = "kept"
        if found is None:
            found, outcome = _create(repository, github, branch, base, {"title": title, "body": text})
        if found.title != title or not comments.is_same_text(found.body, text):
            found.edit(title=title, body=text)
            outcome = "updated"
        if _add_labels(repository, found, labels) and outcome == "kept":
            outcome = "updated"
        # GitHub's response is older than the labels that were added.
        names = {*(label.name for label in found.labels), *(label.name for label in labels)}
        return replace(_pull(found, github, outcome), labels=tuple(sorted(names)))

    return github.run(f"proposing {branch}", operation)


def find(github: GitHub, branch: str, *, base: str | None = None) -> PullRequest | None:
    """The open pull request from `branch` of this repository, to `base` if one is named."""

    def operation(repository: Repository) -> PullRequest | None:
        found = _open(repository, github, branch, base)
        return _pull(found, github) if found is not None else None

    return github.run(f"looking for the pull request of {branch}", operation)


def find_rejected(github: GitHub, branch: str, *, base: str) -> PullRequest | None:
    """The latest pull request from `branch` of this repository to `base` that was closed without merging."""

    def operation(repository: Repository) -> PullRequest | None:
        listed = repository.get_pulls(state="closed", head=f"{github.owner}:{branch}", base=base)
        found = [_pull(each, github) for each in listed if each.head.ref == branch]
        found = [pull for pull in found if not pull.from_fork and pull.base == base and pull.state == "closed"]
        return max(found, key=lambda pull: pull.number, default=None)

    return github.run(f"looking for closed pull requests of {branch}", operation)


def get(github: GitHub, number: int) -> PullRequest:
    """Pull request `number`, of any author."""
    return github.run(f"reading #{number}", lambda repository: _pull(repository.get_pull(number), github))


def list_open(github: GitHub, prefix: str, *, base: str = "main") -> list[PullRequest]:
    """The open pull requests to `base` from this repository's branches that start with `prefix`, oldest first."""

    def operation(repository: Repository) -> list[PullRequest]:
        listed = (_pull(each, github) for each in repository.get_pulls(state="open", base=base))
        return sorted(
            (each for each in listed if not each.from_fork and each.branch.startswith(prefix)),
            key=lambda each: each.number,
        )

    return github.run(f"listing the open pull requests from {prefix}…", operation)


def changed_files(github: GitHub, number: int) -> list[str]:
    """The paths that pull request `number` adds, changes, removes or renames (both names), sorted."""

    def operation(repository: Repository) -> list[str]:
        files = repository.get_pull(number).get_files()
        return sorted({name for file in files for name in (file.filename, file.previous_filename) if name})

    return github.run(f"listing the files of #{number}", operation)


def supersede(
    github: GitHub, numbers: Iterable[int], *, by: str, reason: str, delete_branch: bool = False
) -> list[int]:
    """Closes the open ones of the pull requests, each with a comment on what replaced it; returns the closed numbers.

    With `delete_branch` it also deletes the branch if that is in this repository, is not the pull request's base, and
    has only commits of the bot.

    Args:
        by: what replaced them, e.g. `#12`.
    """
    closed = []
    for number in numbers:
        pull = get(github, number)
        if pull.state != "open":
            continue
        comments.upsert(github, number, _SUPERSEDED, commit_messages.superseded(by, reason))
        _close(github, number)
        closed.append(number)
        if delete_branch and not pull.from_fork and pull.branch != pull.base and _all_by_bot(github, number):
            _delete(github, pull.branch)
    return closed


def dispatch(github: GitHub, workflow: str, *, ref: str, inputs: Mapping[str, str | bool] | None = None) -> None:
    """Starts `workflow` (a file name, e.g. ci.yml) on the branch `ref`, with its inputs.

    At least once: a lost response is retried, so the workflow must be idempotent.
    """
    given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in (inputs or {}).items()}

    def operation(repository: Repository) -> None:
        # Named by its file, which saves a request for the workflow's id.
        url = f"{repository.url}/actions/workflows/{workflow}/dispatches"
        repository.requester.requestJsonAndCheck("POST", url, input={"ref": ref, "inputs": given})

    github.run(f"starting {workflow} on {ref}", operation)


def list_run_commits(github: GitHub, workflow: str, *, branch: str) -> list[str]:
    """The commits of the runs of `workflow` on `branch`, latest first; at most one hundred."""

    def operation(repository: Repository) -> list[str]:
        url = f"{repository.url}/actions/workflows/{workflow}/runs"
        _, answer = repository.requester.requestJsonAndCheck("GET", url, parameters={"branch": branch, "per_page": 100})
        return [run["head_sha"] for run in (answer or {}).get("workflow_runs", [])]

    return github.run(f"listing the runs of {workflow} on {branch}", operation)


def _open(repository: Repository, github: GitHub, branch: str, base: str | None) -> Pull | None:
    criteria = {"state": "open", "head": f"{github.owner}:{branch}"} | ({"base": base} if base else {})
    # GitHub ignores a head filter that it cannot parse, so the results are checked again.
    return next(
        (
            pull
            for pull in repository.get_pulls(**criteria)
            if pull.head.ref == branch and not _from_fork(pull, github) and base in (None, pull.base.ref)
        ),
        None,
    )


def _create(
    repository: Repository, github: GitHub, branch: str, base: str, texts: dict[str, str]
) -> tuple[Pull, Literal["created", "kept"]]:
    from github import GithubException

    try:
        return repository.create_pull(base, branch, title=texts["title"], body=texts["body"]), "created"
    except GithubException as error:
        # Another run may have opened it meanwhile, or this one if the response was lost.
        other = _open(repository, github, branch, base) if is_invalid(error) else None
        if other is None:
            raise
        return other, "kept"


def _add_labels(repository: Repository, pull: Pull, wanted: Sequence[Label]) -> bool:
    """Adds missing labels; returns whether there were any."""
    missing = [label for label in wanted if label.name not in {each.name for each in pull.labels}]
    if missing:
        url = f"{repository.url}/issues/{pull.number}/labels"
        repository.requester.requestJsonAndCheck("POST", url, input={"labels": labels.ensure(repository, missing)})
    return bool(missing)


def _close(github: GitHub, number: int) -> None:
    github.run(f"closing #{number}", lambda repository: repository.get_pull(number).edit(state="closed"))


def _all_by_bot(github: GitHub, number: int) -> bool:
    def operation(repository: Repository) -> bool:
        return all(each.commit.author.name == BOT.name for each in repository.get_pull(number).get_commits())

    return github.run(f"listing the commits of #{number}", operation)


def _delete(github: GitHub, branch: str) -> None:
    from github import GithubException

    def operation(repository: Repository) -> None:
        try:
            repository.requester.requestJsonAndCheck("DELETE", f"{repository.url}/git/refs/heads/{quote(branch)}")
        except GithubException as error:
            if not (is_not_found(error) or is_invalid(error)):  # already deleted: GitHub responds with either
                raise

    github.run(f"deleting {branch}", operation)


def _from_fork(pull: Pull, github: GitHub) -> bool:
    # The repository is None if a fork has been deleted.
    name = pull.head.repo.full_name if pull.head.repo is not None else None
    return name is None or name.lower() != github.repository.lower()


def _pull(pull: Pull, github: GitHub, outcome: Literal["created", "updated", "kept", "found"] = "found") -> PullRequest:
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        branch=pull.head.ref,
        base=pull.base.ref,
        head_sha=pull.head.sha,
        title=pull.title,
        body=pull.body or "",
        author=pull.user.login if pull.user is not None else "ghost",
        labels=tuple(sorted(label.name for label in pull.labels)),
        state="open" if pull.state == "open" else "merged" if pull.merged_at else "closed",
        from_fork=_from_fork(pull, github),
        outcome=outcome,
    )
