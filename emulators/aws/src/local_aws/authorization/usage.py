"""Permissions used and granted: for each role, which of its statements and actions no call used, and what was denied.

Computed from the log of decisions and the policies as deployed. `save_policies` keeps the latter when the emulator
stops, with the reasons that the stacks' templates give for unused statements, so that `report` works on its folder
afterwards. Decides nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from local_aws.authorization import justifications
from local_aws.authorization.justifications import StatementPlace
from local_aws.authorization.principals import Principals
from local_aws.errors import EmulatorError

DECISIONS, POLICIES = "logs/decisions.jsonl", "logs/policies.json"


@dataclass(frozen=True, kw_only=True)
class GrantedStatement:
    """An Allow statement of a role. `calls` counts the decisions that it allowed; `unused` are its actions, as written,
    that allowed none; `justification` is the reason that the template's comment gives for that, or empty."""

    policy: str
    sid: str
    actions: Sequence[str]
    calls: int
    unused: Sequence[str]
    justification: str = ""


@dataclass(frozen=True, kw_only=True)
class RoleUsage:
    """What a role may do and did. `denied` counts denied decisions by (operation, action, resource)."""

    role: str
    statements: Sequence[GrantedStatement]
    denied: Mapping[tuple[str, str, str], int] = field(default_factory=dict)

    @property
    def unused(self) -> Sequence[GrantedStatement]:
        """The statements that allowed no call."""
        return [statement for statement in self.statements if not statement.calls]

    @property
    def unjustified(self) -> Sequence[GrantedStatement]:
        """The unused statements that no comment of the template justifies."""
        return [statement for statement in self.unused if not statement.justification]


def save_policies(principals: Principals, folder: Path, stacks: Iterable[Any] = ()) -> None:
    """Writes the identity-based policies of every role into the emulator's folder, and the reasons in the templates of
    `stacks`, moto's records, for statements that are not used."""
    reasons = _reasons(stacks)
    roles = {
        role.arn: [
            {
                "policy": policy.arn or policy.name,
                "document": _parsed(policy.document),
                "unused": {
                    **reasons.get((policy.arn or "", ""), {}),
                    **reasons.get((role.name, policy.name), {}),
                },
            }
            for policy in principals.role_policies(role).identity
        ]
        for role in principals.roles()
    }
    (folder / POLICIES).write_text(json.dumps(roles, indent=1), "utf-8")


def report(folder: Path) -> list[RoleUsage]:
    """The usage of each role of the emulator that ran in `folder`, by its ARN.

    Raises:
        EmulatorError: the folder holds no decisions or no policies.
    """
    for name in (DECISIONS, POLICIES):
        if not (folder / name).is_file():
            raise EmulatorError(f"{folder / name} does not exist: it is written by an emulator that has stopped")
    roles: dict[str, Any] = json.loads((folder / POLICIES).read_text("utf-8"))
    with (folder / DECISIONS).open(encoding="utf-8") as lines:
        decisions = _Decisions(map(json.loads, lines))
    return [_usage(role, roles[role], decisions) for role in sorted(roles)]


def as_json(usages: Iterable[RoleUsage]) -> str:
    """The report as JSON text: a list of roles."""
    rows = []
    for usage in usages:
        denied = [
            {"operation": operation, "action": action, "resource": resource, "calls": count}
            for (operation, action, resource), count in usage.denied.items()
        ]
        rows.append(
            {
                "role": usage.role,
                "statements": [asdict(each) for each in usage.statements],
                "never_used": [f"{each.policy} {each.sid}" for each in usage.unjustified],
                "denied": denied,
            }
        )
    return json.dumps(rows, indent=1)


class _Decisions:
    """The log, counted: allowed actions by (role, policy, statement), and denied calls by role."""

    def __init__(self, lines: Iterable[Mapping[str, Any]]) -> None:
        self.allowed: dict[tuple[str, str, str], Counter[str]] = {}
        self.denied: dict[str, Counter[tuple[str, str, str]]] = {}
        for line in lines:
            role = line["entity"]
            if line["decision"] != "allowed":
                key = (line["operation"], line["action"], line["resource"])
                self.denied.setdefault(role, Counter())[key] += 1
                continue
            for policy, sid in line["statements"]:
                self.allowed.setdefault((role, policy, sid), Counter())[line["action"]] += 1


def _usage(role: str, policies: Sequence[Mapping[str, Any]], decisions: _Decisions) -> RoleUsage:
    statements = []
    for policy in policies:
        for index, statement in enumerate(_list(policy["document"]["Statement"])):
            if statement["Effect"] != "Allow":
                continue
            sid, actions = str(statement.get("Sid") or f"#{index}"), _list(statement.get("Action"))
            used = decisions.allowed.get((role, policy["policy"], sid), Counter())
            unused = [action for action in actions if not any(_matches(action, name) for name in used)]
            statements.append(
                GrantedStatement(
                    policy=policy["policy"],
                    sid=sid,
                    actions=actions,
                    calls=used.total(),
                    unused=unused,
                    justification=policy.get("unused", {}).get(sid, ""),
                )
            )
    return RoleUsage(role=role, statements=statements, denied=dict(decisions.denied.get(role, Counter())))


def _reasons(stacks: Iterable[Any]) -> dict[tuple[str, str], dict[str, str]]:
    """The reasons by Sid, for each role's name and policy's name; a managed policy has its ARN and no name."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for stack in stacks:
        made = stack.resource_map._parsed_resources  # the public mapping creates what it lacks
        for place, reason in justifications.of_template(stack.template).items():
            if place.resource in made:
                for key in _policies_at(place, made[place.resource]):
                    found.setdefault(key, {})[place.sid] = reason
    return found


def _policies_at(place: StatementPlace, resource: Any) -> list[tuple[str, str]]:
    """The deployed policies of the resource that the statement stands in: moto's role, inline or managed policy."""
    if place.type == "AWS::IAM::Role":
        return [(resource.physical_resource_id, place.policy)]
    if place.type == "AWS::IAM::Policy":
        return [(role, place.policy) for role in resource.role_names]
    return [(resource.physical_resource_id, "")]


def _matches(pattern: str, action: str) -> bool:
    return fnmatchcase(action.lower(), pattern.lower())


def _parsed(document: str | Mapping[str, Any]) -> Any:
    return json.loads(document) if isinstance(document, str) else document


def _list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
