"""Output of a training run for people and programs: errors once, complete verdicts, imports of the same time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ml.aws import session
from ml.cli import app
from ml.commands.train import train
from ml.errors import CloudError, GateFailed, TrainingFailed
from tests.harness.platform import training
from tests.harness.platform.training import BUCKET, TrainingPlatform, failed, gate_failed, store


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingPlatform]:
    """The inputs of a training run, and a scripted execution that passes the gate."""
    with training.scripted(tmp_path, monkeypatch) as found:
        yield found


def write_log(*lines: str) -> None:
    """The log of the training job of `failed`."""
    logs, group = session.client("logs"), "/aws/sagemaker/TrainingJobs"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="job-1/algo-1")
    now = int(datetime.now(UTC).timestamp() * 1000)
    events = [{"timestamp": now + index, "message": line} for index, line in enumerate(lines)]
    logs.put_log_events(logGroupName=group, logStreamName="job-1/algo-1", logEvents=events)


def test_failed_step_is_named_with_its_reason_and_log(
    env: TrainingPlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error has the step, SageMaker's reason, the log group and the next step; the log's tail is printed before."""
    write_log("fitting", "out of memory")
    env.cloud.script = lambda _: failed()
    with pytest.raises(TrainingFailed) as caught:
        train(env.root)
    message = str(caught.value)
    for part in (
        "step Train failed: AlgorithmError: exit code 1; its log: log group ",
        "group /aws/sagemaker/TrainingJobs, streams job-1/, which ends: fitting / out of memory. ",
        "continues from Train",
    ):
        assert part in message
    assert "\n" not in message
    assert "Train │ out of memory" in capsys.readouterr().err


def test_reason_is_reported_once(env: TrainingPlatform, capsys: pytest.CaptureFixture[str]) -> None:
    """A long error that is in the job's reason, its log and a traceback is printed once and shortened."""
    essay = "Input X contains NaN. " + "LogisticRegression does not accept values encoded as NaN natively. " * 12
    write_log("fitting on 100 rows", "Traceback (most recent call last):", f"ValueError: {essay}", essay, "See: impute")
    env.cloud.script = lambda _: failed(reason=f"AlgorithmError: {essay}See: impute, exit code: 1")
    with pytest.raises(TrainingFailed) as caught:
        train(env.root)
    message, shown = str(caught.value), capsys.readouterr().err
    assert message.count("Input X contains NaN") == 1
    assert len(message) < 900
    assert "streams job-1/. If the cause is transient" in message
    assert "Input X" not in shown
    assert "Train │ fitting on 100 rows" in shown
    assert max(map(len, shown.splitlines())) < 250


def test_imports_of_the_same_time_are_reported(env: TrainingPlatform, capsys: pytest.CaptureFixture[str]) -> None:
    """A corrected file beside the original would be trained on twice: a warning names both manifests."""
    train(env.root)
    assert "the same time" not in capsys.readouterr().err
    store(rows=9)
    train(env.root)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "the same time" in line]
    assert line.count(f"s3://{BUCKET}/raw/20260101-") == 2
    assert "twice" in line


def test_requests_that_stay_open_are_reported(env: TrainingPlatform, capsys: pytest.CaptureFixture[str]) -> None:
    """No other run may be waiting for them, because GitHub may have replaced it by a newer one."""
    names = ["20260301T060000Z-data-drift", "20260302T060000Z-manual"]
    for name in names:
        text = (
            f"kind: fit\ncause: {name.split('Z-')[1]}\nreason: r\nwindow: {{start: null, end: null}}\nevidence: {{}}\n"
        )
        env.write(f"model-config/retrain-requests/{name}.yaml", text)
    env.commit()
    assert train(env.root, requests=names[1:]).requests == (names[1],)
    assert f"warning: open, and not resolved by this run: {names[0]}; when it has" in capsys.readouterr().err
    assert train(env.root).requests == tuple(names)
    assert "not answered" not in capsys.readouterr().err


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adds a recall to the evaluations."""
    bare = training.evaluation
    recall = {"value": 0.58, "low": 0.52, "high": 0.64, "count": 143, "of": 246}
    monkeypatch.setattr(training, "evaluation", lambda *arguments: {**bare(*arguments), "metrics": {"recall": recall}})


@pytest.mark.usefixtures("measured")
def test_failed_gate_shows_the_same_figures(env: TrainingPlatform) -> None:
    """--json prints the evaluation with its status, other runs print figures to stderr; the exit code is the gate's."""
    env.cloud.script = lambda execution: gate_failed(env.cloud, execution, "Too few frauds")
    machine = CliRunner().invoke(app, ["train", "--json", "--repo", str(env.root)])
    assert isinstance(machine.exception, GateFailed)
    printed = json.loads(machine.stdout)
    assert (printed["status"], printed["execution_arn"]) == ("failed", env.only.arn)
    assert printed["evaluation"]["verdict"]["status"] == "failed"
    assert printed["evaluation_uri"].endswith("/evaluation.json")
    person = CliRunner().invoke(app, ["train", "--repo", str(env.root)])
    assert isinstance(person.exception, GateFailed)
    assert person.stdout == ""
    assert "0.580 (0.520 to 0.640, 143 of 246)" in person.stderr


@pytest.mark.usefixtures("measured")
def test_passed_run_is_json_with_its_status(env: TrainingPlatform) -> None:
    """The result is under `status`, as for a failed run."""
    shown = CliRunner().invoke(app, ["train", "--json", "--repo", str(env.root)])
    printed = json.loads(shown.stdout)
    assert (shown.exit_code, printed["status"], printed["version"]) == (0, "passed", 1)


def test_resuming_a_missing_execution_prints_no_resume_command(
    env: TrainingPlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing execution is an error before the hint on how to resume is printed."""
    arn = train(env.root).execution_arn
    capsys.readouterr()
    with pytest.raises(CloudError, match="ResourceNotFound"):
        train(env.root, resume=arn.replace("execution/0", "execution/9"))
    assert "interrupted" not in capsys.readouterr().err
