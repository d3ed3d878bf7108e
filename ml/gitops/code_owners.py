"""Writes `.github/CODEOWNERS` for an owner that a person names, and reads which folders have owners on main.

It never invents an owner, and never changes a file that exists.

Source: GitHub Docs, "About code owners"; REST API, "List CODEOWNERS errors".
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.errors import UsageError
from ml.gitops.github_client import GitHub, is_not_found

if TYPE_CHECKING:
    from github.Repository import Repository

FILE = Path(".github/CODEOWNERS")
FOLDERS = ("/model-config/", "/infra/", "/.github/")
"""What decides about models, about AWS and about the checks themselves."""
PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""Where GitHub looks for the file; it reads the first that exists."""
_OWNER = re.compile(r"@[A-Za-z0-9][A-Za-z0-9-]{0,38}(/[A-Za-z0-9._-]{1,100})?")


def text(owner: str) -> str:
    """The file with `owner` (@LOGIN or @ORG/TEAM) for each folder.

    Raises:
        UsageError: `owner` has neither form.
    """
    if not _OWNER.fullmatch(owner):
        raise UsageError(f"a code owner is @LOGIN or @ORG/TEAM (got {owner!r})")
    width = max(map(len, FOLDERS))
    return (
        "# Changes of these folders need the approval of a code owner: models and approvals, AWS, and the checks.\n"
        + "".join(f"{folder.ljust(width)} {owner}\n" for folder in FOLDERS)
    )


def write(root: Path, owner: str) -> bool:
    """Writes the file into the checkout at `root`; returns False if there is one, which stays as it is."""
    content, file = text(owner), root / FILE
    if any((root / place).exists() for place in PLACES):
        return False
    file.parent.mkdir(exist_ok=True)
    file.write_text(content, encoding="utf-8")
    return True


def without_owner(github: GitHub) -> list[str]:
    """The folders that have no owner on the default branch; all of them if GitHub rejects a line of the file."""

    def operation(repository: Repository) -> list[str]:
        content = _content(repository)
        if content is None or _errors(repository):
            return list(FOLDERS)
        return [folder for folder in FOLDERS if not _has_owner(content, folder)]

    return github.run("reading the code owners", operation)


def _content(repository: Repository) -> str | None:
    from github import GithubException

    for place in PLACES:
        try:
            _, found = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/contents/{place}")
        except GithubException as error:
            if not is_not_found(error):
                raise
            continue
        return base64.b64decode(found["content"]).decode("utf-8")
    return None


def _errors(repository: Repository) -> list[Any]:
    from github import GithubException

    try:
        _, found = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/codeowners/errors")
    except GithubException as error:
        if not is_not_found(error):
            raise
        return []
    return list(found["errors"])


def _has_owner(content: str, folder: str) -> bool:
    """Whether the last line that covers the whole folder names an owner; a line without one removes it."""
    owned = False
    for line in content.splitlines():
        words = line.partition("#")[0].split()
        if words and words[0].strip("/").removesuffix("/**") in (folder.strip("/"), "*", "**"):
            owned = any(_OWNER.fullmatch(word) or "@" in word for word in words[1:])
    return owned
