"""Events of executions and steps."""

from __future__ import annotations

from typing import Any

from local_aws.sagemaker.pipelines import events
from pipeline_jobs import PipelineAws, processing


def test_pipeline_events_have_aws_shape_and_order(aws: PipelineAws) -> None:
    """Every change of the execution and its steps is an event, in order."""
    arn, described = aws.run([processing("Only", ["true"])])
    aws.service.close()  # delivers what is under way
    seen = [
        (kind, detail.get("stepName"), detail.get("currentStepStatus") or detail["currentPipelineExecutionStatus"])
        for kind, detail, _ in aws.events
    ]
    assert seen == [
        (events.EXECUTION, None, "Executing"),
        (events.STEP, "Only", "Executing"),
        (events.STEP, "Only", "Succeeded"),
        (events.EXECUTION, None, "Succeeded"),
    ]
    kind, detail, resources = aws.events[-1]
    assert resources == [described["PipelineArn"], arn]
    assert detail["previousPipelineExecutionStatus"] == "Executing"
    assert detail["pipelineExecutionArn"] == arn
    assert detail["executionStartTime"].endswith("Z")
    assert detail["executionEndTime"] >= detail["executionStartTime"]
    step = aws.events[2][1]
    assert step["metadata"]["processingJob"]["arn"] == aws.steps(arn)["Only"]["Metadata"]["ProcessingJob"]["Arn"]
    assert (step["stepType"], step["previousStepStatus"]) == ("Processing", "Executing")
    assert kind == events.EXECUTION


def test_event_receiver_may_fail_and_call_back(aws: PipelineAws) -> None:
    """The receiver may raise an error or call the service; the execution continues."""
    described: list[str] = []

    def emit(_: str, detail: Any, __: Any) -> None:
        answer = aws.service.operations["DescribePipelineExecution"](
            {"PipelineExecutionArn": detail["pipelineExecutionArn"]}
        )
        described.append(answer["PipelineExecutionStatus"])
        raise RuntimeError("receiver")

    aws.serve(emit=emit) if False else None
    aws.service._events._emit = emit
    _, done = aws.run([processing("Only", ["true"])])
    assert done["PipelineExecutionStatus"] == "Succeeded"
    aws.service.close()
    assert described[-1] == "Succeeded"
