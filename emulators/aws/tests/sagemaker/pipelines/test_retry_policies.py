"""Retry policies of steps."""

from __future__ import annotations

from gate_pipeline import MINIMUM, gate
from pipeline_jobs import PipelineAws


def test_service_faults_are_retried_by_policy(aws: PipelineAws) -> None:
    """Throttling is retried as the policy says, and the attempts are counted."""
    steps = gate(aws, 0.9)
    register = steps[1]["Arguments"]["IfSteps"][0]
    register["RetryPolicies"] = [
        {"ExceptionType": ["Step.THROTTLING", "SageMaker.RESOURCE_LIMIT"], "IntervalSeconds": 0.01, "MaxAttempts": 3}
    ]
    aws.dispatcher.faults += [
        ("CreateModelPackage", "ThrottlingException", 400),
        ("CreateModelPackage", "ResourceLimitExceeded", 400),
    ]
    arn, described = aws.run(steps, MINIMUM)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert aws.steps(arn)["Register"]["AttemptCount"] == 3


def test_fault_without_a_policy_fails_the_step(aws: PipelineAws) -> None:
    """A resource limit is not retried without a policy; the reason has SageMaker's message."""
    aws.dispatcher.faults.append(("CreateModelPackage", "ResourceLimitExceeded", 400))
    arn, described = aws.run(gate(aws, 0.9), MINIMUM)
    assert described["PipelineExecutionStatus"] == "Failed"
    step = aws.steps(arn)["Register"]
    assert step["FailureReason"].startswith(
        "ClientError: Failed to invoke sagemaker:CreateModelPackage. Error Details: injected\nRetry not appropriate"
    )
    assert "SAGEMAKER_RESOURCE_LIMIT" in step["FailureReason"]
