"""Publishes the images of pull requests as commits on the branch `evidence`.

The branch shares no history with main and nothing reads it. Commits are added through GitHub's Git data API, one per
call, never by force: if the branch has moved meanwhile, the commit is created again on top. Links name the commit, so
that they always show the same image.
"""

from __future__ import annotations

import base64
import mimetypes
import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ml import clock
from ml.errors import GitHubError
from ml.gitops import commit_messages
from ml.gitops.github_client import GitHub, is_conflict, is_invalid, is_not_found
from ml.gitops.repository import BOT

if TYPE_CHECKING:
    from github.GitCommit import GitCommit
    from github.Repository import Repository

BRANCH = "evidence"
_ATTEMPTS = 10


def publish(github: GitHub, pictures: Mapping[str, bytes], *, subject: str) -> dict[str, str]:
    """Commits `pictures` (path on the branch → content) and returns the address of each, pinned by commit.

    Identical images create no commit: a re-run gets the same URLs as long as nothing else has been added.

    Args:
        subject: what the images are evidence of, for the commit's message.

    Raises:
        ValueError: a path is not a plain relative path of an image.
        GitHubError: the branch was moved by others at every attempt, or is not writable.
    """
    for path in pictures:
        _require_plain(path)

    def operation(repository: Repository) -> str:
        blobs = {
            path: repository.create_git_blob(base64.b64encode(content).decode(), "base64").sha
            for path, content in sorted(pictures.items())
        }
        for _ in range(_ATTEMPTS):
            commit = _add(repository, blobs, subject)
            if commit is not None:
                return commit
        raise GitHubError(f"the branch was moved by others {_ATTEMPTS} times in a row; run this again")

    commit = github.run(f"adding images to {BRANCH}", operation)
    return {path: f"{github.url}/raw/{commit}/{quote(path)}" for path in pictures}


def _require_plain(path: str) -> None:
    kind = mimetypes.guess_type(path)[0] or ""
    plain = posixpath.normpath(path) == path and not path.startswith(("/", "..", ".git"))
    if not plain or not kind.startswith("image/"):
        raise ValueError(f"evidence must be an image at a plain relative path (got {path!r})")


def _add(repository: Repository, blobs: Mapping[str, str], subject: str) -> str | None:
    """Adds `blobs` to the branch and returns the commit at its tip; None if the branch moved meanwhile."""
    from github import GithubException, InputGitAuthor, InputGitTreeElement

    parent = _tip(repository)
    elements = [InputGitTreeElement(path, "100644", "blob", sha=sha) for path, sha in blobs.items()]
    based: dict[str, Any] = {"base_tree": parent.tree} if parent is not None else {}
    tree = repository.create_git_tree(elements, **based)
    if parent is not None and parent.tree.sha == tree.sha:
        return parent.sha
    author = InputGitAuthor(BOT.name, BOT.email, clock.stamp(clock.now()))
    parents = [parent] if parent is not None else []
    commit = repository.create_git_commit(
        commit_messages.evidence(subject), tree, parents, author=author, committer=author
    )
    try:
        if parent is None:
            repository.create_git_ref(f"refs/heads/{BRANCH}", commit.sha)
        else:
            content = {"sha": commit.sha, "force": False}
            repository.requester.requestJsonAndCheck(
                "PATCH", f"{repository.url}/git/refs/heads/{BRANCH}", input=content
            )
    except GithubException as error:
        if not (is_invalid(error) or is_conflict(error)):
            raise
        moved = _tip(repository)
        # Refused although the branch has not moved: a rule of the repository, so a retry is pointless.
        if (moved.sha if moved is not None else None) == (parent.sha if parent is not None else None):
            raise
        return None
    return commit.sha


def _tip(repository: Repository) -> GitCommit | None:
    from github import GithubException

    try:
        return repository.get_git_commit(repository.get_git_ref(f"heads/{BRANCH}").object.sha)
    except GithubException as error:
        if is_not_found(error):
            return None
        raise
