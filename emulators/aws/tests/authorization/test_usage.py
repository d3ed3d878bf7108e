"""Permissions used and granted, from the log of decisions and the policies as deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from local_aws import cli
from local_aws.authorization import usage
from local_aws.errors import EmulatorError

ROLE = "arn:aws:iam::123456789012:role/worker"
MANAGED = "arn:aws:iam::123456789012:policy/shared"


def decision(action: str, outcome: str, *statements: tuple[str, str], resource: str = "*") -> dict[str, Any]:
    """A line of the log."""
    return {
        "operation": action, "principal": "p", "entity": ROLE, "action": action, "resource": resource,
        "decision": outcome, "statements": [list(each) for each in statements],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an emulator that has stopped: a role with three statements, four decisions."""
    (tmp_path / "logs").mkdir()
    inline = [
        {"Sid": "Read", "Effect": "Allow", "Action": ["s3:Get*", "s3:ListBucket"], "Resource": "*"},
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": "*"},
        {"Sid": "Never", "Effect": "Deny", "Action": "*", "Resource": "*"},
    ]
    managed = [{"Sid": "Log", "Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "*"}]
    roles = {
        ROLE: [
            {"policy": "inline", "document": {"Statement": inline}},
            {"policy": MANAGED, "document": {"Statement": managed}},
        ]
    }
    (tmp_path / usage.POLICIES).write_text(json.dumps(roles))
    lines = [
        decision("s3:GetObject", "allowed", ("inline", "Read")),
        decision("s3:GetObjectVersion", "allowed", ("inline", "Read")),
        decision("logs:PutLogEvents", "allowed", (MANAGED, "Log")),
        decision("s3:PutObject", "implicit deny", resource="arn:aws:s3:::b/k"),
    ]
    (tmp_path / usage.DECISIONS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_report_counts_calls_by_statement(folder: Path) -> None:
    """A statement is used if it allowed a call; an action of it, if it matches an action that was allowed."""
    [role] = usage.report(folder)
    found = {(each.policy, each.sid): (each.calls, list(each.unused)) for each in role.statements}
    assert found == {
        ("inline", "Read"): (2, ["s3:ListBucket"]),
        ("inline", "#1"): (0, ["sns:Publish"]),
        (MANAGED, "Log"): (1, []),
    }
    assert [each.sid for each in role.unused] == ["#1"]
    assert role.denied == {("s3:PutObject", "s3:PutObject", "arn:aws:s3:::b/k"): 1}


def test_command_prints_the_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`local-aws permissions` prints it as JSON."""
    assert cli.main(["permissions", "--folder", str(folder)]) == 0
    [role] = json.loads(capsys.readouterr().out)
    assert role["role"] == ROLE
    assert role["denied"] == [
        {"operation": "s3:PutObject", "action": "s3:PutObject", "resource": "arn:aws:s3:::b/k", "calls": 1}
    ]


def test_folder_without_a_log_is_an_error(tmp_path: Path) -> None:
    """The message names the missing file."""
    with pytest.raises(EmulatorError, match=r"decisions\.jsonl does not exist"):
        usage.report(tmp_path)
