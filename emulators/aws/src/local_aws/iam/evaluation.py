"""Decides whether a request is allowed: identity-based, resource-based and trust policies, permissions boundaries,
session policies and service control policies, within an account and across accounts. Knows no server and no state.

An explicit deny in any policy wins. Otherwise, within an account, a request is allowed by

- a resource-based policy that names the user or the session itself, or everyone: neither identity-based policies nor a
  boundary nor a session policy have to allow it;
- a resource-based policy that names the role of the session, or an identity-based policy: boundary and session policy
  have to allow it too.

Role trust policies and KMS key policies always have to allow; one that names the account leaves the rest to the
identity-based policies. Across accounts both sides have to allow. Services and identity providers have no
identity-based policies. The root user of the resource's account needs no allow.

Sources: IAM User Guide, "Policy evaluation logic", "Determining whether a request is allowed or denied within an
account", "Cross-account policy evaluation logic", "Permissions boundaries for IAM entities".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from local_aws.iam.evaluation_outcome import Decision, PolicyType, Reason, StatementMatch
from local_aws.iam.policy_documents import DocumentKind, PolicyDocument, parse
from local_aws.iam.policy_variables import RequestContext
from local_aws.iam.principals import Caller, CallerKind, Match, caller
from local_aws.iam.statements import applies

_TRUST_ACTIONS = (
    "sts:assumerole",
    "sts:assumerolewithwebidentity",
    "sts:assumerolewithsaml",
    "sts:tagsession",
    "sts:setsourceidentity",
)


@dataclass(frozen=True)
class AccessRequest:
    """One action on one resource.

    `principal` is the ARN of a user, a role session or root, the name of a service, or `principals.ANONYMOUS`; for
    AssumeRoleWithWebIdentity it is the identity provider (the ARN of its OIDC provider). `resource` is an ARN, or `*`
    for an action without resources; a service may name all of its resources, such as `arn:aws:s3:::*` for
    s3:ListAllMyBuckets. `context` maps context keys, of any case, to one value (a string) or several (a
    sequence). `resource_account` is needed where the ARN has no account, as in S3; the caller's account is the default.
    """

    principal: str
    action: str
    resource: str
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    resource_account: str | None = None

    @cached_property
    def keys(self) -> RequestContext:
        """The context with names in lower case."""
        return RequestContext(self.context)

    @cached_property
    def caller(self) -> Caller:
        """The principal, taken apart."""
        return caller(self.principal, self.action)

    @cached_property
    def same_account(self) -> bool:
        """Whether caller and resource belong to one account."""
        segments = self.resource.split(":", 5)
        account = self.resource_account or (segments[4] if len(segments) == 6 else "") or self.caller.account
        return bool(account) and account == self.caller.account


@dataclass(frozen=True)
class NamedPolicy:
    """A policy document, JSON text or its object, with its name and, for a managed policy, its ARN."""

    name: str
    document: str | Mapping[str, Any]
    arn: str | None = None

    def parsed(self, kind: DocumentKind) -> PolicyDocument:
        """The parsed document.

        Raises:
            AwsError: MalformedPolicyDocument.
        """
        kept: dict[DocumentKind, PolicyDocument] = self.__dict__.setdefault("_parsed", {})
        if kind not in kept:
            kept[kind] = parse(self.document, kind)
        return kept[kind]


@dataclass(frozen=True)
class Policies:
    """The policies that apply to a request.

    `identity` are those of the user or role; `resource` is that of the resource, or the trust policy for AssumeRole and
    its variants; `session` are those passed to AssumeRole, of which one has to allow; `service_control` are those of
    each level of an organization, of which each level has to allow.
    """

    identity: Sequence[NamedPolicy] = ()
    resource: NamedPolicy | None = None
    boundary: NamedPolicy | None = None
    session: Sequence[NamedPolicy] = ()
    service_control: Sequence[Sequence[NamedPolicy]] = ()


class _Findings:
    """The statements of one policy type that apply to a request, and how closely they name the caller."""

    def __init__(self, policy_type: PolicyType) -> None:
        self.policy_type = policy_type
        self.denies: list[StatementMatch] = []
        self.allows: list[tuple[StatementMatch, Match]] = []

    @property
    def match(self) -> Match:
        """How closely the statements that allow name the caller."""
        return max((match for _, match in self.allows), default=Match.NONE)

    def add(self, request: AccessRequest, policy: NamedPolicy, kind: DocumentKind, *, bounded: bool = False) -> None:
        for statement in policy.parsed(kind).statements:
            match = applies(statement, request.action, request.resource, request.caller, request.keys, bounded=bounded)
            if match is Match.NONE:
                continue
            found = StatementMatch(
                self.policy_type, policy.name, policy.arn, statement.index, statement.sid, statement.allow
            )
            if statement.allow:
                self.allows.append((found, match))
            else:
                self.denies.append(found)


def evaluate(request: AccessRequest, policies: Policies) -> Decision:
    """Decides a request.

    Raises:
        AwsError: MalformedPolicyDocument, for a policy that IAM would not have stored.
        ValueError: the principal is none that makes requests.
    """
    if request.action.lower() == "sts:getcalleridentity":
        # "No permissions are required to perform this operation", not even against an explicit deny: STS API Reference.
        return _decision(request, Reason.ALLOWED, None, ())
    return _Evaluation(request, policies).decide()


class _Evaluation:
    def __init__(self, request: AccessRequest, policies: Policies) -> None:
        self.request, self.policies = request, policies
        self.trust = request.action.lower() in _TRUST_ACTIONS
        self.identity = self._find(PolicyType.IDENTITY, policies.identity)
        self.boundary = self._find(PolicyType.BOUNDARY, [policies.boundary] if policies.boundary else [])
        self.session = self._find(PolicyType.SESSION, policies.session)
        self.levels = [self._find(PolicyType.SERVICE_CONTROL, level) for level in policies.service_control]
        self.resource = _Findings(PolicyType.TRUST if self.trust else PolicyType.RESOURCE)
        if policies.resource is not None:
            kind = DocumentKind.TRUST if self.trust else DocumentKind.RESOURCE
            self.resource.add(request, policies.resource, kind, bounded=policies.boundary is not None)

    def _find(self, policy_type: PolicyType, policies: Sequence[NamedPolicy]) -> _Findings:
        findings = _Findings(policy_type)
        for policy in policies:
            findings.add(self.request, policy, DocumentKind.IDENTITY)
        return findings

    def decide(self) -> Decision:
        # The order of AWS's flow chart; AWS names one policy type where several deny.
        for findings in (*self.levels, self.resource, self.identity, self.boundary, self.session):
            if findings.denies:
                return _decision(self.request, Reason.EXPLICIT_DENY, findings.policy_type, tuple(findings.denies))
        missing = next(self._missing(), None)
        if missing is not None:
            return _decision(self.request, Reason.IMPLICIT_DENY, missing, ())
        every = (self.resource, self.identity, self.boundary, self.session, *self.levels)
        allows = tuple(statement for findings in every for statement, _ in findings.allows)
        needed = tuple(statement for findings in every for statement in self._needed(findings))
        return _decision(self.request, Reason.ALLOWED, None, allows, needed)

    def _needed(self, findings: _Findings) -> list[StatementMatch]:
        """The statements of one policy type without which, each removed alone, this allowed request would be denied."""
        every, needed = findings.allows, []
        for index, (statement, _) in enumerate(every):
            findings.allows = every[:index] + every[index + 1 :]
            if next(self._missing(), None) is not None:
                needed.append(statement)
        findings.allows = every
        return needed

    def _missing(self) -> Iterator[PolicyType]:
        """The policy types that have to allow and do not, in the order in which AWS names them."""
        who, granted, same_account = self.request.caller, self.resource.match, self.request.same_account
        if not who.has_policies:
            if granted is not Match.DIRECT:
                yield self.resource.policy_type
            return
        if any(not level.allows for level in self.levels):
            yield PolicyType.SERVICE_CONTROL
        root = who.kind is CallerKind.ROOT
        if root and self.request.action.lower() == "sts:assumerole":
            yield self.resource.policy_type  # "You cannot use ... root user credentials to call AssumeRole": STS API
        if same_account and granted is Match.DIRECT:
            return
        if same_account and granted is Match.NONE and self._resource_decides():
            yield self.resource.policy_type
        if not (root or self.identity.allows or (same_account and granted is Match.ENTITY)):
            yield PolicyType.IDENTITY
        if not same_account and granted is Match.NONE:
            yield self.resource.policy_type
        if self.policies.boundary is not None and not self.boundary.allows:
            yield PolicyType.BOUNDARY
        if self.policies.session and not self.session.allows:
            yield PolicyType.SESSION

    def _resource_decides(self) -> bool:
        """Whether the resource-based policy has to allow within the account too: role trust and KMS key policies."""
        segments = self.request.resource.split(":", 5)
        key = len(segments) == 6 and segments[2] == "kms" and segments[5].startswith("key/")
        return self.trust or key


def _decision(
    request: AccessRequest,
    reason: Reason,
    policy_type: PolicyType | None,
    statements: tuple[StatementMatch, ...],
    needed: tuple[StatementMatch, ...] = (),
) -> Decision:
    return Decision(
        principal=request.principal,
        action=request.action,
        resource=request.resource,
        same_account=request.same_account,
        reason=reason,
        policy_type=policy_type,
        statements=statements,
        needed=needed,
    )
