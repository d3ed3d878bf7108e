"""The decisions of the AWS emulators in this process, checked at the end of each test; not a test itself.

A test makes no denied call unless it is marked `denied_calls`, with the reason. A test that `permissions.USED_BY` names
needs the statements that it is named for: together, removing one of them makes the test fail.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest
from local_aws.authorization.decision_log import DecisionLog
from local_aws.authorization.principals import Principal
from local_aws.iam.evaluation_outcome import Decision, PolicyType

from tests.harness.platform import permissions
from tests.harness.platform.permissions import Statement

MARK = "denied_calls"


@dataclass
class Recorded:
    """What was decided during one test: the denied calls, in words, and the statements that allowed calls needed."""

    denied: list[str] = field(default_factory=list)
    needed: set[Statement] = field(default_factory=set)


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
            for each in decision.needed:
                own = each.policy_type in (PolicyType.IDENTITY, PolicyType.SESSION)
                owner = who if own else permissions.owner_name(each.arn or each.policy)
                self._recorded.needed.add((owner, each.sid or f"#{each.index}"))


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
