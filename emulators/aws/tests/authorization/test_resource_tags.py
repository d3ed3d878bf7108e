"""Tags of requests and resources in the conditions of policies."""

from __future__ import annotations

from aws_resources import allow, unique_name
from callers import Session, refused
from local_aws.server import LocalAws


def test_tags_of_request_and_resource_are_context_keys(aws: LocalAws) -> None:
    """aws:RequestTag limits what is created, aws:ResourceTag what is touched."""
    statements = [
        allow("sagemaker:CreateModelPackageGroup", StringEquals={"aws:RequestTag/team": "risk"}),
        allow("sagemaker:AddTags"),
        allow("sagemaker:DescribeModelPackageGroup", StringEquals={"aws:ResourceTag/team": "risk"}),
    ]
    sagemaker = Session(aws, *statements).client("sagemaker")
    name = unique_name("group")
    assert refused(sagemaker.create_model_package_group, ModelPackageGroupName=name)[0] == "AccessDeniedException"
    sagemaker.create_model_package_group(ModelPackageGroupName=name, Tags=[{"Key": "team", "Value": "risk"}])
    assert sagemaker.describe_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupName"] == name
    other = unique_name("group")
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=other)
    assert refused(sagemaker.describe_model_package_group, ModelPackageGroupName=other)[0] == "AccessDeniedException"
