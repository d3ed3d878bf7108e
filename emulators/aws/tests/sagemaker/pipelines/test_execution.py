"""Executions: order, branches, failures, stopping, retries and variables."""

from __future__ import annotations

import itertools
import uuid

import psutil
import pytest
from aws_resources import wait_until
from botocore.exceptions import ClientError
from gate_pipeline import MINIMUM, gate
from local_aws.faults import Rule
from pipeline_jobs import ROLE, PipelineAws, processing, python, training


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_true_condition_registers_the_model(aws: PipelineAws) -> None:
    """The true branch runs, the other does not, and the package has the values of its references."""
    arn, described = aws.run(gate(aws, 0.9), MINIMUM)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    steps = aws.steps(arn)
    assert list(steps) == ["Register", "Gate", "Evaluate"]  # the latest first, as AWS lists them
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    package = aws.client("sagemaker").describe_model_package(
        ModelPackageName=steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    )
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CustomerMetadataProperties"] == {"reason": "too few", "execution": arn}


def test_fail_step_fails_with_its_message(aws: PipelineAws) -> None:
    """The Fail step's message is on the step; the execution's reason is generic."""
    arn, described = aws.run(gate(aws, 0.9), MINIMUM, PipelineParameters=[{"Name": "Minimum", "Value": "0.999"}])
    assert described["PipelineExecutionStatus"] == "Failed"
    assert described["FailureReason"] == "Step failure: One or multiple steps failed."
    missed = aws.steps(arn)["Missed"]
    assert missed["FailureReason"] == "Gate failed: too few"
    assert missed["Metadata"]["Fail"]["ErrorMessage"] == "Gate failed: too few"
    assert "CreateModelPackage" not in aws.dispatcher.calls


def test_null_operand_of_a_condition_fails_its_step(aws: PipelineAws) -> None:
    """The step's reason names the condition and its values; neither branch runs."""
    arn, described = aws.run(gate(aws, None), MINIMUM)
    assert described["PipelineExecutionStatus"] == "Failed"
    steps = aws.steps(arn)
    assert list(steps) == ["Gate", "Evaluate"]
    assert steps["Gate"]["FailureReason"] == "ClientError: GreaterThan cannot compare null with 0.6"


def test_independent_steps_run_in_parallel(aws: PipelineAws) -> None:
    """Two steps that wait for each other's file both succeed, so they run at the same time."""
    code = (  # the other job is a process that sends no event, so its file is polled
        "import sys, time, pathlib\nmine, other = map(pathlib.Path, sys.argv[1:])\nmine.touch()\n"
        "for _ in range(1000):\n"
        "    if other.exists(): sys.exit()\n    time.sleep(.02)\n"
        "sys.exit('the other step did not start')"
    )
    one, two = str(aws.folder / "one"), str(aws.folder / "two")
    _, described = aws.run([processing("A", python(code, one, two)), processing("B", python(code, two, one))])
    assert described["PipelineExecutionStatus"] == "Succeeded"


def test_parallel_steps_are_limited_by_the_request(aws: PipelineAws) -> None:
    """With MaxParallelExecutionSteps 1 each step starts after the one before has ended."""
    arn, described = aws.run(
        [processing(name, ["true"]) for name in "ABC"], ParallelismConfiguration={"MaxParallelExecutionSteps": 1}
    )
    assert described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 1}
    steps = sorted(aws.steps(arn).values(), key=lambda s: s["StartTime"])
    assert all(after["StartTime"] >= before["EndTime"] for before, after in itertools.pairwise(steps))


def test_failed_step_ends_the_execution(aws: PipelineAws) -> None:
    """The next step is not started, and the failed step and its job have the reason."""
    broken = processing(
        "Broken", ["sh", "-c", "mkdir -p /opt/ml/output; echo no rows > /opt/ml/output/message; exit 3"]
    )
    arn, described = aws.run([broken, processing("Later", ["true"], DependsOn=["Broken"])])
    assert described["PipelineExecutionStatus"] == "Failed"
    steps = aws.steps(arn)
    assert list(steps) == ["Broken"]
    assert steps["Broken"]["FailureReason"] == "ClientError: AlgorithmError: no rows, exit code: 3"
    job = aws.client("sagemaker").describe_processing_job(
        ProcessingJobName=steps["Broken"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    )
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Failed", "no rows")
    assert job["FailureReason"] == "AlgorithmError: no rows, exit code: 3"


def test_retry_runs_only_steps_that_have_not_succeeded(aws: PipelineAws) -> None:
    """A step that fails on the first run succeeds on retry; its predecessor runs once."""
    sign, count = aws.folder / "sign", aws.folder / "count"
    first = processing("First", python(f"open({str(count)!r}, 'a').write('x')"))
    second = processing("Second", ["test", "-e", str(sign)], DependsOn=["First"])
    arn, described = aws.run([first, second])
    assert described["PipelineExecutionStatus"] == "Failed"
    sign.touch()
    token = uuid.uuid4().hex
    for _ in range(2):  # the same request twice is one retry
        aws.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token)
    described = aws.finish(arn)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert "FailureReason" not in described
    assert count.read_text() == "x"
    with pytest.raises(ClientError, match="cannot be retried"):
        aws.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)


def test_stop_ends_jobs_and_their_descendants(aws: PipelineAws) -> None:
    """The status becomes Stopped, and the job and its children have ended, even if they ignore SIGTERM."""
    pids = aws.folder / "pids"
    code = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(pids)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(pids)!r} + '.new', {str(pids)!r}); time.sleep(600)"
    )
    aws.serve(grace_seconds=0.3)
    arn = aws.start(aws.create([processing("Long", python(code)), processing("Next", ["true"], DependsOn=["Long"])]))
    wait_until(pids.exists)
    sagemaker = aws.client("sagemaker")
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)
    assert sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"] in (
        "Stopping",
        "Stopped",
    )
    assert aws.finish(arn)["PipelineExecutionStatus"] == "Stopped"
    assert {name: step["StepStatus"] for name, step in aws.steps(arn).items()} == {"Long": "Stopped"}
    assert not any(alive(int(pid)) for pid in pids.read_text().split())
    with pytest.raises(ClientError, match="cannot be stopped"):
        sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)


def test_close_ends_every_process_and_refuses_starts(aws: PipelineAws) -> None:
    """close() ends running jobs; a later start is refused."""
    pid = aws.folder / "pid"
    pipeline = aws.create([processing("Long", ["sh", "-c", f"echo $$ > {pid}; exec sleep 600"])])
    aws.start(pipeline)
    wait_until(lambda: pid.exists() and pid.read_text().strip())
    aws.service.close()
    assert not alive(int(pid.read_text()))
    with pytest.raises(ClientError, match="is stopping"):
        aws.start(pipeline)


def test_execution_variables_reach_the_job(aws: PipelineAws) -> None:
    """Variables, numbers and booleans arrive as strings in arguments and environment."""
    step = processing(
        "Show",
        ["sh", "-c", 'printf "%s|" "$0" "$@" "$FLAG" > /opt/ml/processing/out/seen'],
        outputs={"out": f"s3://{aws.bucket}/seen"},
        arguments={"Environment": {"FLAG": {"Get": "Parameters.Flag"}}},
    )
    step["Arguments"]["AppSpecification"]["ContainerArguments"] = [
        {"Get": "Parameters.Count"},
        {"Get": "Execution.PipelineName"},
        {"Get": "Execution.ProcessingJobName"},
        {"Std:Join": {"On": "-", "Values": ["at", {"Get": "Execution.StartDateTime"}, 1, True]}},
    ]
    pipeline = aws.create(
        [step],
        [
            {"Name": "Count", "Type": "Integer", "DefaultValue": 3},
            {"Name": "Flag", "Type": "Boolean", "DefaultValue": False},
        ],
    )
    arn = aws.start(pipeline, PipelineParameters=[{"Name": "Flag", "Value": "TRUE"}])
    assert aws.finish(arn)["PipelineExecutionStatus"] == "Succeeded"
    count, name, job, joined, flag, _ = aws.get(f"s3://{aws.bucket}/seen/seen").decode().split("|")
    execution = arn.rpartition("/")[2]
    assert (count, name, flag) == ("3", pipeline, "true")
    assert job.startswith(f"pipelines-{execution}-Show-")
    assert joined.startswith("at-20")
    assert joined.endswith("Z-1-true")
    listed = aws.client("sagemaker").list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    assert listed["PipelineParameters"] == [{"Name": "Count", "Value": "3"}, {"Name": "Flag", "Value": "true"}]


def test_model_step_creates_a_model(aws: PipelineAws) -> None:
    """CreateModel gets the training job's artifact and a generated name."""
    train = training("Train", ["touch", "/opt/ml/model/model.json"], f"s3://{aws.bucket}/models")
    model = {
        "Name": "Create",
        "Type": "Model",
        "Arguments": {
            "ExecutionRoleArn": ROLE,
            "PrimaryContainer": {
                "Image": "image",
                "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"},
            },
        },
    }
    arn, described = aws.run([model, train])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)
    name = aws.steps(arn)["Create"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    assert name.startswith("pipelines-")
    assert (
        aws.client("sagemaker").describe_model(ModelName=name)["PrimaryContainer"]["ModelDataUrl"].endswith(".tar.gz")
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("out_of_memory", "exit code: 137"),
        ("spot_interruption", "InternalServerError: We encountered an internal error"),
    ],
)
def test_job_fault_fails_the_step_and_a_retry_continues(aws: PipelineAws, fault: str, reason: str) -> None:
    """The job of the named step fails with SageMaker's reason; RetryPipelineExecution runs it again."""
    aws.faults.set([Rule(fault=fault, service="job", operation="*-Second-*")])
    arn, described = aws.run([processing("First", ["true"]), processing("Second", ["true"], DependsOn=["First"])])
    assert described["PipelineExecutionStatus"] == "Failed"
    assert reason in aws.steps(arn)["Second"]["FailureReason"]
    aws.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)
    assert aws.finish(arn)["PipelineExecutionStatus"] == "Succeeded"
