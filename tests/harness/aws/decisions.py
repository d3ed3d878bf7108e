"""The decisions of the AWS emulators in this process, checked at the end of each test; not a test itself.

A test makes no denied call unless it is marked `denied_calls`, with the reason. A test that `permissions.USED_BY` names
needs the statements that it is named for: together, removing one of them makes the test fail. It also uses each of
their actions that no comment of the template justifies.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from local_aws.authorization import usage
from local_aws.authorization.decision_log import DecisionLog
from local_aws.authorization.principals import Principal
from local_aws.iam.evaluation_outcome import Decision, PolicyType, StatementMatch

from tests.harness.platform import permissions
from tests.harness.platform.permissions import Action
from tests.harness.platform.template_statements import Statement

MARK = "denied_calls"


@dataclass
class Recorded:
    """What was decided during one test: the denied calls, in words, the statements that allowed calls needed, and the
    actions that each statement allowed."""

    denied: list[str] = field(default_factory=list)
    needed: set[Statement] = field(default_factory=set)
    used: set[Action] = field(default_factory=set)


class DecisionRecorder:
    """Records every decision that an emulator in this process logs; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded = Recorded()
        self._write = DecisionLog.write

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Starts to record, until the patch is undone."""

        def write(log: DecisionLog, principal: Principal, operation: str, decision: Decision) -> None:
            self._write(log, principal, operation, decision)
            self._record(principal, operation, decision)

        patch.setattr(DecisionLog, "write", write)

    def take(self) -> Recorded:
        """What was recorded since the last call."""
        with self._lock:
            taken, self._recorded = self._recorded, Recorded()
        return taken

    def _record(self, principal: Principal, operation: str, decision: Decision) -> None:
        who = permissions.owner_name(principal.entity)
        with self._lock:
            if not decision.allowed:
                call = f"{decision.action} on {decision.resource}"
                self._recorded.denied.append(f"{who}: {call} ({operation}): {decision.reason.value}")
            self._recorded.needed.update(_statement(who, each) for each in decision.needed)
            if decision.allowed:
                self._recorded.used.update((*_statement(who, each), decision.action) for each in decision.statements)


def _statement(caller: str, match: StatementMatch) -> Statement:
    own = match.policy_type in (PolicyType.IDENTITY, PolicyType.SESSION)
    owner = caller if own else permissions.owner_name(match.arn or match.policy)
    return owner, match.sid or f"#{match.index}"


def check(item: pytest.Item, recorded: Recorded, *, passed: bool) -> None:
    """Fails the test for denied calls without the mark, and for the mark without any; a test of the table that passed
    also for statements that it is named for and did not need. Denied calls of a failed test are shown in any case."""
    mark = item.get_closest_marker(MARK)
    calls = "\n".join(dict.fromkeys(recorded.denied))
    if recorded.denied and mark is None:
        pytest.fail(f"denied calls, in a test that is not marked {MARK}:\n{calls}", pytrace=False)
    if recorded.denied and not passed:
        pytest.fail(f"denied calls of the failed test:\n{calls}", pytrace=False)
    if mark is not None and passed and not recorded.denied:
        pytest.fail(f"the test is marked {MARK} ({', '.join(mark.args)}) and made no denied call", pytrace=False)
    test = f"{item.path.relative_to(item.config.rootpath).as_posix()}::{item.name.partition('[')[0]}"
    if passed and (unneeded := permissions.statements_of(test) - recorded.needed):
        pytest.fail(f"USED_BY names {test} for statements that it did not need: {sorted(unneeded)}", pytrace=False)
    if passed and (unused := _unused(permissions.actions_of(test), recorded.used)):
        pytest.fail(
            f"{test} did not use {sorted(unused)}: name the test that does in ACTION_USED_BY, or justify the action in "
            "the template",
            pytrace=False,
        )


def _unused(actions: set[Action], used: set[Action]) -> set[Action]:
    """Those of a template's actions that allowed no call."""
    return {
        (owner, sid, action)
        for owner, sid, action in actions
        if not any((owner, sid) == each[:2] and usage.matches(action, each[2]) for each in used)
    }
