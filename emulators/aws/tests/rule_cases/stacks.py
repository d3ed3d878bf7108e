"""Cases of the rules of CloudFormation; not a test itself."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

from aws_resources import unique_name
from local_aws.server import LocalAws
from rule_cases.refusals import TRUST, Case, pattern, reason_of_failed_stack, refused

TOPIC = {"T": {"Type": "AWS::SNS::Topic"}}


def template_size(aws: LocalAws) -> None:
    body = json.dumps({"Description": "x", "Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Metadata": "y" * 51_200})
    refused(
        "cloudformation-template-size",
        lambda: aws.client("cloudformation").create_stack(StackName=unique_name("stack"), TemplateBody=body),
    )


def stack_not_updatable(aws: LocalAws) -> None:
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    broken = (
        "Resources: {F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, "
        "Role: 'arn:aws:iam::123456789012:role/none', Code: {S3Bucket: none, S3Key: none}}}}"
    )
    cloudformation.create_stack(StackName=name, TemplateBody=broken)
    good = "Resources: {T: {Type: AWS::SNS::Topic}}"
    refused(
        "cloudformation-stack-not-updatable",
        lambda: cloudformation.update_stack(StackName=name, TemplateBody=good),
    )


def name_exists(aws: LocalAws) -> None:
    name = unique_name("group")
    aws.client("logs").create_log_group(logGroupName=name)
    body = f"Resources: {{G: {{Type: AWS::Logs::LogGroup, Properties: {{LogGroupName: {name}}}}}}}"
    reasons = reason_of_failed_stack(aws, body)
    assert re.search(pattern("cloudformation-name-exists"), reasons), reasons


def create(aws: LocalAws, template: dict[str, Any], **options: Any) -> str:
    """A new stack's name."""
    name = unique_name("stack")
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template), **options)
    return name


def given(**values: str) -> list[dict[str, str]]:
    """Parameters in CloudFormation's format."""
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]


def role(**properties: str) -> dict[str, Any]:
    """A template of one role."""
    return {
        "Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {**properties, "AssumeRolePolicyDocument": TRUST}}}
    }


def capabilities(aws: LocalAws) -> None:
    named = role(RoleName=unique_name("role"))
    for template, capability in ((role(), []), (named, ["CAPABILITY_IAM"])):
        refused(
            "cloudformation-capabilities",
            partial(create, aws, template, Capabilities=capability),
        )
    stack = create(aws, role(), Capabilities=["CAPABILITY_IAM"])
    create(aws, named, Capabilities=["CAPABILITY_NAMED_IAM"])
    request = {"StackName": stack, "TemplateBody": json.dumps({**role(), "Description": "new"})}
    cloudformation = aws.client("cloudformation")
    refused("cloudformation-capabilities", lambda: cloudformation.update_stack(**request))
    refused(
        "cloudformation-capabilities",
        lambda: cloudformation.create_change_set(**request, ChangeSetName="c", ChangeSetType="UPDATE"),
    )


def declaring(**declared: Any) -> dict[str, Any]:
    """A template with a parameter P."""
    return {"Parameters": {"P": {"Type": "String", **declared}}, "Resources": TOPIC}


def parameter_missing(aws: LocalAws) -> None:
    refused("cloudformation-parameter-missing", lambda: create(aws, declaring()))
    name, cloudformation = create(aws, declaring(), Parameters=given(P="a")), aws.client("cloudformation")
    refused(
        "cloudformation-parameter-missing",
        lambda: cloudformation.update_stack(StackName=name, UsePreviousTemplate=True, Parameters=[]),
    )


def parameter_unknown(aws: LocalAws) -> None:
    refused("cloudformation-parameter-unknown", lambda: create(aws, declaring(), Parameters=given(P="a", Q="b")))


def parameter_pattern(aws: LocalAws) -> None:
    template = declaring(AllowedPattern="[a-z]+")
    for value in ("A", "a1", ""):
        refused(
            "cloudformation-parameter-pattern",
            partial(create, aws, template, Parameters=given(P=value)),
        )
    create(aws, template, Parameters=given(P="abc"))


def parameter_value(aws: LocalAws) -> None:
    number = {"Type": "Number", "MinValue": 1, "MaxValue": 3}
    for declared, wrong in (
        (number, "0"),
        (number, "4"),
        (number, "x"),
        ({"MinLength": 2}, "a"),
        ({"MaxLength": 2}, "abc"),
        ({"AllowedValues": ["a", "b"]}, "c"),
        ({"AllowedValues": ["a"], "Default": "b"}, None),
        ({"Type": "CommaDelimitedList", "AllowedValues": ["a", "b"]}, "a,c"),
        ({"Type": "List<Number>", "MaxValue": 3}, "1,4"),
    ):
        template, values = declaring(**declared), given(**({"P": wrong} if wrong is not None else {}))
        refused(
            "cloudformation-parameter-value",
            partial(create, aws, template, Parameters=values),
        )
    create(aws, declaring(**number), Parameters=given(P="3"))
    create(aws, declaring(AllowedValues=[True]), Parameters=given(P="true"))
    create(aws, declaring(AllowedValues=[True], Default=True))
    create(aws, declaring(Type="CommaDelimitedList", AllowedValues=["a", "b"]), Parameters=given(P="b, a"))


def parameter_described(aws: LocalAws) -> None:
    for declared, wrong in (({"AllowedPattern": "[a-z]+"}, "A"), ({"AllowedValues": ["a"]}, "b")):
        template = declaring(ConstraintDescription="must be small", **declared)
        refused(
            "cloudformation-parameter-described",
            partial(create, aws, template, Parameters=given(P=wrong)),
        )


def section_size(aws: LocalAws) -> None:
    sections: tuple[tuple[str, int, dict[str, Any]], ...] = (
        ("Resources", 501, {"Type": "AWS::SNS::Topic"}),
        ("Parameters", 201, {"Type": "String", "Default": "a"}),
        ("Outputs", 201, {"Value": "a"}),
    )
    for section, count, item in sections:
        template = {"Resources": TOPIC, section: {f"X{number}": item for number in range(count)}}
        refused("cloudformation-section-size", partial(create, aws, template))


def no_resources(aws: LocalAws) -> None:
    refused("cloudformation-no-resources", lambda: create(aws, {"Resources": {}}))


CASES: dict[str, Case] = {
    "cloudformation-capabilities": capabilities,
    "cloudformation-name-exists": name_exists,
    "cloudformation-no-resources": no_resources,
    "cloudformation-parameter-described": parameter_described,
    "cloudformation-parameter-missing": parameter_missing,
    "cloudformation-parameter-pattern": parameter_pattern,
    "cloudformation-parameter-unknown": parameter_unknown,
    "cloudformation-parameter-value": parameter_value,
    "cloudformation-section-size": section_size,
    "cloudformation-stack-not-updatable": stack_not_updatable,
    "cloudformation-template-size": template_size,
}
