"""The log of decisions: one JSON line per decision, in the emulator's folder.

    {"at": …, "operation": "s3:GetObject", "principal": ARN, "entity": ARN of the role or user, "action": …,
     "resource": …, "decision": "allowed", "statements": [["inline policy", "Sid"], …], "needed": [[…, …], …]}

A statement is its policy (the ARN of a managed one, the name of an inline one, `policy of ARN` for that of a resource,
`trust policy of NAME` for that of a role) and its Sid, or `#2` without one. `needed` are the statements of an allowed
call without which, each removed alone, it would have been denied. `entity` is the service's name for a service.
Evaluates nothing; `local_aws.authorization.usage` reads it.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

from local_aws.authorization.principals import Principal
from local_aws.iam.evaluation_outcome import Decision, StatementMatch


class DecisionLog:
    """Appends decisions to a file; thread-safe."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("a", encoding="utf-8", buffering=1 << 16)

    def write(self, principal: Principal, operation: str, decision: Decision) -> None:
        """Appends one decision; a denied one is in the file when this returns."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "operation": operation,
            "principal": principal.arn,
            "entity": principal.entity,
            "action": decision.action,
            "resource": decision.resource,
            "decision": decision.reason.value,
            "statements": [statement_name(statement) for statement in decision.statements],
            "needed": [statement_name(statement) for statement in decision.needed],
        }
        with self._lock:
            if self._file.closed:
                return
            self._file.write(json.dumps(line) + "\n")
            if not decision.allowed:
                self._file.flush()

    def flush(self) -> None:
        """Writes what is buffered."""
        with self._lock:
            if not self._file.closed:
                self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._file.close()


def statement_name(statement: StatementMatch) -> tuple[str, str]:
    """The policy of a statement and its Sid, or its position without one."""
    return statement.arn or statement.policy, statement.sid or f"#{statement.index}"
