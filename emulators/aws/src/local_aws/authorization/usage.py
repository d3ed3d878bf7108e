"""Permissions used and granted: which actions of each role and each shared policy no call used, and what none needed.

Computed from the logs of decisions and the policies that `deployed_policies` saved when an emulator stopped, of one
emulator or of several together. A call needs a statement if it would have been denied without it. Decides nothing.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from local_aws.authorization import justifications
from local_aws.authorization.deployed_policies import POLICIES
from local_aws.errors import EmulatorError

DECISIONS = "logs/decisions.jsonl"
_GENERATED = re.compile(r"-([A-Z0-9]{12}|[a-z0-9]{12})(?=$|:)")
"""What CloudFormation appends to a generated name."""
AuthorizedCall = tuple[str, str, str]
"""Operation, action and resource of a decision."""


def deployed_name(arn: str) -> str:
    """An ARN or a policy's name without what CloudFormation appended, and so the same in every deployment."""
    return _GENERATED.sub("", arn)


@dataclass(frozen=True, kw_only=True)
class GrantedStatement:
    """An Allow statement.

    `calls` counts the decisions that it allowed, and `needed` those of them that would have been denied without it.
    `unused` are its actions, as written, that allowed none; `reasons` are the template's comments about that.
    """

    policy: str
    sid: str
    actions: Sequence[str]
    calls: int
    needed: Mapping[AuthorizedCall, int]
    unused: Sequence[str]
    reasons: Sequence[str] = ()

    @property
    def justified(self) -> Mapping[str, str]:
        """The unused actions that a comment covers, and the comment."""
        covered = justifications.by_action(self.actions, self.reasons, used=bool(self.calls))
        return {action: covered[action] for action in self.unused if action in covered}

    @property
    def unjustified(self) -> Sequence[str]:
        """The unused actions that no comment covers."""
        return [action for action in self.unused if action not in self.justified]

    @property
    def contradicted(self) -> Sequence[str]:
        """The actions that a comment calls unused and a call used."""
        covered = justifications.by_action(self.actions, self.reasons, used=bool(self.calls))
        return [action for action in covered if action not in self.unused]


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
        """The statements with an unused action that no comment of the template covers."""
        return [statement for statement in self.statements if statement.unjustified]

    @property
    def redundant(self) -> Sequence[GrantedStatement]:
        """The used statements that no call needed: others allowed the same."""
        return [statement for statement in self.statements if statement.calls and not statement.needed]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The permissions of emulators that have stopped.

    `decisions` counts their decisions. `denied` has the calls of callers that are no roles: services, users, the
    administrator.
    """

    roles: Sequence[PolicyUsage]
    shared: Sequence[PolicyUsage]
    denied: Mapping[str, Mapping[AuthorizedCall, int]]
    decisions: int

    def as_json(self) -> str:
        """The report as JSON text."""
        document = {
            "decisions": self.decisions,
            "roles": [_usage_row(usage) for usage in self.roles],
            "shared_policies": [_usage_row(usage) for usage in self.shared],
            "other_callers": [
                {"caller": caller, "denied": _call_rows(calls)} for caller, calls in sorted(self.denied.items())
            ],
        }
        return json.dumps(document, indent=1)


def report(*folders: Path, named: Callable[[str], str] = deployed_name) -> Report:
    """The usage of each role and each shared policy of the emulators that ran in `folders`, counted together.

    Args:
        named: the name under which roles and policies of several emulators are one, from an ARN or a policy's name. By
            default it lacks what CloudFormation appends to a generated name, if there are several folders.

    Raises:
        EmulatorError: no folder is given, or one holds no decisions or no policies.
    """
    if not folders:
        raise EmulatorError("a report of used permissions needs the folder of an emulator")
    name = named if len(folders) > 1 or named is not deployed_name else str
    decisions, roles, shared = _Decisions(name), dict[str, _Statements](), dict[tuple[str, str], _Statements]()
    for folder in folders:
        for file in (DECISIONS, POLICIES):
            if not (folder / file).is_file():
                raise EmulatorError(f"{folder / file} does not exist: it is written by an emulator that has stopped")
        policies: dict[str, Any] = json.loads((folder / POLICIES).read_text("utf-8"))
        with (folder / DECISIONS).open(encoding="utf-8") as lines:
            decisions.count(map(json.loads, lines))
        for role, own in policies["roles"].items():
            for policy in own:
                _collect(roles.setdefault(name(role), {}), policy, name)
        for policy in policies["shared"]:
            _collect(shared.setdefault((policy["kind"], name(policy["policy"])), {}), policy, name)
    of_roles = [
        PolicyUsage(
            kind="role",
            owner=role,
            statements=decisions.statements(roles[role], role),
            denied=decisions.denied.pop(role, {}),
        )
        for role in sorted(roles)
    ]
    of_shared = [
        PolicyUsage(kind=kind, owner=owner, statements=decisions.statements(shared[kind, owner], ""))
        for kind, owner in sorted(shared, key=lambda each: each[1])
    ]
    return Report(roles=of_roles, shared=of_shared, denied=decisions.denied, decisions=decisions.total)


@dataclass
class _Written:
    """An Allow statement as written, in the policies of all folders: its actions and the comments above it."""

    actions: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


_Statements = dict[tuple[str, str], _Written]
"""By (policy, Sid)."""


def _collect(found: _Statements, policy: Mapping[str, Any], name: Callable[[str], str]) -> None:
    """Adds the Allow statements of a policy, as `deployed_policies` saved it."""
    for index, statement in enumerate(_list(policy["document"]["Statement"])):
        if statement["Effect"] == "Allow":
            sid = str(statement.get("Sid") or f"#{index}")
            written = found.setdefault((name(policy["policy"]), sid), _Written())
            for into, items in (
                (written.actions, _list(statement.get("Action"))),
                (written.reasons, policy.get("unused", {}).get(sid, ())),
            ):
                into.extend(each for each in items if each not in into)


class _Decisions:
    """The logs, counted by (role, policy, Sid); the role is empty in counts of shared policies, over all callers."""

    def __init__(self, name: Callable[[str], str]) -> None:
        self._name = name
        self._allowed: dict[tuple[str, str, str], Counter[str]] = {}
        self._needed: dict[tuple[str, str, str], Counter[AuthorizedCall]] = {}
        self.denied: dict[str, Counter[AuthorizedCall]] = {}
        self.total = 0

    def count(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Adds the decisions of one log."""
        for line in lines:
            self.total += 1
            caller, call = self._name(line["entity"]), (line["operation"], line["action"], line["resource"])
            if line["decision"] != "allowed":
                self.denied.setdefault(caller, Counter())[call] += 1
            for policy, sid in line["statements"] if line["decision"] == "allowed" else ():
                for owner in (caller, ""):
                    self._allowed.setdefault((owner, self._name(policy), sid), Counter())[line["action"]] += 1
            for policy, sid in line["needed"]:
                for owner in (caller, ""):
                    self._needed.setdefault((owner, self._name(policy), sid), Counter())[call] += 1

    def statements(self, written: _Statements, role: str) -> list[GrantedStatement]:
        """The statements with their counts; the role is empty for those of a shared policy."""
        found = []
        for (policy, sid), statement in written.items():
            used = self._allowed.get((role, policy, sid), Counter())
            found.append(
                GrantedStatement(
                    policy=policy,
                    sid=sid,
                    actions=statement.actions,
                    calls=used.total(),
                    needed=self._needed.get((role, policy, sid), {}),
                    unused=[action for action in statement.actions if not any(matches(action, name) for name in used)],
                    reasons=statement.reasons,
                )
            )
        return found


def matches(pattern: str, action: str) -> bool:
    """Whether an action of a statement, as written, covers an action."""
    return fnmatchcase(action.lower(), pattern.lower())


def _usage_row(usage: PolicyUsage) -> dict[str, Any]:
    return {
        usage.kind if usage.kind == "role" else "policy": usage.owner,
        "kind": usage.kind,
        "statements": [_statement_row(each) for each in usage.statements],
        "never_used": [
            f"{each.policy} {each.sid} {action}" for each in usage.statements for action in each.unjustified
        ],
        "used_though_justified": [
            f"{each.policy} {each.sid} {action}" for each in usage.statements for action in each.contradicted
        ],
        "redundant": [f"{each.policy} {each.sid}" for each in usage.redundant],
        "denied": _call_rows(usage.denied),
    }


def _statement_row(statement: GrantedStatement) -> dict[str, Any]:
    return {
        "policy": statement.policy,
        "sid": statement.sid,
        "calls": statement.calls,
        "used": [action for action in statement.actions if action not in statement.unused],
        "unused": [{"action": action, "justification": statement.justified.get(action)} for action in statement.unused],
        "needed": _call_rows(statement.needed),
    }


def _call_rows(calls: Mapping[AuthorizedCall, int]) -> list[dict[str, Any]]:
    return [
        {"operation": operation, "action": action, "resource": resource, "calls": count}
        for (operation, action, resource), count in calls.items()
    ]


def _list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
