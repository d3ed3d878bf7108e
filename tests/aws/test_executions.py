"""Pipeline executions: starting once, waiting through transient errors, and reading job logs."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator

import pytest
from tenacity import RetryCallState, Retrying

from ml.aws import executions, retry, session
from ml.aws.executions import Execution
from ml.errors import CloudError
from tests.harness.aws.scripted_sagemaker import ScriptedCloud, job_arn, step

TOKEN = "t" * 64
ARN = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/fraudops-training/execution/abc123"


def failing(error: Exception) -> RetryCallState:
    """tenacity's state after a call that failed with `error`."""
    state = RetryCallState(retry_object=Retrying(), fn=None, args=(), kwargs={})
    state.set_exception((type(error), error, None))
    return state


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedCloud]:
    """A SageMaker whose executions follow a script."""
    with ScriptedCloud() as scripted:
        for name, value in scripted.environment.items():
            monkeypatch.setenv(name, value)
        yield scripted


def start(label: str = "train-abc") -> str:
    """Starts an execution with one parameter."""
    return executions.start({"Commit": "c" * 40}, token=TOKEN, label=label)


def test_same_token_starts_one_execution(cloud: ScriptedCloud) -> None:
    """Starting twice with one token gives one execution, with its parameters and its label."""
    assert start() == start()
    (execution,) = cloud.executions.values()
    assert (execution.parameters, execution.label) == ({"Commit": "c" * 40}, "train-abc")


def test_execution_is_found_by_its_label(cloud: ScriptedCloud) -> None:
    """`find` returns the execution with this display name, or None."""
    arn = start()
    assert (executions.find("train-abc"), executions.find("train-def")) == (arn, None)


def test_following_shows_each_state_and_ends_with_the_last(cloud: ScriptedCloud) -> None:
    """Every state is passed to the callback; the settled execution is returned."""
    cloud.script = lambda _: [
        ("Executing", [step("Prepare", "Executing")]),
        ("Succeeded", [step("Prepare", seconds=3.5)]),
    ]
    seen: list[Execution] = []
    last = executions.follow(start(), seen.append, timeout_seconds=30)
    assert [execution.status for execution in seen] == ["Executing", "Succeeded"]
    prepare = last.step("Prepare")
    assert prepare is not None
    assert prepare.seconds == 3.5


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "ThrottlingException"), (503, "ServiceUnavailable"), (400, "ExpiredTokenException"), (403, "ExpiredToken")],
)
def test_following_retries_transient_errors(cloud: ScriptedCloud, status: int, code: str) -> None:
    """Throttling, server errors and expired credentials do not end the wait."""
    cloud.faults = [("DescribePipelineExecution", status, code)]
    last = executions.follow(start(), lambda _: None, timeout_seconds=60)
    assert last.status == "Succeeded"
    assert cloud.faults == []


def test_expired_credentials_create_new_clients(cloud: ScriptedCloud) -> None:
    """After an expired token the next call uses a client with the current credentials."""
    before = session.client("sagemaker")
    arn = start()
    cloud.faults = [("DescribePipelineExecution", 400, "ExpiredTokenException")]
    executions.follow(arn, lambda _: None, timeout_seconds=60)
    assert session.client("sagemaker") is not before


def test_permanent_error_ends_the_wait(cloud: ScriptedCloud) -> None:
    """A missing permission is reported and not retried."""
    arn = start()
    cloud.faults = [("DescribePipelineExecution", 400, "AccessDeniedException")] * 2
    began = time.monotonic()
    with pytest.raises(CloudError, match="AccessDeniedException"):
        executions.follow(arn, lambda _: None, timeout_seconds=60)
    assert time.monotonic() - began < 5
    assert len(cloud.faults) == 1


def test_retries_are_limited_in_time(cloud: ScriptedCloud) -> None:
    """After `patience_seconds` of errors a CloudError names the execution."""
    arn = start()
    cloud.faults = [("DescribePipelineExecution", 400, "ExpiredTokenException")] * 50
    with pytest.raises(CloudError, match=f"reading execution {arn}.*ExpiredToken"):
        executions.follow(arn, lambda _: None, timeout_seconds=60, patience_seconds=0.5)


def test_outage_is_reported_with_the_end_of_its_retries(cloud: ScriptedCloud) -> None:
    """The first transient error that repeats is reported with start and deadline; a single one is not."""
    arn = start()
    reports: list[str] = []
    executions.follow(arn, lambda _: None, timeout_seconds=60, troubled=reports.append)
    assert reports == []
    cloud.faults = [("DescribePipelineExecution", 400, "ExpiredTokenException")] * 3
    executions.follow(arn, lambda _: None, timeout_seconds=60, troubled=reports.append)
    (line,) = reports
    assert re.match(r"AWS answers with errors since \d\d:\d\d:\d\d UTC, trying until \d\d:\d\d:\d\d: reading", line)


def test_ongoing_outage_is_reported_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty-one errors in five minutes give six reports."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    reports: list[str] = []
    patient = retry.RetryBudget(900, reports.append)
    state = failing(CloudError("reading: AWS cannot be reached (timed out)"))
    for _ in range(31):
        assert not patient.is_exhausted(state)
        patient.before_sleep(state)
        now[0] += 10
    assert len(reports) == 6
    assert all(line.startswith("AWS cannot be reached since ") for line in reports)
    now[0] = 900
    assert patient.is_exhausted(state)


def test_refused_connections_are_retried_for_less_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two minutes of refused connections end the wait; a timeout in between restarts them."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    patient = retry.RetryBudget(900, lambda _: None)
    refused, timeout = CloudError("refused"), CloudError("timeout")
    refused.__cause__ = ConnectionRefusedError()
    ends = []
    for moment, error in ((0, refused), (119, refused), (130, timeout), (140, refused), (259, refused), (260, refused)):
        now[0] = moment
        ends.append(patient.is_exhausted(failing(error)))
    assert ends == [False, False, False, False, False, True]


def test_refused_connection_is_reported_and_given_up(cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed port is recognised as refused, reported, and given up after `refused_seconds`."""
    arn = start()
    reports: list[str] = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    began = time.monotonic()
    with pytest.raises(CloudError, match="cannot be reached") as caught:
        executions.follow(arn, lambda _: None, timeout_seconds=60, refused_seconds=0.5, troubled=reports.append)
    assert retry.is_connection_refused(caught.value)
    assert time.monotonic() - began < 20
    assert reports[0].startswith("AWS cannot be reached since ")


@pytest.mark.parametrize("text", ["garbage", "", "arn:aws:sagemaker:us-east-1:1:pipeline/p/execution/x", f" {ARN}"])
def test_invalid_execution_arn_is_recognised(text: str) -> None:
    """The format is checked without a request to AWS."""
    assert not executions.is_arn(text)
    assert executions.is_arn(ARN)
    assert executions.is_arn(ARN.replace("arn:aws:", "arn:aws-us-gov:"))


def test_execution_that_never_settles_is_a_timeout(cloud: ScriptedCloud) -> None:
    """TimeoutError after `timeout_seconds`."""
    cloud.script = lambda _: [("Executing", [])]
    with pytest.raises(TimeoutError, match="has not settled"):
        executions.follow(start(), lambda _: None, timeout_seconds=0.5)


def test_last_run_of_a_step_counts(cloud: ScriptedCloud) -> None:
    """After a retry a step may be listed twice; the last entry is used."""
    cloud.script = lambda _: [("Succeeded", [step("Train", "Failed", FailureReason="memory"), step("Train")])]
    train = executions.describe(start()).step("Train")
    assert train is not None
    assert train.status == "Succeeded"


def test_log_tail_has_the_last_lines(cloud: ScriptedCloud) -> None:
    """The last lines of a job's log, oldest first; empty if there is no log."""
    logs = session.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    assert executions.log_tail(job_arn("training-job", "job-1"), 2) == []
    logs.create_log_group(logGroupName=group)
    for stream, lines in (("job-1/algo-1-1", ["one", "two", "three"]), ("job-11/algo-1-1", ["other"])):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        now = int(time.time() * 1000)
        events = [{"timestamp": now + index, "message": line} for index, line in enumerate(lines)]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    assert executions.log_tail(job_arn("training-job", "job-1"), 2) == ["two", "three"]


def test_unreadable_log_is_replaced_by_the_error(cloud: ScriptedCloud) -> None:
    """The error is returned as the only line and not raised."""
    cloud.faults = [("DescribeLogStreams", 400, "AccessDeniedException")]
    (line,) = executions.log_tail(job_arn("processing-job", "job-1"), 5)
    assert "AccessDeniedException" in line


def test_output_is_found_by_its_name(cloud: ScriptedCloud) -> None:
    """The S3 URI of a processing job's output."""
    output = {"OutputName": "evaluation", "S3Output": {"S3Uri": "s3://lake/e", "S3UploadMode": "EndOfJob"}}
    cloud.jobs["job-1"] = {"ProcessingOutputConfig": {"Outputs": [output]}}
    arn = job_arn("processing-job", "job-1")
    assert executions.output(arn, "evaluation") == "s3://lake/e"
    with pytest.raises(CloudError, match="no output artifact"):
        executions.output(arn, "artifact")
