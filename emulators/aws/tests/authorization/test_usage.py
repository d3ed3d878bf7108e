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


def write(folder: Path, policies: dict[str, Any], lines: list[dict[str, Any]]) -> Path:
    """The folder of an emulator that has stopped, with these policies and decisions."""
    (folder / "logs").mkdir(parents=True)
    (folder / POLICIES).write_text(json.dumps(policies))
    (folder / usage.DECISIONS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an emulator that has stopped: a role, its trust policy and boundary, and decisions."""
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
    return write(tmp_path / "one", {"roles": {ROLE: own}, "shared": shared}, lines)


def deployed(folder: Path, suffix: str, action: str, reason: str = "") -> Path:
    """A folder of a role with a generated name whose one statement allowed one action."""
    role, policy = (
        f"arn:aws:iam::123456789012:role/s-Worker-{suffix}",
        f"arn:aws:iam::123456789012:policy/s-Own-{suffix}",
    )
    statement = {"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]}
    own = {"policy": policy, "document": {"Statement": [statement]}, "unused": {"Read": [reason] if reason else []}}
    lines = [decision(action, "allowed", (policy, "Read"), caller=role, needed=1)]
    return write(folder, {"roles": {role: [own]}, "shared": []}, lines)


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


def test_action_is_justified_or_listed_as_never_used(tmp_path: Path) -> None:
    """A used statement's unused actions need a reason each; a reason for a used action is contradicted."""
    reason = "s3:PutObject and s3:GetObject, because nothing is read."
    [role] = usage.report(deployed(tmp_path / "one", "ABCDEFGHIJKL", "s3:GetObject", reason)).roles
    [statement] = role.statements
    assert statement.justified == {"s3:PutObject": reason}
    assert list(statement.unjustified) == ["s3:ListBucket"]
    assert list(statement.contradicted) == ["s3:GetObject"]
    assert list(role.unjustified) == [statement]


def test_report_counts_several_emulators_together(tmp_path: Path) -> None:
    """A role is one in all of them, whatever name CloudFormation generated for it; an action is used if one used it."""
    one = deployed(tmp_path / "one", "ABCDEFGHIJKL", "s3:GetObject")
    two = deployed(tmp_path / "two", "MNOPQRSTUVWX", "s3:ListBucket", "s3:PutObject, because nothing is written.")
    found = usage.report(one, two)
    [role] = found.roles
    assert role.owner == "arn:aws:iam::123456789012:role/s-Worker"
    [statement] = role.statements
    assert (statement.policy, statement.calls, found.decisions) == ("arn:aws:iam::123456789012:policy/s-Own", 2, 2)
    assert list(statement.unused) == list(statement.justified) == ["s3:PutObject"]
    assert len(usage.report(one, two, named=str).roles) == 2


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
    first = role["statements"][0]
    assert first["needed"][1]["action"] == "s3:GetObjectVersion"
    assert first["used"] == ["s3:Get*"]
    assert first["unused"] == [{"action": "s3:ListBucket", "justification": None}]
    assert role["never_used"] == ["inline Read s3:ListBucket", "inline #1 sns:Publish"]
    assert printed["decisions"] == 7
    assert [each["policy"] for each in printed["shared_policies"]] == [BOUNDARY, TRUST]
    assert [each["caller"] for each in printed["other_callers"]] == ["events.amazonaws.com"]


def test_command_counts_several_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`local-aws permissions --folder ONE TWO` prints one report."""
    one = deployed(tmp_path / "one", "ABCDEFGHIJKL", "s3:GetObject")
    two = deployed(tmp_path / "two", "MNOPQRSTUVWX", "s3:ListBucket")
    assert cli.main(["permissions", "--folder", str(one), str(two)]) == 0
    [role] = json.loads(capsys.readouterr().out)["roles"]
    assert role["never_used"] == ["arn:aws:iam::123456789012:policy/s-Own Read s3:PutObject"]


def test_folder_without_a_log_is_an_error(tmp_path: Path) -> None:
    """The message names the missing file."""
    with pytest.raises(EmulatorError, match=r"decisions\.jsonl does not exist"):
        usage.report(tmp_path)
    with pytest.raises(EmulatorError, match="needs the folder of an emulator"):
        usage.report()
