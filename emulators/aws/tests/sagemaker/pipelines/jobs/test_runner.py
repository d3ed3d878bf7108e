"""Jobs with /opt/ml in a mount namespace and relocated: files, outputs, logs, time limits and exit codes."""

from __future__ import annotations

import io
import json
import tarfile

from local_aws.sagemaker.pipelines.jobs.isolation import Mode
from pipeline_jobs import PipelineAws, failure_reason, processing, python, training


def test_training_job_gets_its_files_and_uploads_its_model(aws: PipelineAws, mode: Mode) -> None:
    """Channels, hyperparameters as strings, resource configuration; model.tar.gz and output.tar.gz in S3."""
    aws.put("data/a/rows.csv", "1,2\n")
    aws.put("code/train.sh", "set -e\npython3 /opt/ml/input/data/code/train.py\necho 'loss = 0.25'\n")
    aws.put(
        "code/train.py",
        "import json, os, pathlib, sys\n"
        "ml = pathlib.Path('/opt/ml')\n"
        "config = {p.stem: json.loads(p.read_text()) for p in (ml / 'input/config').iterdir()}\n"
        "assert (ml / 'input/data/train/a/rows.csv').read_text() == '1,2\\n'\n"
        "assert not [name for name in os.environ if name.startswith('SM_')]\n"
        "(ml / 'model/model.json').write_text(json.dumps(config))\n"
        "(ml / 'output/data/note.txt').write_text(os.environ['TRAINING_JOB_NAME'])\n",
    )
    train = training(
        "Train",
        ["bash", "/opt/ml/input/data/code/train.sh"],
        f"s3://{aws.bucket}/models/",
        channels={"train": f"s3://{aws.bucket}/data", "code": f"s3://{aws.bucket}/code/"},
        arguments={"HyperParameters": {"epochs": {"Get": "Parameters.Epochs"}, "name": "x"}},
    )
    train["Arguments"]["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": r"loss = ([0-9.]+)"}]
    arn, described = aws.run([train], [{"Name": "Epochs", "Type": "Integer", "DefaultValue": 3}])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)
    name = aws.steps(arn)["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    job = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert job["FinalMetricDataList"][0]["Value"] == 0.25
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{aws.bucket}/models/{name}/output/model.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(aws.get(model))) as tar:
        member = tar.extractfile("model.json")
        assert tar.getnames() == ["model.json"]
        assert member
        config = json.loads(member.read())
    assert config["hyperparameters"] == {"epochs": "3", "name": "x"}
    assert config["inputdataconfig"]["train"]["TrainingInputMode"] == "File"
    assert config["resourceconfig"]["hosts"] == ["algo-1"]
    assert config["resourceconfig"]["current_instance_type"] == "ml.m5.large"
    with tarfile.open(fileobj=io.BytesIO(aws.get(model.replace("model.tar", "output.tar")))) as tar:
        note = tar.extractfile("note.txt")
        assert note
        assert note.read().decode() == name


def test_training_job_failure_has_its_reason(aws: PipelineAws, mode: Mode) -> None:
    """The failure file is the reason, with the exit code, and Pipelines' own ClientError before it."""
    train = training(
        "Train",
        ["sh", "-c", "echo 'no positives in train' > /opt/ml/output/failure; exit 7"],
        f"s3://{aws.bucket}/m",
    )
    assert failure_reason(aws, train) == "ClientError: AlgorithmError: no positives in train, exit code: 7"
    assert "See job logs" in failure_reason(aws, training("Train", ["false"], f"s3://{aws.bucket}/m"))


def test_boto3_in_a_job_reaches_the_emulator(aws: PipelineAws, mode: Mode) -> None:
    """A job reads S3 without configuration."""
    aws.put("hello", "from S3")
    code = f"import boto3; assert boto3.client('s3').get_object(Bucket='{aws.bucket}', Key='hello')['Body'].read()"
    _, described = aws.run([processing("Read", python(code))])
    assert described["PipelineExecutionStatus"] == "Succeeded"


def test_job_output_is_in_its_folder_and_in_cloudwatch(aws: PipelineAws, mode: Mode) -> None:
    """Both streams of the job are in its folder and in SageMaker's log group."""
    arn, _ = aws.run([processing("Talk", ["sh", "-c", "echo out; echo; echo err >&2"])])
    name = aws.steps(arn)["Talk"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    logs = aws.client("logs")
    [stream] = logs.describe_log_streams(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=name)[
        "logStreams"
    ]
    assert stream["logStreamName"].startswith(f"{name}/algo-1-")
    shown = logs.get_log_events(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamName=stream["logStreamName"], startFromHead=True
    )
    sent = [event["message"].strip() for event in shown["events"]]
    notes = [line for line in sent if line.startswith("local-aws: ")]  # what this job has otherwise than on AWS
    assert sent == [*notes, "out", "", "err"]
    written = [path.read_text() for path in aws.folder.rglob("output.log")]
    assert written == ["".join(f"{line}\n" for line in (*notes, "out", "", "err"))]


def test_job_beyond_its_time_limit_is_ended(aws: PipelineAws) -> None:
    """MaxRuntimeInSeconds stops the job, and the step fails with that reason."""
    aws.serve(grace_seconds=0.2)
    train = training("Train", ["sleep", "600"], f"s3://{aws.bucket}/m")
    train["Arguments"]["StoppingCondition"]["MaxRuntimeInSeconds"] = 1
    arn, _ = aws.run([train])
    step = aws.steps(arn)["Train"]
    assert "MaxRuntimeExceeded" in step["FailureReason"]
    job = aws.client("sagemaker").describe_training_job(
        TrainingJobName=step["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    )
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_missing_and_killed_programs_have_exit_codes(aws: PipelineAws) -> None:
    """Both are failures of the job, with a shell's exit codes."""
    assert "exit code: 127" in failure_reason(aws, processing("Absent", ["no-such-program"]))
    assert "exit code: 137" in failure_reason(aws, processing("Killed", ["sh", "-c", "kill -9 $$"]))
