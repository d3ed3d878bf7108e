"""Permissions used and granted: which statements of each role and each shared policy no call used, or none needed.

Computed from the log of decisions and the policies that `deployed_policies` saved when the emulator stopped. A call
needs a statement if it would have been denied without it. Decides nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from local_aws.authorization.deployed_policies import POLICIES
from local_aws.errors import EmulatorError

DECISIONS = "logs/decisions.jsonl"
AuthorizedCall = tuple[str, str, str]
"""Operation, action and resource of a decision."""


@dataclass(frozen=True, kw_only=True)
class GrantedStatement:
    """An Allow statement.

    `calls` counts the decisions that it allowed, and `needed` those of them that would have been denied without it.
    `unused` are its actions, as written, that allowed none; `justification` is the reason that the template's comment
    gives for that, or empty.
    """

    policy: str
    sid: str
    actions: Sequence[str]
    calls: int
    needed: Mapping[AuthorizedCall, int]
    unused: Sequence[str]
    justification: str = ""


@dataclass(frozen=True, kw_only=True)
class PolicyUsage:
    """The statements of one role's own policies, or of one shared policy.

    `kind` is role, and `owner` the role's ARN; or it is resource, trust or boundary, and `owner` the policy's name in
    the log. `denied` counts the denied calls of a role.
    """

    kind: str
    owner: str
    statements: Sequence[GrantedStatement]
    denied: Mapping[AuthorizedCall, int] = field(default_factory=dict)

    @property
    def unused(self) -> Sequence[GrantedStatement]:
        """The statements that allowed no call."""
        return [statement for statement in self.statements if not statement.calls]

    @property
    def unjustified(self) -> Sequence[GrantedStatement]:
        """The unused statements that no comment of the template justifies."""
        return [statement for statement in self.unused if not statement.justification]

    @property
    def redundant(self) -> Sequence[GrantedStatement]:
        """The used statements that no call needed: others allowed the same."""
        return [statement for statement in self.statements if statement.calls and not statement.needed]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The permissions of an emulator that has stopped. `denied` has the calls of callers that are no roles: services,
    users, the administrator."""

    roles: Sequence[PolicyUsage]
    shared: Sequence[PolicyUsage]
    denied: Mapping[str, Mapping[AuthorizedCall, int]]

    def as_json(self) -> str:
        """The report as JSON text."""
        document = {
            "roles": [_usage_row(usage) for usage in self.roles],
            "shared_policies": [_usage_row(usage) for usage in self.shared],
            "other_callers": [
                {"caller": caller, "denied": _call_rows(calls)} for caller, calls in sorted(self.denied.items())
            ],
        }
        return json.dumps(document, indent=1)


def report(folder: Path) -> Report:
    """The usage of each role and each shared policy of the emulator that ran in `folder`.

    Raises:
        EmulatorError: the folder holds no decisions or no policies.
    """
    for name in (DECISIONS, POLICIES):
        if not (folder / name).is_file():
            raise EmulatorError(f"{folder / name} does not exist: it is written by an emulator that has stopped")
    policies: dict[str, Any] = json.loads((folder / POLICIES).read_text("utf-8"))
    with (folder / DECISIONS).open(encoding="utf-8") as lines:
        decisions = _Decisions(map(json.loads, lines))
    roles = [
        PolicyUsage(
            kind="role",
            owner=role,
            statements=[each for policy in policies["roles"][role] for each in decisions.statements(policy, role)],
            denied=decisions.denied.pop(role, {}),
        )
        for role in sorted(policies["roles"])
    ]
    shared = [
        PolicyUsage(kind=policy["kind"], owner=policy["policy"], statements=decisions.statements(policy, ""))
        for policy in sorted(policies["shared"], key=lambda each: str(each["policy"]))
    ]
    return Report(roles=roles, shared=shared, denied=decisions.denied)


class _Decisions:
    """The log, counted by (role, policy, Sid); the role is empty in the counts of shared policies, over all callers."""

    def __init__(self, lines: Iterable[Mapping[str, Any]]) -> None:
        self._allowed: dict[tuple[str, str, str], Counter[str]] = {}
        self._needed: dict[tuple[str, str, str], Counter[AuthorizedCall]] = {}
        self.denied: dict[str, Counter[AuthorizedCall]] = {}
        for line in lines:
            caller, call = line["entity"], (line["operation"], line["action"], line["resource"])
            if line["decision"] != "allowed":
                self.denied.setdefault(caller, Counter())[call] += 1
            for policy, sid in line["statements"] if line["decision"] == "allowed" else ():
                for owner in (caller, ""):
                    self._allowed.setdefault((owner, policy, sid), Counter())[line["action"]] += 1
            for policy, sid in line["needed"]:
                for owner in (caller, ""):
                    self._needed.setdefault((owner, policy, sid), Counter())[call] += 1

    def statements(self, policy: Mapping[str, Any], role: str) -> list[GrantedStatement]:
        """The Allow statements of a policy, as `deployed_policies` saved it, with their counts."""
        found = []
        for index, statement in enumerate(_list(policy["document"]["Statement"])):
            if statement["Effect"] != "Allow":
                continue
            sid, actions = str(statement.get("Sid") or f"#{index}"), _list(statement.get("Action"))
            used = self._allowed.get((role, policy["policy"], sid), Counter())
            found.append(
                GrantedStatement(
                    policy=policy["policy"],
                    sid=sid,
                    actions=actions,
                    calls=used.total(),
                    needed=self._needed.get((role, policy["policy"], sid), {}),
                    unused=[action for action in actions if not any(_matches(action, name) for name in used)],
                    justification=policy.get("unused", {}).get(sid, ""),
                )
            )
        return found


def _usage_row(usage: PolicyUsage) -> dict[str, Any]:
    return {
        usage.kind if usage.kind == "role" else "policy": usage.owner,
        "kind": usage.kind,
        "statements": [{**asdict(each), "needed": _call_rows(each.needed)} for each in usage.statements],
        "never_used": [f"{each.policy} {each.sid}" for each in usage.unjustified],
        "redundant": [f"{each.policy} {each.sid}" for each in usage.redundant],
        "denied": _call_rows(usage.denied),
    }


def _call_rows(calls: Mapping[AuthorizedCall, int]) -> list[dict[str, Any]]:
    return [
        {"operation": operation, "action": action, "resource": resource, "calls": count}
        for (operation, action, resource), count in calls.items()
    ]


def _matches(pattern: str, action: str) -> bool:
    return fnmatchcase(action.lower(), pattern.lower())


def _list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
