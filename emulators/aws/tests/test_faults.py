"""Fault rules: which calls they match, what is refused, and the faults of events, functions, jobs and endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from local_aws import faults
from local_aws.errors import AwsError
from local_aws.faults import FaultPlan, Fired, Rule


def test_rule_applies_to_the_numbered_calls_only() -> None:
    """The second and third matching calls get the fault; others are not counted; the plan records what it did."""
    plan = FaultPlan([Rule(fault="throttling", service="s3", operation="Put*", call=2, times=2)])
    assert [plan.take("s3", "PutObject") is not None for _ in range(4)] == [False, True, True, False]
    assert plan.take("s3", "GetObject") is None
    assert plan.take("sagemaker", "PutObject") is None
    fired = [Fired(fault="throttling", service="s3", operation="PutObject", call=number) for number in (2, 3)]
    assert plan.fired == fired
    assert [item["call"] for item in plan.as_json()["fired"]] == [2, 3]
    plan.set([])
    assert (plan.active, plan.fired) == (False, [])


def test_every_matching_rule_counts_and_the_first_due_applies() -> None:
    """Two rules for one call: the second rule has counted it too, and its own call number is the next."""
    plan = FaultPlan(
        [Rule(fault="reset", service="*", operation="*"), Rule(fault="server_error", service="s3", call=2)]
    )
    found = [plan.take("s3", "GetObject") for _ in range(3)]
    assert [rule.fault if rule else None for rule in found] == ["reset", "server_error", None]


def test_rule_can_name_the_caller() -> None:
    """A rule with a user agent counts only calls of clients whose header has it."""
    plan = FaultPlan([Rule(fault="reset", service="s3", user_agent="app/mine")])
    assert plan.take("s3", "GetObject", user_agent="Boto3/1.43") is None
    assert plan.take("s3", "GetObject", user_agent="Boto3/1.43 app/mine") is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [1],
        [{"fault": "reset"}],
        [{"fault": "reset", "service": "s3", "often": 1}],
        [{"fault": "late", "service": "s3"}],
        [{"fault": "reset", "service": "job"}],
        [{"fault": "reset", "service": "s3", "call": 0}],
    ],
)
def test_parse_refuses_what_is_no_list_of_rules(wrong: Any) -> None:
    """Other documents, unknown and missing fields, faults of another service, and numbers below 1 are refused."""
    with pytest.raises(AwsError) as error:
        faults.parse(wrong)
    assert error.value.code == "ValidationException"


def test_parse_returns_the_rules() -> None:
    """A JSON list becomes rules with the defaults of `Rule`."""
    parsed = faults.parse([{"fault": "late", "service": "event", "seconds": 0.5}])
    assert parsed == [Rule(fault="late", service="event", operation="*", call=1, times=1, seconds=0.5)]


def test_every_fault_is_documented() -> None:
    """The README's table names each fault, and no other."""
    text = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")
    section = text.split("## Faults")[1].split("\n## ")[0]
    documented = {line.split("`")[1] for line in section.splitlines() if line.startswith("| `")}
    tables = (faults.CALL_FAULTS, faults.EVENT_FAULTS, faults.FUNCTION_FAULTS, faults.JOB_FAULTS)
    assert documented == {name for table in (*tables, faults.ENDPOINT_FAULTS) for name in table}
