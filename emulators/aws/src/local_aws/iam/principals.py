"""The caller of a request, and how the Principal element of a resource-based policy names it.

Decides only how closely an element names a caller; what follows from that is `local_aws.iam.evaluation`'s.

Source: IAM User Guide, "AWS JSON policy elements: Principal" and "NotPrincipal".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from typing import Any

ANONYMOUS = "anonymous"
"""The principal of an unsigned request."""

_ARN = re.compile(r"arn:([^:]+):(iam|sts)::(\d{12}):(.+)")
_PROVIDERS = ("oidc-provider/", "saml-provider/")
_FEDERATED_ACTIONS = ("sts:assumerolewithwebidentity", "sts:assumerolewithsaml")


class CallerKind(Enum):
    """What makes a request."""

    ROOT = "root"
    USER = "user"
    ROLE = "role"
    ROLE_SESSION = "assumed-role"
    FEDERATED_USER = "federated-user"
    IDENTITY_PROVIDER = "identity provider"
    SERVICE = "service"
    ANONYMOUS = "anonymous"


_KINDS = {
    ("iam", "root"): CallerKind.ROOT,
    ("iam", "user"): CallerKind.USER,
    ("iam", "role"): CallerKind.ROLE,
    ("sts", "assumed-role"): CallerKind.ROLE_SESSION,
    ("sts", "federated-user"): CallerKind.FEDERATED_USER,
}


class Match(IntEnum):
    """How closely a Principal element names a caller."""

    NONE = 0
    ACCOUNT = 1
    """It names the account, which delegates to the account's identity-based policies."""
    ENTITY = 2
    """It names the role of a session, or the user of a federated session."""
    DIRECT = 3
    """It names the user or the session itself, or everyone."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal, taken apart. `account` is empty for services, identity providers and anonymous callers.

    `entity` is the role or user behind a session: partition, account and name.
    """

    name: str
    kind: CallerKind
    account: str = ""
    entity: tuple[str, str, str] | None = None

    @property
    def has_policies(self) -> bool:
        """Whether identity-based policies can be attached to it."""
        return bool(self.account)


@lru_cache(maxsize=1024)
def caller(principal: str, action: str = "") -> Caller:
    """The caller with an ARN, the name of a service (`sagemaker.amazonaws.com`), or `ANONYMOUS`.

    For AssumeRoleWithWebIdentity and AssumeRoleWithSAML the principal is the identity provider: an ARN, or a name
    such as `accounts.google.com`, which would be a service's for other actions.

    Raises:
        ValueError: the ARN is of no kind that makes requests.
    """
    if action.lower() in _FEDERATED_ACTIONS:
        return Caller(principal, CallerKind.IDENTITY_PROVIDER)
    if principal == ANONYMOUS:
        return Caller(principal, CallerKind.ANONYMOUS)
    parts = _ARN.fullmatch(principal)
    if parts is not None and parts.group(4).startswith(_PROVIDERS):
        return Caller(principal, CallerKind.IDENTITY_PROVIDER)
    if parts is not None:
        return _identity(principal, *parts.groups())
    if principal.startswith("arn:") or "." not in principal:
        raise ValueError(f"{principal!r} is neither the ARN of an IAM or STS principal nor the name of a service")
    return Caller(principal, CallerKind.SERVICE)


def _identity(principal: str, partition: str, service: str, account: str, resource: str) -> Caller:
    kind, _, rest = resource.partition("/")
    found = _KINDS.get((service, kind))
    named = bool(rest) or found is CallerKind.ROOT
    if found is None or not named or (found is CallerKind.ROLE_SESSION and "/" not in rest):
        raise ValueError(f"{principal!r} is the ARN of a {kind}, which makes no requests")
    names = {
        CallerKind.ROLE_SESSION: rest.partition("/")[0],
        CallerKind.FEDERATED_USER: rest,
        CallerKind.ROLE: rest.rpartition("/")[2],
    }
    name = names.get(found)
    return Caller(principal, found, account, (partition, account, name) if name else None)


@dataclass(frozen=True, slots=True)
class PrincipalElement:
    """A Principal or NotPrincipal element, taken apart."""

    everyone: bool
    accounts: frozenset[str]
    arns: frozenset[str]
    roles: frozenset[tuple[str, str, str]]
    users: frozenset[tuple[str, str, str]]
    services: frozenset[str]
    federated: frozenset[str]

    def match(self, who: Caller) -> Match:
        """How closely the element names a caller."""
        if (self.everyone and who.kind is not CallerKind.IDENTITY_PROVIDER) or self._names(who):
            # "*" names no identity provider: the Federated element of a trust policy does.
            return Match.DIRECT
        # The name of a role is unique in an account whatever its path, which the ARN of a session leaves out.
        if who.entity in (self.users if who.kind is CallerKind.FEDERATED_USER else self.roles):
            return Match.ENTITY
        return Match.ACCOUNT if who.account in self.accounts else Match.NONE

    def _names(self, who: Caller) -> bool:
        if who.kind is CallerKind.SERVICE:
            return who.name in self.services
        if who.kind is CallerKind.IDENTITY_PROVIDER:
            return who.name in self.federated
        return who.kind is not CallerKind.ROLE and who.name in self.arns


def principal_element(value: str | Mapping[str, str | Sequence[str]]) -> PrincipalElement:
    """Takes a checked Principal element apart: `"*"`, or lists of AWS, Service and Federated principals."""
    if isinstance(value, str):
        value = {"AWS": value}
    aws, services, federated = (_list(value.get(kind)) for kind in ("AWS", "Service", "Federated"))
    accounts, roles, users = set(), set(), set()
    for name in aws:
        parts = _ARN.fullmatch(name)
        if re.fullmatch(r"\d{12}", name):
            accounts.add(name)
        elif parts is not None and parts.group(2) == "iam":
            partition, _, account, resource = parts.groups()
            kind, _, rest = resource.partition("/")
            if resource == "root":
                accounts.add(account)
            elif kind == "role":
                roles.add((partition, account, rest.rpartition("/")[2]))
            elif kind == "user":
                users.add((partition, account, rest.rpartition("/")[2]))
    return PrincipalElement(
        everyone="*" in aws,
        accounts=frozenset(accounts),
        arns=frozenset(aws),
        roles=frozenset(roles),
        users=frozenset(users),
        services=frozenset(services),
        federated=frozenset(federated),
    )


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
