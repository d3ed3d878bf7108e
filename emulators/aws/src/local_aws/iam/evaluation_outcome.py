"""The outcome of an evaluation: allowed or denied, by which statements, for which reason, in AWS's words.

Evaluates nothing.

Sources of the messages: IAM User Guide, "Troubleshoot access denied error messages" (the forms), AWS Security Blog,
"Enhanced access denied error messages with policy ARNs" (the ARN of a denying policy), Amazon S3 User Guide,
"Troubleshoot access denied (403 Forbidden) errors in Amazon S3" (the quotation marks).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class PolicyType(Enum):
    """The types of policies that an evaluation considers, each named as AWS's messages name it."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    TRUST = "role trust policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    SERVICE_CONTROL = "service control policy"


class Reason(Enum):
    """Why a request was allowed or denied."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicit deny"
    IMPLICIT_DENY = "implicit deny"


@dataclass(frozen=True, slots=True)
class StatementMatch:
    """A statement that applied to a request. `index` counts from 0; `arn` is None for an inline policy."""

    policy_type: PolicyType
    policy: str
    arn: str | None
    index: int
    sid: str | None
    allow: bool


_EXPLICIT = {
    PolicyType.IDENTITY: "with an explicit deny in an identity-based policy",
    PolicyType.RESOURCE: "with an explicit deny in a resource-based policy",
    PolicyType.TRUST: "with an explicit deny in the role trust policy",
    PolicyType.BOUNDARY: "with an explicit deny in a permissions boundary",
    PolicyType.SESSION: "with an explicit deny in a sessions policy",  # sic
    PolicyType.SERVICE_CONTROL: "with an explicit deny in a service control policy",
}
_NAMED_BY_ARN = (PolicyType.IDENTITY, PolicyType.BOUNDARY, PolicyType.SESSION, PolicyType.SERVICE_CONTROL)


@dataclass(frozen=True, slots=True)
class Decision:
    """What an evaluation decided.

    `policy_type` is the type that denied, or that had to allow and did not; None for an allowed request. `statements`
    are the deciding statements: the denying ones, or every one that allowed (of all types); none for an implicit deny.
    `needed` are those of an allowed request without which, each removed alone, it would be denied.
    """

    principal: str
    action: str
    resource: str
    same_account: bool
    reason: Reason
    policy_type: PolicyType | None
    statements: tuple[StatementMatch, ...]
    needed: tuple[StatementMatch, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the request may proceed."""
        return self.reason is Reason.ALLOWED

    def message(self, *, name_resource: bool = True) -> str:
        """AWS's message for a denied request.

        Args:
            name_resource: False for services whose messages leave the resource out.

        Raises:
            ValueError: the request was allowed.
        """
        if self.policy_type is None:
            raise ValueError(f"{self.action} was allowed, so there is no message")
        if self.action.lower() in ("sts:assumerolewithwebidentity", "sts:assumerolewithsaml"):
            return f"Not authorized to perform {self.action}"  # STS names neither the token's subject nor the role
        resource = f'"{self.resource}"' if self.action.lower().startswith("s3:") else self.resource
        named = f" on resource: {resource}" if name_resource else ""
        return f"User: {self.principal} is not authorized to perform: {self.action}{named} {self._context()}"

    def _context(self) -> str:
        assert self.policy_type is not None  # noqa: S101  # message() has returned
        if self.reason is Reason.IMPLICIT_DENY:
            return f"because no {self.policy_type.value} allows the {self.action} action"
        arn = self.statements[0].arn if self.same_account and self.policy_type in _NAMED_BY_ARN else None
        return _EXPLICIT[self.policy_type] + (f": {arn}" if arn else "")
