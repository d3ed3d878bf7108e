"""Watching an execution: started once, followed through what passes, explained from its jobs' logs."""

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
    """What tenacity tells its hooks after a look that failed with `error`."""
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
    """The display name leads back to an execution; an unknown one leads nowhere."""
    arn = start()
    assert (executions.find("train-abc"), executions.find("train-def")) == (arn, None)


def test_following_shows_each_state_and_ends_with_the_last(cloud: ScriptedCloud) -> None:
    """Every state is shown, and the execution is returned when it has settled."""
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
def test_following_outlives_what_passes(cloud: ScriptedCloud, status: int, code: str) -> None:
    """Throttling, a fault of AWS, or credentials that are renewed meanwhile end no wait."""
    cloud.faults = [("DescribePipelineExecution", status, code)]
    last = executions.follow(start(), lambda _: None, timeout_seconds=60)
    assert last.status == "Succeeded"
    assert cloud.faults == []


def test_new_clients_are_made_when_credentials_ran_out(cloud: ScriptedCloud) -> None:
    """After an expired token the next call is signed by a client that has read the credentials anew."""
    before = session.client("sagemaker")
    arn = start()
    cloud.faults = [("DescribePipelineExecution", 400, "ExpiredTokenException")]
    executions.follow(arn, lambda _: None, timeout_seconds=60)
    assert session.client("sagemaker") is not before


def test_refusal_ends_the_wait_at_once(cloud: ScriptedCloud) -> None:
    """What does not pass by itself, as a missing permission, is told and not tried again."""
    arn = start()
    cloud.faults = [("DescribePipelineExecution", 400, "AccessDeniedException")] * 2
    began = time.monotonic()
    with pytest.raises(CloudError, match="AccessDeniedException"):
        executions.follow(arn, lambda _: None, timeout_seconds=60)
    assert time.monotonic() - began < 5
    assert len(cloud.faults) == 1


def test_patience_ends(cloud: ScriptedCloud) -> None:
    """An AWS that stays away for longer than the patience is a CloudError that names the execution."""
    arn = start()
    cloud.faults = [("DescribePipelineExecution", 400, "ExpiredTokenException")] * 50
    with pytest.raises(CloudError, match=f"reading execution {arn}.*ExpiredToken"):
        executions.follow(arn, lambda _: None, timeout_seconds=60, patience_seconds=0.5)


def test_trouble_is_told_at_once_and_with_its_end(cloud: ScriptedCloud) -> None:
    """The first failure that may pass is told, with since when and until when it is tried; what passed is not."""
    arn = start()
    told: list[str] = []
    executions.follow(arn, lambda _: None, timeout_seconds=60, troubled=told.append)
    assert told == []
    cloud.faults = [("DescribePipelineExecution", 400, "ExpiredTokenException")] * 3
    executions.follow(arn, lambda _: None, timeout_seconds=60, troubled=told.append)
    (line,) = told
    assert re.match(r"AWS answers with errors since \d\d:\d\d:\d\d UTC, trying until \d\d:\d\d:\d\d: reading", line)


def test_trouble_is_told_again_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits hears that something still goes on, and not more often than that."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told: list[str] = []
    patient = retry.RetryBudget(900, told.append)
    state = failing(CloudError("reading: AWS cannot be reached (timed out)"))
    for _ in range(31):
        assert not patient.is_exhausted(state)
        patient.before_sleep(state)
        now[0] += 10
    assert len(told) == 6
    assert all(line.startswith("AWS cannot be reached since ") for line in told)
    now[0] = 900
    assert patient.is_exhausted(state)


def test_nobody_listening_is_waited_for_less_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection ends the wait after two minutes of nothing else; a timeout in between starts them anew."""
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


def test_cloud_that_is_gone_is_noticed_and_told(cloud: ScriptedCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens any more: that is known for a refusal, told, and given up after the shorter patience."""
    arn = start()
    told: list[str] = []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    began = time.monotonic()
    with pytest.raises(CloudError, match="cannot be reached") as caught:
        executions.follow(arn, lambda _: None, timeout_seconds=60, refused_seconds=0.5, troubled=told.append)
    assert retry.is_connection_refused(caught.value)
    assert time.monotonic() - began < 20
    assert told[0].startswith("AWS cannot be reached since ")


@pytest.mark.parametrize("text", ["garbage", "", "arn:aws:sagemaker:us-east-1:1:pipeline/p/execution/x", f" {ARN}"])
def test_arn_has_a_form(text: str) -> None:
    """What cannot be an execution's ARN is told apart without asking AWS."""
    assert not executions.is_arn(text)
    assert executions.is_arn(ARN)
    assert executions.is_arn(ARN.replace("arn:aws:", "arn:aws-us-gov:"))


def test_execution_that_never_settles_is_a_timeout(cloud: ScriptedCloud) -> None:
    """Waiting has an end."""
    cloud.script = lambda _: [("Executing", [])]
    with pytest.raises(TimeoutError, match="has not settled"):
        executions.follow(start(), lambda _: None, timeout_seconds=0.5)


def test_last_run_of_a_step_counts(cloud: ScriptedCloud) -> None:
    """After a retry a step may be listed twice; its last run is the one that is meant."""
    cloud.script = lambda _: [("Succeeded", [step("Train", "Failed", FailureReason="memory"), step("Train")])]
    train = executions.describe(start()).step("Train")
    assert train is not None
    assert train.status == "Succeeded"


def test_jobs_log_is_read_from_its_end(cloud: ScriptedCloud) -> None:
    """The last lines of a job's log, oldest first; nothing where it wrote none."""
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


def test_unreadable_log_hides_nothing(cloud: ScriptedCloud) -> None:
    """A log that may not be read is said in the log's place, and raises nothing."""
    cloud.faults = [("DescribeLogStreams", 400, "AccessDeniedException")]
    (line,) = executions.log_tail(job_arn("processing-job", "job-1"), 5)
    assert "AccessDeniedException" in line


def test_output_is_found_by_its_name(cloud: ScriptedCloud) -> None:
    """A processing job says where its outputs lie."""
    output = {"OutputName": "evaluation", "S3Output": {"S3Uri": "s3://lake/e", "S3UploadMode": "EndOfJob"}}
    cloud.jobs["job-1"] = {"ProcessingOutputConfig": {"Outputs": [output]}}
    arn = job_arn("processing-job", "job-1")
    assert executions.output(arn, "evaluation") == "s3://lake/e"
    with pytest.raises(CloudError, match="no output artifact"):
        executions.output(arn, "artifact")
