"""Roles that a call passes to a service: iam:PassRole, and the role's trust policy."""

from __future__ import annotations

import json
from typing import Any

from aws_resources import allow, create_role, unique_name, zip_function
from callers import SAGEMAKER, Session, refused
from local_aws.server import LocalAws


def test_role_is_passed_only_with_permission_and_to_its_service(aws: LocalAws) -> None:
    """CreatePipeline requires iam:PassRole on the role, conditioned on the service."""
    role = create_role(aws, unique_name("job"), SAGEMAKER)
    step = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    definition = json.dumps({"Version": "2020-12-01", "Steps": [step]})
    creates = allow("sagemaker:CreatePipeline")

    def create(session: Session) -> Any:
        return session.client("sagemaker").create_pipeline

    request = {"PipelineDefinition": definition, "RoleArn": role, "ClientRequestToken": "t" * 32}
    code, _, message = refused(create(Session(aws, creates)), PipelineName=unique_name("p"), **request)
    assert code == "AccessDeniedException"
    assert f"iam:PassRole on resource: {role}" in message
    other = allow("iam:PassRole", role, StringEquals={"iam:PassedToService": "lambda.amazonaws.com"})
    assert "iam:PassRole" in refused(create(Session(aws, creates, other)), PipelineName=unique_name("p"), **request)[2]
    passes = allow("iam:PassRole", role, StringEquals={"iam:PassedToService": SAGEMAKER})
    create(Session(aws, creates, passes))(PipelineName=unique_name("p"), **request)


def test_role_that_does_not_trust_the_service_is_refused(aws: LocalAws) -> None:
    """SageMaker and Lambda check it in the call that hands the role over, the administrator's too."""
    role = create_role(aws, unique_name("other"), "events.amazonaws.com")
    container = {"Image": "i", "ModelDataUrl": "s3://models/a.tar.gz"}
    code, _, message = refused(
        aws.client("sagemaker").create_model,
        ModelName=unique_name("m"),
        PrimaryContainer=container,
        ExecutionRoleArn=role,
    )
    assert (code, message[:26]) == ("ValidationException", f"Could not assume role {role}"[:26])
    code, _, message = refused(
        aws.client("lambda").create_function,
        FunctionName=unique_name("f"),
        Role=role,
        Code={"ZipFile": zip_function("x = 1")},
        Runtime="python3.12",
        Handler="a.b",
    )
    assert code == "InvalidParameterValueException"
    assert "cannot be assumed by Lambda" in message
