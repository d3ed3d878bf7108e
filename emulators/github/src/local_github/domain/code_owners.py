"""Reads CODEOWNERS: which users own a file. Requires and approves nothing.

https://docs.github.com/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_github.domain.in_memory_store import State
from local_github.domain.records import Repository

_PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""In this order; GitHub reads only the first that exists."""


@dataclass(frozen=True, kw_only=True)
class OwnerRule:
    """One line: the files that `pattern` selects have these owners, as written."""

    pattern: str
    owners: tuple[str, ...]

    def selects(self, path: str) -> bool:
        """Whether the pattern selects a file of the repository."""
        return _compiled(self.pattern).match(path) is not None


def _compiled(pattern: str) -> re.Pattern[str]:
    """A gitignore-like pattern: anchored if it has a slash before its end; a folder selects all below it."""
    anchored = "/" in pattern.rstrip("/")
    folder = pattern.endswith("/")
    parts = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.findall(r"\*\*/|/\*\*(?=$)|\*\*|.", pattern.strip("/"))
    body = "".join(parts.get(token) or re.escape(token) for token in tokens)
    # `docs/*` selects the files of docs only; every other pattern selects the contents of a folder of that name too.
    end = "/.+" if folder else "" if pattern.endswith("/*") else "(?:/.+)?"
    return re.compile(f"{'' if anchored else '(?:.*/)?'}{body}{end}\\Z")


def parse(text: str) -> list[OwnerRule]:
    """The rules of a CODEOWNERS file, in order; comments and empty lines are left out."""
    rules = []
    for line in text.splitlines():
        words = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].split()
        if words:
            rules.append(OwnerRule(pattern=words[0], owners=tuple(words[1:])))
    return rules


def owners_of(rules: list[OwnerRule], path: str) -> tuple[str, ...]:
    """The owners of a file by the last rule that selects it; empty if there is none."""
    return next((rule.owners for rule in reversed(rules) if rule.selects(path)), ())


def read(repository: Repository, commit: str) -> list[OwnerRule]:
    """The rules at a commit, which is the base of a pull request; none without a file."""
    for place in _PLACES:
        entry = repository.git.entry(commit, place)
        if entry is not None and entry.kind == "blob":
            return parse((repository.git.show(commit, place) or b"").decode("utf-8", "replace"))
    return []


def logins(state: State, owners: tuple[str, ...]) -> set[str]:
    """The users behind owners, in lower case: `@user`, or an address of a known user. Teams have no users here."""
    found = set()
    for owner in owners:
        if owner.startswith("@") and "/" not in owner:
            found.add(owner[1:].lower())
        elif (user := state.user_of_email(owner)) is not None:
            found.add(user.login.lower())
    return found
