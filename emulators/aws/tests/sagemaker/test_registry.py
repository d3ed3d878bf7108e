"""The model registry: versions, updates and client tokens."""

from __future__ import annotations

import pytest
from aws_resources import unique_name
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

SPECIFICATION = {
    "Containers": [{"Image": "image", "ModelDataUrl": "s3://models/a.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


@pytest.fixture
def group(aws: LocalAws) -> str:
    """A new package group."""
    name = unique_name("group")
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    return name


def test_update_keeps_members_that_it_does_not_name(aws: LocalAws, group: str) -> None:
    """Approving keeps metadata and description; metadata is merged, and removed by name."""
    sagemaker = aws.client("sagemaker")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        InferenceSpecification=SPECIFICATION,
        CustomerMetadataProperties={"a": "1", "b": "2"},
    )["ModelPackageArn"]
    assert sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == "PendingManualApproval"
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="why")
    sagemaker.update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"c": "3"}, CustomerMetadataPropertiesToRemove=["a"]
    )
    found = sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["CustomerMetadataProperties"] == {"b": "2", "c": "3"}
    assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == ("Approved", "why")


def test_update_replaces_the_inference_specification(aws: LocalAws, group: str) -> None:
    """UpdateModelPackage replaces the inference specification, as AWS does: a URL alone proves nothing."""
    sagemaker = aws.client("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION)[
        "ModelPackageArn"
    ]
    container = {"Image": "image", "ModelDataUrl": "s3://models/other.tar.gz"}
    sagemaker.update_model_package(
        ModelPackageArn=arn, InferenceSpecification={**SPECIFICATION, "Containers": [container]}
    )
    found = sagemaker.describe_model_package(ModelPackageName=arn)["InferenceSpecification"]["Containers"][0]
    assert found["ModelDataUrl"] == "s3://models/other.tar.gz"


def test_versions_of_deleted_packages_are_not_reused(aws: LocalAws, group: str) -> None:
    """After the latest package is deleted the next one still gets a new version."""
    sagemaker = aws.client("sagemaker")

    def register() -> str:
        made = sagemaker.create_model_package(ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION)
        arn: str = made["ModelPackageArn"]
        return arn

    first, second = register(), register()
    assert (first[-2:], second[-2:]) == ("/1", "/2")
    sagemaker.delete_model_package(ModelPackageName=second)
    assert register()[-2:] == "/3"


def test_client_token_registers_one_package(aws: LocalAws, group: str) -> None:
    """The same call with the same token gives the same package; another call with it is refused."""
    sagemaker, token = aws.client("sagemaker"), unique_name("token-0123456789-0123456789")
    calls = [
        sagemaker.create_model_package(
            ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION, ClientToken=token
        )
        for _ in range(2)
    ]
    assert calls[0]["ModelPackageArn"] == calls[1]["ModelPackageArn"]
    with pytest.raises(ClientError, match="other parameters"):
        sagemaker.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification=SPECIFICATION,
            ClientToken=token,
            ModelApprovalStatus="Approved",
        )
    assert len(sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]) == 1


def test_unknown_package_group_or_status_is_refused(aws: LocalAws) -> None:
    """An unknown package, group or approval status is a ValidationException."""
    sagemaker = aws.client("sagemaker")
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/nobody/1"
    for call in (
        lambda: sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved"),
        lambda: sagemaker.create_model_package(ModelPackageGroupName="nobody", InferenceSpecification=SPECIFICATION),
        lambda: sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Perhaps"),
    ):
        with pytest.raises(ClientError) as caught:
            call()  # type: ignore[no-untyped-call] # a lambda has no annotations
        assert caught.value.response["Error"]["Code"] == "ValidationException"
