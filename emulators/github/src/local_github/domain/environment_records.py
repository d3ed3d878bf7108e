"""Deployment environments of a repository and which refs and reviewers they admit. Starts and approves nothing.

https://docs.github.com/actions/reference/workflows-and-actions/deployments-and-environments
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal


@dataclass(kw_only=True)
class DeploymentPolicy:
    """A name pattern of the branches or tags that may deploy to an environment."""

    id: int
    name: str
    type: Literal["branch", "tag"] = "branch"

    def matches(self, ref: str) -> bool:
        """Whether the pattern selects a full ref; `*` and `?` match no slash, `**/` matches folders."""
        prefix = "refs/heads/" if self.type == "branch" else "refs/tags/"
        name = ref.removeprefix(prefix) if ref.startswith(prefix) else ref if ref.startswith("refs/pull/") else None
        return name is not None and _pattern(self.name).fullmatch(name) is not None


def _pattern(text: str) -> re.Pattern[str]:
    """A pattern of Ruby's File.fnmatch, which GitHub documents for branch names."""
    parts = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(parts.get(part) or re.escape(part) for part in re.findall(r"\*\*/|.", text)), re.DOTALL)


@dataclass(kw_only=True)
class Environment:
    """An environment of a repository. `reviewers` are logins of users."""

    id: int
    name: str
    created: str
    updated: str
    reviewers: list[str] = field(default_factory=list)
    prevent_self_review: bool = False
    can_admins_bypass: bool = True
    """Stored and shown; GitHub has no API by which an administrator skips the rules."""
    protected_branches: bool = False
    """Only protected branches may deploy."""
    custom_policies: bool = False
    """Only branches and tags that match one of `policies` may deploy."""
    policies: list[DeploymentPolicy] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def may_review(self, login: str, actor: str) -> bool:
        """Whether a user may approve a deployment that `actor` started."""
        listed = login.lower() in (name.lower() for name in self.reviewers)
        return listed and not (self.prevent_self_review and login.lower() == actor.lower())
