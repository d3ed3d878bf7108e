"""Generates pairs of request and policies from a seed, for two evaluators to be compared on. Evaluates nothing.

A statement is built around the request of its pair, so that about half of the pairs are allowed: most statements name
the action and the resource, exactly or by a pattern, and most conditions test keys that the request has.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from iam.oracle.vocabulary import (
    ACCOUNT,
    ACTIONS,
    FEDERATED,
    GLOBAL_KEYS,
    OPERATORS,
    OTHER_ACCOUNT,
    PATTERNS,
    PROVIDER,
    ROLE,
    SERVICES,
    SESSION,
    STRANGER,
    USER,
    VALUES,
    Action,
)
from local_aws.iam.evaluation import AccessRequest, NamedPolicy, Policies
from local_aws.iam.principals import ANONYMOUS

Document = dict[str, Any]
Named = tuple[str, Document]

_PRINCIPALS: tuple[Any, ...] = (
    "*",
    {"AWS": "*"},
    {"AWS": USER},
    {"AWS": [SESSION, OTHER_ACCOUNT]},
    {"AWS": [ROLE]},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"},
    {"AWS": ACCOUNT},
    {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    {"AWS": [FEDERATED, STRANGER]},
    {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:role/visitor"},
    {"AWS": [USER, ROLE], "Service": SERVICES[0]},
    {"Service": list(SERVICES)},
)


@dataclass(frozen=True)
class Pair:
    """A request and the policies that apply to it. The ARN of a bucket names no account, `resource_account` does."""

    number: int
    principal: str
    action: str
    resource: str
    resource_account: str
    context: dict[str, str | list[str]]
    identity: list[Named]
    boundary: Named | None
    session: Named | None
    resource_policy: Named | None
    service_control: list[list[Named]]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def request(self) -> AccessRequest:
        """The request, for the evaluator under test."""
        return AccessRequest(self.principal, self.action, self.resource, self.context, self.resource_account)

    def policies(self) -> Policies:
        """The policies, for the evaluator under test."""
        return Policies(
            identity=[NamedPolicy(*each) for each in self.identity],
            resource=NamedPolicy(*self.resource_policy) if self.resource_policy else None,
            boundary=NamedPolicy(*self.boundary) if self.boundary else None,
            session=[NamedPolicy(*self.session)] if self.session else [],
            service_control=[[NamedPolicy(*each) for each in level] for level in self.service_control],
        )

    def documents(self) -> list[Document]:
        """Every document."""
        single = (self.boundary, self.session, self.resource_policy)
        named = [
            *self.identity,
            *(each for each in single if each),
            *(each for level in self.service_control for each in level),
        ]
        return [document for _, document in named]


def pairs(seed: int, count: int) -> Iterator[Pair]:
    """`count` pairs; the same for the same seed."""
    for number in range(count):
        yield _Generator(random.Random(f"{seed}/{number}"), number).pair()  # noqa: S311  # test data


class _Generator:
    def __init__(self, rng: random.Random, number: int) -> None:
        self.rng, self.number = rng, number
        self.action: Action = rng.choice(ACTIONS)
        self.resource = rng.choice(self.action.resources)
        self.keys = {**GLOBAL_KEYS, **self.action.keys}
        self.principal = self._principal()
        self.context = self._context()

    def pair(self) -> Pair:
        has_policies = self.principal.startswith("arn:") and self.principal != PROVIDER
        trust = self.action.name.startswith("sts:")
        with_session = self.principal in (SESSION, FEDERATED, STRANGER) and self._often(0.2)
        with_resource = trust or self._often(0.9 if self.action.name.startswith("kms:") or not has_policies else 0.4)
        levels = self.rng.randint(1, 2) if has_policies and self._often(0.15) else 0
        return Pair(
            number=self.number,
            principal=self.principal,
            action=self.action.name,
            resource=self.resource,
            resource_account=ACCOUNT,
            context=self.context,
            identity=[self._policy(f"identity-{n}") for n in range(self.rng.randint(0, 3) if has_policies else 0)],
            boundary=self._policy("boundary", generous=True) if has_policies and self._often(0.25) else None,
            session=self._policy("session", generous=True) if with_session else None,
            resource_policy=self._policy("resource", resource=True, trust=trust) if with_resource else None,
            service_control=[[self._policy(f"level-{n}", generous=True)] for n in range(levels)],
        )

    def _often(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _one_or_list(self, values: Sequence[str]) -> str | list[str]:
        return values[0] if len(values) == 1 and self._often(0.7) else list(values)

    def _some(self, make: Callable[[], str], most: int) -> str | list[str]:
        return self._one_or_list([make() for _ in range(self.rng.randint(1, most))])

    def _principal(self) -> str:
        if self.action.name.endswith("WebIdentity"):
            return PROVIDER
        if self.action.name == "sts:AssumeRole":
            return self.rng.choice((USER, SESSION, STRANGER, *SERVICES))
        weights = {USER: 25, SESSION: 45, FEDERATED: 10, STRANGER: 10, SERVICES[0]: 3, SERVICES[1]: 3, ANONYMOUS: 4}
        return self.rng.choices(list(weights), list(weights.values()))[0]

    def _context(self) -> dict[str, str | list[str]]:
        context: dict[str, str | list[str]] = {}
        for key, kind in self.keys.items():
            if not self._often(0.6):
                continue
            if kind.startswith("ArrayOf"):
                context[key] = self.rng.sample(VALUES[kind.removeprefix("ArrayOf")], self.rng.randint(1, 3))
            else:
                context[key] = self.rng.choice(VALUES[kind])
        if "aws:PrincipalAccount" in context:
            context["aws:PrincipalAccount"] = ACCOUNT
        if "aws:username" in context:
            context["aws:username"] = self.rng.choice(("ana", "blue"))
        return context

    def _policy(self, name: str, *, resource: bool = False, trust: bool = False, generous: bool = False) -> Named:
        statements = [
            self._statement(resource=resource, trust=trust, generous=generous) for _ in range(self.rng.randint(1, 3))
        ]
        for index, statement in enumerate(statements):
            if self._often(0.5):
                statement["Sid"] = f"S{index}"
        version = self.rng.choices(({"Version": "2012-10-17"}, {"Version": "2008-10-17"}, {}), (93, 4, 3))[0]
        return name, {**version, "Statement": statements}

    def _statement(self, *, resource: bool, trust: bool, generous: bool) -> Document:
        allow = self._often(0.9 if generous else 0.82)
        statement: Document = {"Effect": "Allow" if allow else "Deny"}
        if resource:
            negated = not trust and self._often(0.1)
            statement["NotPrincipal" if negated else "Principal"] = self._principal_element()
        if generous and allow and self._often(0.5):
            return {**statement, "Action": "*", "Resource": "*"}
        self._add_action(statement, trust)
        if not trust:
            negated = self._often(0.12)
            statement["NotResource" if negated else "Resource"] = self._some(self._resource_pattern, 3)
        conditions = self.rng.choices((0, 1, 2), (45, 35, 20) if allow else (15, 55, 30))[0]
        for _ in range(conditions):
            self._add_condition(statement.setdefault("Condition", {}))
        return statement

    def _add_action(self, statement: Document, trust: bool) -> None:
        if not trust and self._often(0.15):
            statement["NotAction"] = self._some(self._action_pattern, 2)
        elif trust:
            statement["Action"] = self._some(
                lambda: self.rng.choice((self.action.name, "sts:TagSession", "sts:Assume*")), 2
            )
        else:
            statement["Action"] = self._some(self._action_pattern, 3)

    def _action_pattern(self) -> str:
        if self._often(0.75):
            return self.rng.choice((self.action.name, self.action.name, *self.action.variants))
        other = self.rng.choice(ACTIONS)
        return self.rng.choice((other.name, *other.variants[:1]))

    def _resource_pattern(self) -> str:
        if self._often(0.85):
            return self.rng.choice((self.resource, "*", *self.action.patterns, *self.action.patterns))
        return self.rng.choice(self.rng.choice(ACTIONS).patterns)

    def _principal_element(self) -> Any:
        if self.principal == PROVIDER:
            return {"Federated": self.rng.choice((PROVIDER, PROVIDER, "cognito-identity.amazonaws.com"))}
        return self.rng.choice(_PRINCIPALS)

    def _add_condition(self, conditions: Document) -> None:
        key = self.rng.choice(list(self.context) if self.context and self._often(0.7) else list(self.keys))
        multiple = self.keys[key].startswith("ArrayOf")
        kind = self.keys[key].removeprefix("ArrayOf")
        if self._often(0.1):
            operator, values = "Null", ["true", "false"][: self.rng.randint(1, 2)] if self._often(0.3) else ["false"]
        else:
            operator = self.rng.choice(OPERATORS["String" if self._often(0.08) else kind])
            quantified = self._often(0.85 if multiple else 0.35)
            prefix = self.rng.choice(("ForAnyValue:", "ForAllValues:")) if quantified else ""
            operator = prefix + operator + ("IfExists" if self._often(0.3) else "")
            values = self._condition_values(key, kind)
        if self._often(0.15):
            key = self.rng.choice((key.lower(), key.upper()))
        conditions.setdefault(operator, {})[key] = self._one_or_list(values)

    def _condition_values(self, key: str, kind: str) -> list[str]:
        values = self.rng.sample(PATTERNS[kind], min(len(PATTERNS[kind]), self.rng.randint(1, 3)))
        present = self.context.get(key)
        if present is not None and self._often(0.4):
            values[0] = present if isinstance(present, str) else self.rng.choice(present)
        return list(dict.fromkeys(values))
