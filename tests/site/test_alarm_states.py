"""The states of the platform stack's alarms, read from an account on the AWS emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml.errors import CloudError
from ml.site import alarm_states
from tests.harness.aws import empty_account
from tests.harness.platform.stacks import create, physical, store_code

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """An account with the platform's stack."""
    with empty_account.running(tmp_path / "aws", monkeypatch) as aws:
        store_code(aws)
        create(aws, ROOT, "fraudops")
        yield aws


def test_alarms_of_the_stack_are_read(account: LocalAws) -> None:
    """Those in alarm come first, with time and meaning; a removed alarm is said; a missing stack is an error."""
    names = physical(account, "fraudops")
    cloudwatch = account.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=names["NoTrafficAlarm"], StateValue="ALARM", StateReason="a test")
    cloudwatch.delete_alarms(AlarmNames=[names["DriftAlarm"]])
    first, second, *others = alarm_states.read("fraudops")
    assert (first.name, first.state) == ("no traffic", "ALARM")
    assert first.meaning.startswith("No traffic of the endpoint was captured")
    assert first.since is not None
    assert (second.name, second.state) == ("drift", "MISSING")
    assert {each.name for each in others} >= {"deploy errors", "dead letters", "endpoint latency"}
    assert {each.state for each in others} <= {"OK", "INSUFFICIENT_DATA"}
    assert len(others) + 2 == sum(name.endswith("Alarm") for name in names)
    with pytest.raises(CloudError, match="the stack another"):
        alarm_states.read("another")
