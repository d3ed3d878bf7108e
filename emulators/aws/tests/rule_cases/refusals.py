"""What the cases of service rules share: requests, and the assertion that one is refused; not a test itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from aws_resources import ROLE, unique_name
from botocore.exceptions import ClientError
from local_aws.server import LocalAws
from local_aws.service_rules.catalog import rules

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
Case = Callable[[LocalAws], None]


def long_policy(characters: int) -> str:
    """A policy of more than that many characters."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{'a' * 1000}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement] * (characters // 1000 + 1)})


def definition(*, arguments: list[Any] | None = None) -> str:
    """A pipeline of one processing step, and one optional parameter."""
    application: dict[str, Any] = {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]}
    if arguments is not None:
        application["ContainerArguments"] = arguments
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    own = {"ProcessingResources": {"ClusterConfig": cluster}, "AppSpecification": application, "RoleArn": ROLE}
    parameter = {"Name": "Window", "Type": "String", "DefaultValue": ""}
    steps = [{"Name": "Work", "Type": "Processing", "Arguments": own}]
    return json.dumps({"Version": "2020-12-01", "Parameters": [parameter], "Steps": steps})


def run(aws: LocalAws, text: str) -> str:
    """The failure reason of the pipeline's step."""
    sagemaker, name = aws.client("sagemaker"), unique_name("pipeline")
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=text, RoleArn=ROLE, ClientRequestToken=unique_name("t" * 32)
    )
    arn = sagemaker.start_pipeline_execution(PipelineName=name)["PipelineExecutionArn"]
    aws._services.pipelines.wait(arn, 60)
    (step,) = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    return str(step["FailureReason"])


def refused(rule_id: str, call: Callable[[], object]) -> None:
    """The call fails with the rule's code and message."""
    rule = rules()[rule_id]
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    assert error["Code"] == rule.code, error
    assert re.fullmatch(pattern(rule_id), error["Message"], re.DOTALL), error["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == rule.status


def pattern(rule_id: str) -> str:
    """The rule's message as a pattern that accepts any values."""
    return re.sub(r"\\\{\w+\\\}", ".+", re.escape(rules()[rule_id].message))


def reason_of_failed_stack(aws: LocalAws, body: str) -> str:
    """The reasons in the events of a stack that cannot be created."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    return "\n".join(event.get("ResourceStatusReason") or "" for event in events)
