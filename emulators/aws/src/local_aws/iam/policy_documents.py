"""Policy documents of IAM, parsed and checked: Version, Statement, and every element of a statement.

Parsed documents are kept, since every request is evaluated against the same few. Evaluates nothing.

Source: IAM User Guide, "Grammar of the IAM JSON policy language" and "IAM JSON policy elements reference".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from local_aws.iam.conditions import Condition, UnknownOperator, condition
from local_aws.iam.malformed_policy_error import Place, malformed
from local_aws.iam.policy_variables import Template, arn_pattern, marked, pattern, template
from local_aws.iam.principals import PrincipalElement, principal_element

VERSIONS = ("2012-10-17", "2008-10-17")
_TOP = {"Version", "Id", "Statement"}
_ELEMENTS = {
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "NotPrincipal",
    "Condition",
}
_PRINCIPALS = ("AWS", "Service", "Federated", "CanonicalUser")
_IAM_PATHS = ("user/", "role/", "group/", "instance-profile/", "policy/", "saml-provider/", "oidc-provider/")
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+|\*:\*")


class DocumentKind(Enum):
    """What a document is attached to, which decides the elements that it must and must not have."""

    IDENTITY = "identity"
    """Attached to a user or role, or a boundary, session or service control policy: Resource, no Principal."""
    RESOURCE = "resource"
    """Attached to a resource: Principal; Resource where the service asks for it."""
    TRUST = "trust"
    """Attached to a role: Principal, no Resource."""


@dataclass(frozen=True, slots=True)
class ResourcePattern:
    """One Resource: `*`, or an ARN whose last segment may contain variables."""

    everything: bool
    head: str
    tail: Template
    compiled: re.Pattern[str] | None
    """The pattern of an ARN without variables."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, ready to be matched. `actions` and `resources` are negated by `not_action` and `not_resource`."""

    index: int
    sid: str | None
    allow: bool
    actions: re.Pattern[str]
    not_action: bool
    resources: tuple[ResourcePattern, ...] | None
    not_resource: bool
    principal: PrincipalElement | None
    not_principal: bool
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A checked document."""

    version: str
    statements: tuple[Statement, ...]


def parse(document: str | Mapping[str, Any], kind: DocumentKind) -> PolicyDocument:
    """The parsed form of a document, JSON text or its object.

    Raises:
        AwsError: MalformedPolicyDocument, in AWS's words, with the statement and the element.
    """
    text = document if isinstance(document, str) else json.dumps(document)
    return _parse(text, kind)


@lru_cache(maxsize=1024)
def _parse(text: str, kind: DocumentKind) -> PolicyDocument:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise malformed("Syntax errors in policy.", Place(None, str(error))) from None
    if not isinstance(document, dict):
        raise malformed("Syntax errors in policy.", Place(None, "the document must be an object"))
    if unknown := set(document) - _TOP:
        raise malformed("Syntax errors in policy.", Place(None, f"unknown element {min(unknown)}"))
    version = document.get("Version", "2008-10-17")
    if version not in VERSIONS:
        words = "The policy must contain a valid version string"
        raise malformed(words, Place("Version", f"must be one of {', '.join(VERSIONS)}, got {version!r}"))
    statements = document.get("Statement")
    if statements is None:
        raise malformed("Syntax errors in policy.", Place(None, "Statement is missing"))
    statements = statements if isinstance(statements, list) else [statements]
    if not statements:
        raise malformed("Syntax errors in policy.", Place("Statement", "must contain a statement"))
    parsed = tuple(_Reader(each, index, kind, version).statement() for index, each in enumerate(statements))
    sids = [each.sid for each in parsed if each.sid]
    if repeated := {sid for sid in sids if sids.count(sid) > 1}:
        raise malformed(
            "Statement IDs (SID) in a single policy must be unique.", Place("Sid", f"{min(repeated)!r} occurs twice")
        )
    return PolicyDocument(version, parsed)


class _Reader:
    """Reads and checks one statement."""

    def __init__(self, raw: Any, index: int, kind: DocumentKind, version: str) -> None:
        self.raw, self.index, self.kind = raw, index, kind
        self.variables = version == "2012-10-17"  # "Earlier versions don't support policy variables"
        sid = raw.get("Sid") if isinstance(raw, dict) else None
        self.where = f"statement {index + 1}" + (f" ({sid})" if isinstance(sid, str) and sid else "")

    def place(self, element: str | None, problem: str) -> Place:
        return Place(f"{self.where}, {element}" if element else self.where, problem)

    def statement(self) -> Statement:
        if not isinstance(self.raw, dict):
            raise malformed("Syntax errors in policy.", self.place(None, "must be an object"))
        if unknown := set(self.raw) - _ELEMENTS:
            raise malformed("Syntax errors in policy.", self.place(min(unknown), "is no element of a statement"))
        effect, sid = self.raw.get("Effect"), self.raw.get("Sid")
        if effect not in ("Allow", "Deny"):
            raise malformed("Syntax errors in policy.", self.place("Effect", f"must be Allow or Deny, got {effect!r}"))
        if sid is not None and not isinstance(sid, str):
            raise malformed("Syntax errors in policy.", self.place("Sid", f"must be a string, got {sid!r}"))
        actions = self._actions()
        resources = self._resources()
        return Statement(
            index=self.index,
            sid=sid or None,
            allow=effect == "Allow",
            actions=actions,
            not_action="NotAction" in self.raw,
            resources=resources,
            not_resource="NotResource" in self.raw,
            principal=self._principal(),
            not_principal="NotPrincipal" in self.raw,
            conditions=self._conditions(),
        )

    def _one_of(self, element: str) -> tuple[str, Any]:
        """The name and value of an element or its negation; (element, None) if neither is there."""
        both = [name for name in (element, f"Not{element}") if name in self.raw]
        if len(both) == 2:
            raise malformed("Syntax errors in policy.", self.place(both[1], f"excludes {element}"))
        return (both[0], self.raw[both[0]]) if both else (element, None)

    def _strings(self, element: str, value: Any) -> list[str]:
        values = value if isinstance(value, list) else [value]
        for each in values:
            if not isinstance(each, str):
                raise malformed("Syntax errors in policy.", self.place(element, f"must be strings, got {each!r}"))
        return values

    def _actions(self) -> re.Pattern[str]:
        name, value = self._one_of("Action")
        actions = [] if value is None else self._strings(name, value)
        if not actions:
            raise malformed("Policy statement must contain actions.", self.place(name, "is missing or empty"))
        for each in actions:
            if _ACTION.fullmatch(each) is None:
                message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
                raise malformed(message, self.place(name, f"{each!r} is no action, such as s3:GetObject, s3:* or *"))
            if self.kind is DocumentKind.TRUST and not each.lower().startswith("sts:"):
                message = "AssumeRole policy may only specify STS AssumeRole actions."
                raise malformed(message, self.place(name, f"got {each!r}"))
        return re.compile("|".join(pattern(marked(each)).pattern for each in actions), re.IGNORECASE)

    def _resources(self) -> tuple[ResourcePattern, ...] | None:
        name, value = self._one_of("Resource")
        if self.kind is DocumentKind.TRUST:
            if value is not None:
                raise malformed("Has prohibited field Resource", self.place(name, "the role itself is the resource"))
            return None
        if value is None and self.kind is DocumentKind.RESOURCE:
            return None
        resources = [] if value is None else self._strings(name, value)
        if not resources:
            raise malformed("Policy statement must contain resources.", self.place(name, "is missing or empty"))
        return tuple(self._resource(name, each) for each in resources)

    def _resource(self, name: str, value: str) -> ResourcePattern:
        if value == "*":
            return ResourcePattern(True, "", template("", False), None)
        segments = value.split(":", 5)
        if segments[0] != "arn" or len(segments) < 2:
            message = f'Resource {value} must be in ARN format or "*".'
            raise malformed(message, self.place(name, "an ARN has six parts: arn:aws:s3:::bucket/key"))
        if len(segments) < 6:
            # IAM completes an ARN that ends early and has a wildcard: arn:aws:s3:* is everything of S3.
            if not value.endswith("*"):
                raise malformed(
                    "The policy failed legacy parsing", self.place(name, f"{value!r} has fewer than six parts")
                )
            segments += ["*"] * (6 - len(segments))
        if self.kind is DocumentKind.IDENTITY and re.search(r"[*?]", segments[2]):
            message = "Resource vendor must be fully qualified and cannot contain regexes."
            raise malformed(message, self.place(name, f"{value!r} has a wildcard for the service"))
        if segments[2] == "iam" and segments[5] != "*" and re.match(r"[^/]*[*?]", segments[5]):
            # "You cannot use a wildcard in the portion of the ARN that specifies the resource type": "IAM ARNs".
            message = f'IAM resource path must either be "*" or start with {", ".join(_IAM_PATHS)}.'
            raise malformed(message, self.place(name, f"{value!r} has a wildcard in the resource type"))
        head, tail = marked(":".join([*segments[:5], ""])), template(segments[5], self.variables)
        constant = "".join(part for part in tail.parts if isinstance(part, str))
        has_variables = any(not isinstance(part, str) for part in tail.parts)
        return ResourcePattern(False, head, tail, None if has_variables else arn_pattern(head + constant))

    def _principal(self) -> PrincipalElement | None:
        name, value = self._one_of("Principal")
        if self.kind is DocumentKind.IDENTITY:
            if value is not None:
                raise malformed("Policy document should not specify a principal.", self.place(name, "is not allowed"))
            return None
        if value is None:
            raise malformed("Missing required field Principal", self.place(name, "is missing"))
        if self.kind is DocumentKind.TRUST and name == "NotPrincipal":
            message = "AssumeRole policy must not contain NotPrincipal field."
            raise malformed(message, self.place(name, "is not allowed in a trust policy"))
        if value == "*":
            return principal_element("*")
        if not isinstance(value, dict) or not value or set(value) - set(_PRINCIPALS):
            raise malformed(
                "Invalid principal in policy", self.place(name, f'must be "*" or lists of {", ".join(_PRINCIPALS)}')
            )
        principals = {kind: self._strings(name, each) for kind, each in value.items()}
        for kind, names in principals.items():
            for each in names:
                if "*" in each and not (each == "*" and kind == "AWS"):
                    # "You cannot use a wildcard to match part of a principal name or ARN."
                    message = f'Invalid principal in policy: "{kind}":"{each}"'
                    raise malformed(message, self.place(name, "a wildcard cannot be part of a name"))
        return principal_element(principals)

    def _conditions(self) -> tuple[Condition, ...]:
        raw = self.raw.get("Condition", {})
        if not isinstance(raw, dict):
            raise malformed("Syntax errors in policy.", self.place("Condition", "must be an object of operators"))
        conditions = []
        for operator, keys in raw.items():
            if not isinstance(keys, dict):
                raise malformed("Syntax errors in policy.", self.place(f"Condition, {operator}", "must be an object"))
            for key, values in keys.items():
                wanted = tuple(self._condition_value(operator, key, each) for each in _list(values))
                if ":" not in key:
                    message = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
                    raise malformed(message, self.place(f"Condition, {operator}", f"{key!r} is no context key"))
                try:
                    conditions.append(condition(operator, key, wanted, variables=self.variables))
                except UnknownOperator:
                    problem = f"{operator!r} is no condition operator"
                    raise malformed("Syntax errors in policy.", self.place("Condition", problem)) from None
        return tuple(conditions)

    def _condition_value(self, operator: str, key: str, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, str):
            return value
        raise malformed(
            "Syntax errors in policy.", self.place(f"Condition, {operator}, {key}", f"must be strings, got {value!r}")
        )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
