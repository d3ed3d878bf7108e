"""What an execution does: order, branches, failures, stopping, retrying, idempotency, caching, events."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError
from local_aws.sagemaker.pipelines import events
from pipeline_jobs import ROLE, Cloud, processing, python, training

Json = dict[str, Any]


def condition(name: str, conditions: list[Json], then: list[Json], otherwise: list[Json]) -> Json:
    """A Condition step."""
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {"Conditions": conditions, "IfSteps": then, "ElseSteps": otherwise},
    }


def fail(name: str, message: Any) -> Json:
    """A Fail step."""
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}}


def wait_until(check: Any, seconds: float = 20) -> None:
    """Returns once `check` holds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether the process runs; one that only awaits its parent's word does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def gate(cloud: Cloud, recall: float) -> list[Json]:
    """Evaluate → Gate → Register or Fail, with the gate on a nested member of a property file."""
    model = cloud.put("models/model.tar.gz", b"a model")
    evaluate = processing(
        "Evaluate",
        python(
            "import json, pathlib; pathlib.Path('/opt/ml/processing/report/evaluation.json').write_text(json.dumps("
            f"{{'metrics': [{{'re-call': {{'value': {recall}}}}}], 'reason': 'too few'}}))"
        ),
        outputs={
            "report": {
                "Std:Join": {"On": "/", "Values": [f"s3://{cloud.bucket}", {"Get": "Execution.PipelineExecutionId"}]}
            }
        },
        PropertyFiles=[{"PropertyFileName": "Report", "OutputName": "report", "FilePath": "evaluation.json"}],
    )
    report = {"Get": "Steps.Evaluate.PropertyFiles.Report"}
    register = {
        "Name": "Register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": f"group-{cloud.bucket}",
            "ModelApprovalStatus": "PendingManualApproval",
            "CustomerMetadataProperties": {
                "reason": {"Std:JsonGet": {"PropertyFile": report, "Path": "$.reason"}},
                "execution": {"Get": "Execution.PipelineExecutionArn"},
            },
            "InferenceSpecification": {
                "Containers": [{"Image": "image", "ModelDataUrl": model}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            "SkipModelValidation": "None",
            "ModelPackageDescription": None,
        },
    }
    return [
        evaluate,
        condition(
            "Gate",
            [
                {
                    "Type": "GreaterThan",
                    "LeftValue": {"Std:JsonGet": {"PropertyFile": report, "Path": "metrics[0]['re-call'].value"}},
                    "RightValue": {"Get": "Parameters.Minimum"},
                }
            ],
            [register],
            [
                fail(
                    "Missed",
                    {
                        "Std:Join": {
                            "On": ": ",
                            "Values": ["Gate missed", {"Std:JsonGet": {"PropertyFile": report, "Path": "reason"}}],
                        }
                    },
                )
            ],
        ),
    ]


MINIMUM = [{"Name": "Minimum", "Type": "Float", "DefaultValue": 0.6}]


def test_a_gate_that_holds_registers_the_model(cloud: Cloud) -> None:
    """The true branch runs, the other does not, and the package carries what its references said."""
    arn, described = cloud.run(gate(cloud, 0.9), MINIMUM)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    steps = cloud.steps(arn)
    assert list(steps) == ["Register", "Gate", "Evaluate"]  # the latest first, as AWS lists them
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    package = cloud.client("sagemaker").describe_model_package(
        ModelPackageName=steps["Register"]["Metadata"]["RegisterModel"]["Arn"]
    )
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CustomerMetadataProperties"] == {"reason": "too few", "execution": arn}


def test_a_gate_that_is_missed_fails_in_its_own_words(cloud: Cloud) -> None:
    """The Fail step's message is on the step; the execution's reason is generic."""
    arn, described = cloud.run(gate(cloud, 0.9), MINIMUM, PipelineParameters=[{"Name": "Minimum", "Value": "0.999"}])
    assert described["PipelineExecutionStatus"] == "Failed"
    assert described["FailureReason"] == "Step failure: One or multiple steps failed."
    missed = cloud.steps(arn)["Missed"]
    assert missed["FailureReason"] == "Gate missed: too few"
    assert missed["Metadata"]["Fail"]["ErrorMessage"] == "Gate missed: too few"
    assert "CreateModelPackage" not in cloud.layer.calls


def test_independent_steps_run_at_the_same_time(cloud: Cloud) -> None:
    """Two steps that each wait for the other's sign both succeed, so they were running together."""
    code = (
        "import sys, time, pathlib\nmine, other = map(pathlib.Path, sys.argv[1:])\nmine.touch()\n"
        "end = time.time() + 20\n"
        "while not other.exists():\n    assert time.time() < end; time.sleep(.02)"
    )
    one, two = str(cloud.folder / "one"), str(cloud.folder / "two")
    _, described = cloud.run([processing("A", [*python(code), one, two]), processing("B", [*python(code), two, one])])
    assert described["PipelineExecutionStatus"] == "Succeeded"


def test_parallelism_is_bounded_as_asked(cloud: Cloud) -> None:
    """With MaxParallelExecutionSteps 1 no step begins before the one before has ended."""
    arn, described = cloud.run(
        [processing(name, ["true"]) for name in "ABC"], ParallelismConfiguration={"MaxParallelExecutionSteps": 1}
    )
    assert described["ParallelismConfiguration"] == {"MaxParallelExecutionSteps": 1}
    steps = sorted(cloud.steps(arn).values(), key=lambda s: s["StartTime"])
    assert all(after["StartTime"] >= before["EndTime"] for before, after in itertools.pairwise(steps))


def test_a_step_that_fails_ends_the_execution_and_the_rest_is_not_run(cloud: Cloud) -> None:
    """What depends on nothing but comes later in the graph does not start either."""
    broken = processing(
        "Broken", ["sh", "-c", "mkdir -p /opt/ml/output; echo no rows > /opt/ml/output/message; exit 3"]
    )
    arn, described = cloud.run([broken, processing("Later", ["true"], DependsOn=["Broken"])])
    assert described["PipelineExecutionStatus"] == "Failed"
    steps = cloud.steps(arn)
    assert list(steps) == ["Broken"]
    assert steps["Broken"]["FailureReason"] == "ClientError: AlgorithmError: no rows, exit code: 3"
    job = cloud.client("sagemaker").describe_processing_job(
        ProcessingJobName=steps["Broken"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    )
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Failed", "no rows")
    assert job["FailureReason"] == "AlgorithmError: no rows, exit code: 3"


def test_retry_runs_what_failed_and_keeps_what_succeeded(cloud: Cloud) -> None:
    """A step that fails once and then finds what it needs succeeds on retry; its predecessor runs once."""
    sign, count = cloud.folder / "sign", cloud.folder / "count"
    first = processing("First", python(f"open({str(count)!r}, 'a').write('x')"))
    second = processing("Second", ["test", "-e", str(sign)], DependsOn=["First"])
    arn, described = cloud.run([first, second])
    assert described["PipelineExecutionStatus"] == "Failed"
    sign.touch()
    token = uuid.uuid4().hex
    for _ in range(2):  # the same request twice is one retry
        cloud.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token)
    described = cloud.finish(arn)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert "FailureReason" not in described
    assert count.read_text() == "x"
    with pytest.raises(ClientError, match="cannot be retried"):
        cloud.client("sagemaker").retry_pipeline_execution(
            PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex
        )


def test_stop_ends_the_jobs_processes_and_what_they_started(cloud: Cloud) -> None:
    """Stopping goes to Stopped, and neither the job nor its children are left, even those that ignore SIGTERM."""
    pids = cloud.folder / "pids"
    code = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(pids)!r} + '.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(pids)!r} + '.new', {str(pids)!r}); time.sleep(600)"
    )
    cloud.serve(grace_seconds=0.3)
    arn = cloud.start(
        cloud.create([processing("Long", python(code)), processing("Next", ["true"], DependsOn=["Long"])])
    )
    wait_until(pids.exists)
    sagemaker = cloud.client("sagemaker")
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)
    assert sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)["PipelineExecutionStatus"] in (
        "Stopping",
        "Stopped",
    )
    assert cloud.finish(arn)["PipelineExecutionStatus"] == "Stopped"
    assert {name: step["StepStatus"] for name, step in cloud.steps(arn).items()} == {"Long": "Stopped"}
    assert not any(alive(int(pid)) for pid in pids.read_text().split())
    with pytest.raises(ClientError, match="cannot be stopped"):
        sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)


def test_closing_the_service_leaves_no_process(cloud: Cloud) -> None:
    """close() ends running jobs; a start after it is refused."""
    pid = cloud.folder / "pid"
    pipeline = cloud.create([processing("Long", ["sh", "-c", f"echo $$ > {pid}; exec sleep 600"])])
    cloud.start(pipeline)
    wait_until(lambda: pid.exists() and pid.read_text().strip())
    cloud.service.close()
    assert not alive(int(pid.read_text()))
    with pytest.raises(ClientError, match="going down"):
        cloud.start(pipeline)


def test_one_token_starts_one_execution(cloud: Cloud) -> None:
    """The same token gives the same ARN; with other parameters it is refused."""
    pipeline = cloud.create([processing("A", ["true"])], [{"Name": "P", "Type": "String", "DefaultValue": "a"}])
    token = uuid.uuid4().hex
    arn = cloud.start(pipeline, ClientRequestToken=token)
    assert cloud.start(pipeline, ClientRequestToken=token) == arn
    with pytest.raises(ClientError, match="ValidationException"):
        cloud.start(pipeline, ClientRequestToken=token, PipelineParameters=[{"Name": "P", "Value": "b"}])
    listed = cloud.client("sagemaker").list_pipeline_executions(PipelineName=pipeline)["PipelineExecutionSummaries"]
    assert [entry["PipelineExecutionArn"] for entry in listed] == [arn]
    cloud.finish(arn)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "without a default: [Count]"),
        ([{"Name": "Count", "Value": "many"}], "must be of type Integer"),
        ([{"Name": "Count", "Value": "1"}, {"Name": "Size", "Value": "huge"}], "not one of the EnumValues"),
        ([{"Name": "Count", "Value": "1"}, {"Name": "Other", "Value": "1"}], "Unknown parameter"),
    ],
)
def test_parameters_are_checked_at_the_start(cloud: Cloud, given: list[Json], words: str) -> None:
    """Missing, ill-typed, not enumerated and unknown parameters are a ValidationException."""
    pipeline = cloud.create(
        [processing("A", ["true"])],
        [
            {"Name": "Count", "Type": "Integer"},
            {"Name": "Size", "Type": "String", "DefaultValue": "small", "EnumValues": ["small", "large"]},
        ],
    )
    with pytest.raises(ClientError) as caught:
        cloud.start(pipeline, PipelineParameters=given)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert words in caught.value.response["Error"]["Message"]


def test_a_cached_step_is_not_run_again(cloud: Cloud) -> None:
    """The second execution takes the first one's result, downstream references included; other inputs run anew."""
    source, count = cloud.put("in/rows.csv", "1\n"), cloud.folder / "count"
    steps = [
        processing(
            "Prepare",
            python(f"open({str(count)!r}, 'a').write('x'); open('/opt/ml/processing/out/a', 'w').write('made')"),
            inputs={"in": {"Get": "Parameters.Source"}},
            outputs={
                "out": {
                    "Std:Join": {
                        "On": "/",
                        "Values": [f"s3://{cloud.bucket}", {"Get": "Execution.PipelineExecutionId"}],
                    }
                }
            },
            CacheConfig={"Enabled": True, "ExpireAfter": "30d"},
        ),
        processing(
            "Use",
            ["test", "-e", "/opt/ml/processing/made/a"],
            inputs={"made": {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}},
        ),
    ]
    pipeline = cloud.create(steps, [{"Name": "Source", "Type": "String", "DefaultValue": source}])
    first = cloud.start(pipeline)
    assert cloud.finish(first)["PipelineExecutionStatus"] == "Succeeded"
    second = cloud.start(pipeline)
    assert cloud.finish(second)["PipelineExecutionStatus"] == "Succeeded"
    hit = cloud.steps(second)["Prepare"]
    assert hit["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert hit["Metadata"] == cloud.steps(first)["Prepare"]["Metadata"]
    assert count.read_text() == "x"
    other = cloud.put("other/rows.csv", "2\n")
    third = cloud.start(pipeline, PipelineParameters=[{"Name": "Source", "Value": other}])
    assert cloud.finish(third)["PipelineExecutionStatus"] == "Succeeded"
    assert "CacheHitResult" not in cloud.steps(third)["Prepare"]
    assert count.read_text() == "xx"


def test_faults_of_the_service_are_tried_again_by_policy(cloud: Cloud) -> None:
    """Throttling is retried as the policy says, and the attempts are counted."""
    steps = gate(cloud, 0.9)
    register = steps[1]["Arguments"]["IfSteps"][0]
    register["RetryPolicies"] = [
        {"ExceptionType": ["Step.THROTTLING", "SageMaker.RESOURCE_LIMIT"], "IntervalSeconds": 0.01, "MaxAttempts": 3}
    ]
    cloud.layer.faults += [
        ("CreateModelPackage", "ThrottlingException", 400),
        ("CreateModelPackage", "ResourceLimitExceeded", 400),
    ]
    arn, described = cloud.run(steps, MINIMUM)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert cloud.steps(arn)["Register"]["AttemptCount"] == 3


def test_a_fault_without_a_policy_fails_the_step_and_says_so(cloud: Cloud) -> None:
    """A resource limit is not retried unless asked for; the reason has SageMaker's words."""
    cloud.layer.faults.append(("CreateModelPackage", "ResourceLimitExceeded", 400))
    arn, described = cloud.run(gate(cloud, 0.9), MINIMUM)
    assert described["PipelineExecutionStatus"] == "Failed"
    step = cloud.steps(arn)["Register"]
    assert step["FailureReason"].startswith(
        "ClientError: Failed to invoke sagemaker:CreateModelPackage. Error Details: injected\nRetry not appropriate"
    )
    assert "SAGEMAKER_RESOURCE_LIMIT" in step["FailureReason"]


def test_events_have_awss_shape_and_order(cloud: Cloud) -> None:
    """Every change of the execution and its steps is an event, in the order in which it happened."""
    arn, described = cloud.run([processing("Only", ["true"])])
    cloud.service.close()  # delivers what is under way
    seen = [
        (kind, detail.get("stepName"), detail.get("currentStepStatus") or detail["currentPipelineExecutionStatus"])
        for kind, detail, _ in cloud.events
    ]
    assert seen == [
        (events.EXECUTION, None, "Executing"),
        (events.STEP, "Only", "Executing"),
        (events.STEP, "Only", "Succeeded"),
        (events.EXECUTION, None, "Succeeded"),
    ]
    kind, detail, resources = cloud.events[-1]
    assert resources == [described["PipelineArn"], arn]
    assert detail["previousPipelineExecutionStatus"] == "Executing"
    assert detail["pipelineExecutionArn"] == arn
    assert detail["executionStartTime"].endswith("Z")
    assert detail["executionEndTime"] >= detail["executionStartTime"]
    step = cloud.events[2][1]
    assert step["metadata"]["processingJob"]["arn"] == cloud.steps(arn)["Only"]["Metadata"]["ProcessingJob"]["Arn"]
    assert (step["stepType"], step["previousStepStatus"]) == ("Processing", "Executing")
    assert kind == events.EXECUTION


def test_a_receiver_that_fails_and_calls_back_disturbs_nothing(cloud: Cloud) -> None:
    """Emit may raise and may call the service: the execution goes on."""
    described: list[str] = []

    def emit(_: str, detail: Any, __: Any) -> None:
        answer = cloud.service.operations["DescribePipelineExecution"](
            {"PipelineExecutionArn": detail["pipelineExecutionArn"]}
        )
        described.append(answer["PipelineExecutionStatus"])
        raise RuntimeError("receiver")

    cloud.serve(emit=emit) if False else None
    cloud.service._events._emit = emit
    _, done = cloud.run([processing("Only", ["true"])])
    assert done["PipelineExecutionStatus"] == "Succeeded"
    cloud.service.close()
    assert described[-1] == "Succeeded"


def test_execution_variables_and_types_reach_the_job(cloud: Cloud) -> None:
    """Variables, numbers and booleans arrive as strings in arguments and environment."""
    step = processing(
        "Show",
        ["sh", "-c", 'printf "%s|" "$0" "$@" "$FLAG" > /opt/ml/processing/out/seen'],
        outputs={"out": f"s3://{cloud.bucket}/seen"},
        arguments={"Environment": {"FLAG": {"Get": "Parameters.Flag"}}},
    )
    step["Arguments"]["AppSpecification"]["ContainerArguments"] = [
        {"Get": "Parameters.Count"},
        {"Get": "Execution.PipelineName"},
        {"Get": "Execution.ProcessingJobName"},
        {"Std:Join": {"On": "-", "Values": ["at", {"Get": "Execution.StartDateTime"}, 1, True]}},
    ]
    pipeline = cloud.create(
        [step],
        [
            {"Name": "Count", "Type": "Integer", "DefaultValue": 3},
            {"Name": "Flag", "Type": "Boolean", "DefaultValue": False},
        ],
    )
    arn = cloud.start(pipeline, PipelineParameters=[{"Name": "Flag", "Value": "TRUE"}])
    assert cloud.finish(arn)["PipelineExecutionStatus"] == "Succeeded"
    count, name, job, joined, flag, _ = cloud.get(f"s3://{cloud.bucket}/seen/seen").decode().split("|")
    execution = arn.rpartition("/")[2]
    assert (count, name, flag) == ("3", pipeline, "true")
    assert job.startswith(f"pipelines-{execution}-Show-")
    assert joined.startswith("at-20")
    assert joined.endswith("Z-1-true")
    listed = cloud.client("sagemaker").list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    assert listed["PipelineParameters"] == [{"Name": "Count", "Value": "3"}, {"Name": "Flag", "Value": "true"}]


def test_lists_are_paged_and_what_is_unknown_is_not_found(cloud: Cloud) -> None:
    """NextToken goes on where the page ended; an unknown execution is ResourceNotFound."""
    arn, _ = cloud.run([processing(name, ["true"]) for name in "ABC"])
    sagemaker = cloud.client("sagemaker")
    pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
        PipelineExecutionArn=arn, SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    assert [[step["StepName"] for step in page["PipelineExecutionSteps"]] for page in pages] == [["A", "B"], ["C"]]
    definition = sagemaker.describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    assert len(json.loads(definition["PipelineDefinition"])["Steps"]) == 3
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_pipeline_execution(PipelineExecutionArn=f"{arn[:-12]}{'0' * 12}")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        sagemaker.start_pipeline_execution(PipelineName="nowhere")


def test_a_model_step_creates_the_model_of_a_training_step(cloud: Cloud) -> None:
    """The training job's artifact reaches CreateModel, and the model's name is one that Pipelines gave."""
    train = training("Train", ["touch", "/opt/ml/model/model.json"], f"s3://{cloud.bucket}/models")
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
    arn, described = cloud.run([model, train])
    assert described["PipelineExecutionStatus"] == "Succeeded", cloud.steps(arn)
    name = cloud.steps(arn)["Create"]["Metadata"]["Model"]["Arn"].rpartition("/")[2]
    assert name.startswith("pipelines-")
    assert (
        cloud.client("sagemaker").describe_model(ModelName=name)["PrimaryContainer"]["ModelDataUrl"].endswith(".tar.gz")
    )
