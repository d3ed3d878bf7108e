"""Permissions used and granted, from the log of decisions and the policies as deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from local_aws import cli
from local_aws.authorization import usage
from local_aws.authorization.deployed_policies import POLICIES
from local_aws.errors import EmulatorError

ROLE = "arn:aws:iam::123456789012:role/worker"
MANAGED = "arn:aws:iam::123456789012:policy/shared"
BOUNDARY = "arn:aws:iam::123456789012:policy/limit"
TRUST = "trust policy of worker"


def decision(
    action: str, outcome: str, *statements: tuple[str, str], resource: str = "*", caller: str = ROLE, needed: int = 0
) -> dict[str, Any]:
    """A line of the log, whose call needs the first `needed` statements."""
    return {
        "operation": f"{action}:call", "principal": "p", "entity": caller, "action": action, "resource": resource,
        "decision": outcome, "statements": [list(each) for each in statements],
        "needed": [list(each) for each in statements[:needed]],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an emulator that has stopped: a role, its trust policy and boundary, and decisions."""
    (tmp_path / "logs").mkdir()
    inline = [
        {"Sid": "Read", "Effect": "Allow", "Action": ["s3:Get*", "s3:ListBucket"], "Resource": "*"},
        {"Effect": "Allow", "Action": "sns:Publish", "Resource": "*"},
        {"Sid": "Never", "Effect": "Deny", "Action": "*", "Resource": "*"},
    ]
    managed = [{"Sid": "Log", "Effect": "Allow", "Action": "logs:PutLogEvents", "Resource": "*"}]
    own = [
        {"policy": "inline", "document": {"Statement": inline}},
        {"policy": MANAGED, "document": {"Statement": managed}},
    ]
    limit = {"Sid": "Limit", "Effect": "Allow", "Action": "*", "Resource": "*"}
    assumes = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
    shared = [
        {"kind": "trust", "policy": TRUST, "document": {"Statement": assumes}},
        {"kind": "boundary", "policy": BOUNDARY, "document": {"Statement": [limit]}},
    ]
    (tmp_path / POLICIES).write_text(json.dumps({"roles": {ROLE: own}, "shared": shared}))
    read, limited = ("inline", "Read"), (BOUNDARY, "Limit")
    lines = [
        decision("sts:AssumeRole", "allowed", (TRUST, "#0"), caller="lambda.amazonaws.com", needed=1),
        decision("s3:GetObject", "allowed", read, limited, needed=2),
        decision("s3:GetObject", "allowed", read, limited, needed=2),
        decision("s3:GetObjectVersion", "allowed", read, limited, needed=2),
        decision("logs:PutLogEvents", "allowed", (MANAGED, "Log"), limited),
        decision("s3:PutObject", "implicit deny", resource="arn:aws:s3:::b/k"),
        decision("sns:Publish", "implicit deny", caller="events.amazonaws.com"),
    ]
    (tmp_path / usage.DECISIONS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_report_counts_calls_by_statement(folder: Path) -> None:
    """A statement is used if it allowed a call; an action of it, if it matches an action that was allowed."""
    [role] = usage.report(folder).roles
    found = {(each.policy, each.sid): (each.calls, list(each.unused)) for each in role.statements}
    assert found == {
        ("inline", "Read"): (3, ["s3:ListBucket"]),
        ("inline", "#1"): (0, ["sns:Publish"]),
        (MANAGED, "Log"): (1, []),
    }
    assert [each.sid for each in role.unused] == ["#1"]
    assert role.denied == {("s3:PutObject:call", "s3:PutObject", "arn:aws:s3:::b/k"): 1}


def test_report_counts_calls_that_need_a_statement(folder: Path) -> None:
    """A used statement that no call needs is redundant: another one allowed the same."""
    [role] = usage.report(folder).roles
    assert {each.sid: dict(each.needed) for each in role.statements} == {
        "Read": {
            ("s3:GetObject:call", "s3:GetObject", "*"): 2,
            ("s3:GetObjectVersion:call", "s3:GetObjectVersion", "*"): 1,
        },
        "#1": {},
        "Log": {},
    }
    assert [each.sid for each in role.redundant] == ["Log"]


def test_report_counts_shared_policies_over_all_callers(folder: Path) -> None:
    """Trust policies and boundaries belong to no single role; a service's denied call is its own."""
    found = usage.report(folder)
    assert [(each.kind, each.owner) for each in found.shared] == [("boundary", BOUNDARY), ("trust", TRUST)]
    counts = {each.sid: (each.calls, sum(each.needed.values())) for usage in found.shared for each in usage.statements}
    assert counts == {"Limit": (4, 3), "#0": (1, 1)}
    assert found.denied == {"events.amazonaws.com": {("sns:Publish:call", "sns:Publish", "*"): 1}}


def test_command_prints_the_report(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`local-aws permissions` prints it as JSON."""
    assert cli.main(["permissions", "--folder", str(folder)]) == 0
    printed = json.loads(capsys.readouterr().out)
    [role] = printed["roles"]
    assert role["role"] == ROLE
    assert role["denied"] == [
        {"operation": "s3:PutObject:call", "action": "s3:PutObject", "resource": "arn:aws:s3:::b/k", "calls": 1}
    ]
    assert role["redundant"] == [f"{MANAGED} Log"]
    assert role["statements"][0]["needed"][1]["action"] == "s3:GetObjectVersion"
    assert [each["policy"] for each in printed["shared_policies"]] == [BOUNDARY, TRUST]
    assert [each["caller"] for each in printed["other_callers"]] == ["events.amazonaws.com"]


def test_folder_without_a_log_is_an_error(tmp_path: Path) -> None:
    """The message names the missing file."""
    with pytest.raises(EmulatorError, match=r"decisions\.jsonl does not exist"):
        usage.report(tmp_path)
