"""Jobs created by CreateProcessingJob and CreateTrainingJob run; other kinds of jobs are refused."""

from __future__ import annotations

import io
import tarfile
import uuid
from typing import Any

import boto3
import pytest
from aws_resources import wait_until
from botocore.exceptions import ClientError, WaiterError
from pipeline_jobs import ROLE, PipelineAws, processing, python, training

Json = dict[str, Any]


def job_name() -> str:
    """A name that no other job has."""
    return f"job-{uuid.uuid4().hex[:10]}"


def create_training(aws: PipelineAws, command: list[str], output: str) -> str:
    """Creates a training job without channels; its name."""
    name, arguments = job_name(), training("Train", command, output)["Arguments"]
    aws.client("sagemaker").create_training_job(TrainingJobName=name, **arguments)
    return name


def create_processing(aws: PipelineAws, command: list[str], **options: Any) -> str:
    """Creates a processing job; its name."""
    name = job_name()
    aws.client("sagemaker").create_processing_job(
        ProcessingJobName=name, **processing("Step", command, **options)["Arguments"]
    )
    return name


def finish_processing(aws: PipelineAws, name: str) -> Json:
    """Waits with boto3's own waiter for the end of a processing job; its description."""
    sagemaker = aws.client("sagemaker")
    sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
        ProcessingJobName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
    )
    described: Json = sagemaker.describe_processing_job(ProcessingJobName=name)
    return described


def statuses(aws: PipelineAws, name: str, kind: str) -> list[str]:
    """The statuses in a job's events, in order."""
    return [
        detail[f"{kind}JobStatus"]
        for event, detail, arns in aws.events
        if event == f"SageMaker {kind} Job State Change" and arns[0].endswith(f"/{name}")
    ]


def test_processing_job_runs_and_writes_its_output(aws: PipelineAws) -> None:
    """Input, environment and output are those of a step; Describe, List and events show the run."""
    source = aws.put("in/a.txt", "hello")
    name = create_processing(
        aws,
        python(
            "import os, pathlib; root = pathlib.Path('/opt/ml/processing');"
            "(root / 'out/b.txt').write_text((root / 'in/a.txt').read_text() + os.environ['MINE'])"
        ),
        inputs={"in": source.rpartition("/")[0]},
        outputs={"out": f"s3://{aws.bucket}/direct"},
        arguments={"Environment": {"MINE": " world"}},
    )
    sagemaker = aws.client("sagemaker")
    assert sagemaker.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"] in (
        "InProgress",
        "Completed",
    )
    described = finish_processing(aws, name)
    assert described["ProcessingJobStatus"] == "Completed"
    assert described["CreationTime"] <= described["ProcessingStartTime"] <= described["ProcessingEndTime"]
    assert described["ProcessingJobArn"].endswith(f":processing-job/{name}")
    assert described["RoleArn"] == ROLE
    assert aws.get(f"s3://{aws.bucket}/direct/b.txt") == b"hello world"
    wait_until(lambda: len(statuses(aws, name, "Processing")) == 2)
    assert statuses(aws, name, "Processing") == ["InProgress", "Completed"]
    [summary] = sagemaker.list_processing_jobs(NameContains=name, StatusEquals="Completed")["ProcessingJobSummaries"]
    assert (summary["ProcessingJobName"], summary["ProcessingJobStatus"]) == (name, "Completed")
    assert sagemaker.list_processing_jobs(NameContains=name, StatusEquals="Failed")["ProcessingJobSummaries"] == []


def test_training_job_runs_and_uploads_its_model(aws: PipelineAws) -> None:
    """boto3's waiter sees the end; the model is in S3 and the transitions are recorded."""
    command = ["sh", "-c", "echo weights > /opt/ml/model/model.txt"]
    name = create_training(aws, command, f"s3://{aws.bucket}/models")
    sagemaker = aws.client("sagemaker")
    sagemaker.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
    )
    described = sagemaker.describe_training_job(TrainingJobName=name)
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Completed", "Completed")
    shown = [transition["Status"] for transition in described["SecondaryStatusTransitions"]]
    assert shown == ["Downloading", "Training", "Uploading", "Completed"]
    model = described["ModelArtifacts"]["S3ModelArtifacts"]
    with tarfile.open(fileobj=io.BytesIO(aws.get(model))) as tar:
        assert tar.getnames() == ["model.txt"]
    assert [
        job["TrainingJobName"] for job in sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"]
    ] == [name]


def test_failed_job_has_its_reason(aws: PipelineAws) -> None:
    """A job whose command fails is Failed, with the message that it left."""
    name = create_processing(aws, ["sh", "-c", "echo 'no rows' > /opt/ml/output/message; exit 3"])
    with pytest.raises(WaiterError, match='we matched expected path: "Failed"'):
        finish_processing(aws, name)
    described = aws.client("sagemaker").describe_processing_job(ProcessingJobName=name)
    assert described["ProcessingJobStatus"] == "Failed"
    assert described["FailureReason"] == "AlgorithmError: no rows, exit code: 3"
    assert described["ExitMessage"] == "no rows"


@pytest.mark.parametrize("kind", ["Processing", "Training"])
def test_stopped_job_ends_its_process(aws: PipelineAws, kind: str) -> None:
    """Stop ends the process; the job passes Stopping to Stopped, and cannot be stopped twice."""
    sagemaker, output = aws.client("sagemaker"), f"s3://{aws.bucket}/out"
    command = ["sh", "-c", "echo begun; sleep 300"]
    if kind == "Processing":
        name = create_processing(aws, command, outputs={"out": output})
    else:
        name = create_training(aws, command, output)
    wait_until(lambda: any("begun" in path.read_text() for path in aws.folder.rglob("output.log")))
    stop, describe = getattr(sagemaker, f"stop_{kind.lower()}_job"), getattr(sagemaker, f"describe_{kind.lower()}_job")
    key = {f"{kind}JobName": name}
    stop(**key)
    wait_until(lambda: describe(**key)[f"{kind}JobStatus"] == "Stopped")
    wait_until(lambda: len(statuses(aws, name, kind)) == 3)
    assert statuses(aws, name, kind) == ["InProgress", "Stopping", "Stopped"]
    with pytest.raises(ClientError, match="is in status Stopped"):
        stop(**key)


def test_second_job_of_a_name_is_refused(aws: PipelineAws) -> None:
    """A name is used once; the first job is not changed by the refused call."""
    name = create_processing(aws, ["true"])
    finish_processing(aws, name)
    with pytest.raises(ClientError, match="ResourceInUse") as caught:
        aws.client("sagemaker").create_processing_job(
            ProcessingJobName=name, **processing("Step", ["false"])["Arguments"]
        )
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"
    assert finish_processing(aws, name)["ProcessingJobStatus"] == "Completed"


def test_job_that_cannot_be_created_does_not_exist(aws: PipelineAws) -> None:
    """Arguments that the emulator does not run, and inputs that are missing, refuse the call; the name stays free."""
    sagemaker, name = aws.client("sagemaker"), job_name()
    arguments = processing("Step", ["true"], inputs={"in": f"s3://{aws.bucket}/nothing/"})["Arguments"]
    with pytest.raises(ClientError, match=r"ValidationException.*No S3 objects found under S3 URL"):
        sagemaker.create_processing_job(ProcessingJobName=name, **arguments)
    assert sagemaker.list_processing_jobs(NameContains=name)["ProcessingJobSummaries"] == []
    with pytest.raises(ClientError):
        sagemaker.describe_processing_job(ProcessingJobName=name)
    sagemaker.create_processing_job(ProcessingJobName=name, **processing("Step", ["true"])["Arguments"])
    assert finish_processing(aws, name)["ProcessingJobStatus"] == "Completed"


def test_jobs_of_executions_are_listed_and_stopped_by_their_execution(aws: PipelineAws) -> None:
    """List shows a step's job; StopProcessingJob says that its execution must be stopped."""
    arn = aws.start(aws.create([processing("Step", ["sleep", "300"])]))
    sagemaker = aws.client("sagemaker")
    wait_until(lambda: sagemaker.list_processing_jobs(NameContains=arn.rpartition("/")[2])["ProcessingJobSummaries"])
    [job] = sagemaker.list_processing_jobs(NameContains=arn.rpartition("/")[2])["ProcessingJobSummaries"]
    with pytest.raises(ClientError, match="stops it with StopPipelineExecution"):
        sagemaker.stop_processing_job(ProcessingJobName=job["ProcessingJobName"])
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)
    assert aws.finish(arn)["PipelineExecutionStatus"] == "Stopped"


def test_list_is_paged_and_sorted(aws: PipelineAws) -> None:
    """MaxResults and NextToken page through the jobs in the order asked for."""
    names = sorted(create_processing(aws, ["true"]) for _ in range(3))
    for name in names:
        finish_processing(aws, name)
    sagemaker = aws.client("sagemaker")
    pages = list(
        sagemaker.get_paginator("list_processing_jobs").paginate(
            SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
        )
    )
    assert len(pages) >= 2
    shown = [job["ProcessingJobName"] for page in pages for job in page["ProcessingJobSummaries"]]
    assert shown == sorted(shown)
    assert set(names) <= set(shown)


def create_operations() -> list[str]:
    """Every operation of SageMaker that creates a job, but the two that run."""
    found = boto3.session.Session().client("sagemaker", region_name="us-east-1").meta.service_model.operation_names
    jobs = [name for name in found if name.startswith("Create") and name.endswith(("Job", "JobV2"))]
    return sorted(set(jobs) - {"CreateProcessingJob", "CreateTrainingJob"})


@pytest.mark.parametrize("operation", create_operations())
def test_job_that_would_not_run_is_refused(aws: PipelineAws, operation: str) -> None:
    """No Create call of a job answers as if it had run: the message names the operation and what does run."""
    handler = aws.service.operations[operation]
    with pytest.raises(Exception, match=f"does not run what {operation} creates") as caught:
        handler({})
    assert getattr(caught.value, "code", None) == "ValidationException"


def test_transform_job_is_refused_over_http(aws: PipelineAws) -> None:
    """boto3 gets the refusal, and no transform job is recorded."""
    sagemaker = aws.client("sagemaker")
    source = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/in"}}}
    with pytest.raises(ClientError, match="does not run what CreateTransformJob creates"):
        sagemaker.create_transform_job(
            TransformJobName=job_name(),
            ModelName="model",
            TransformInput=source,
            TransformOutput={"S3OutputPath": f"s3://{aws.bucket}/out"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )
    assert sagemaker.list_transform_jobs()["TransformJobSummaries"] == []
