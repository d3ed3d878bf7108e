"""Issues tokens of users, Apps and workflows, and decides their permissions.

A token without permissions may do everything (an owner's classic token); one with permissions may do what they grant
(an App's or a workflow's token). A token bound to a repository has public access to the others.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from local_github.errors import ApiError

Level = Literal["read", "write"]
WORKFLOW_LOGIN = "github-actions[bot]"


@dataclass(frozen=True, kw_only=True)
class Principal:
    """The user, App or workflow behind a token."""

    login: str
    permissions: Mapping[str, Level] | None
    """By GitHub's names in workflows (contents, pull-requests, …); None grants everything."""
    repository: str | None

    @property
    def is_workflow(self) -> bool:
        """Whether this is a GITHUB_TOKEN, whose events start no workflow."""
        return self.login == WORKFLOW_LOGIN

    @property
    def is_bot(self) -> bool:
        """Whether this is an App; a workflow counts as one."""
        return self.login.endswith("[bot]")

    def reaches(self, repository: str) -> bool:
        """Whether the token is valid for this repository."""
        return self.repository is None or self.repository.lower() == repository.lower()

    def may(self, repository: str, permission: str, level: Level) -> bool:
        """Whether the token grants this permission in this repository; public access is not considered."""
        if not self.reaches(repository):
            return False
        if self.permissions is None:
            return True
        granted = self.permissions.get(permission)
        return granted == "write" or (granted == "read" and level == "read")

    def is_admin(self, repository: str) -> bool:
        """Whether the caller counts as an administrator for branch protection."""
        return self.permissions is None and not self.is_bot and self.reaches(repository)

    def refusal(self) -> ApiError:
        """GitHub's 403 for this kind of token."""
        kind = "integration" if self.is_bot else "personal access token"
        return ApiError(403, f"Resource not accessible by {kind}")


class Tokens:
    """The tokens of one emulator, valid until revoked."""

    def __init__(self) -> None:
        self._principals: dict[str, Principal] = {}

    def mint(self, login: str, *, permissions: Mapping[str, Level] | None = None, repository: str | None = None) -> str:
        """Creates a token for `login`; ValueError for a level other than read and write."""
        granted = None
        if permissions is not None:
            granted = {name.replace("_", "-"): level for name, level in permissions.items()}
            invalid = {name: level for name, level in granted.items() if level not in {"read", "write"}}
            if invalid:
                raise ValueError(f"permissions must be read or write (got {invalid})")
        token = ("ghs_" if login.endswith("[bot]") else "ghp_") + secrets.token_hex(18)
        self._principals[token] = Principal(login=login, permissions=granted, repository=repository)
        return token

    def revoke(self, token: str) -> None:
        """Revokes a token, as GitHub does when a job ends."""
        self._principals.pop(token, None)

    def principal(self, token: str) -> Principal:
        """The principal of `token`; 401 if it is unknown."""
        try:
            return self._principals[token]
        except KeyError:
            raise ApiError(401, "Bad credentials") from None

    def of_header(self, authorization: str | None) -> Principal | None:
        """The principal of an Authorization header: None without a header, 401 for an invalid one.

        Basic accepts the token as password with any user name, or as user name, as GitHub does.
        """
        if not authorization:
            return None
        scheme, _, value = authorization.partition(" ")
        value = value.strip()
        if scheme.lower() in {"bearer", "token"}:
            return self.principal(value)
        if scheme.lower() != "basic":
            raise ApiError(401, "Bad credentials")
        try:
            user, _, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise ApiError(401, "Bad credentials") from None
        return self.principal(unquote(password) or unquote(user))
