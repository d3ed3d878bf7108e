"""The registry keeps its promises: versions only grow, updates change what they name, tokens are remembered."""

from __future__ import annotations

import pytest
from aws_resources import unique
from botocore.exceptions import ClientError
from local_aws.server import LocalCloud

SPECIFICATION = {
    "Containers": [{"Image": "image", "ModelDataUrl": "s3://models/a.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}


@pytest.fixture
def group(cloud: LocalCloud) -> str:
    """A new package group."""
    name = unique("group")
    cloud.client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    return name


def test_an_update_leaves_alone_what_it_does_not_name(cloud: LocalCloud, group: str) -> None:
    """Approving keeps metadata and description; metadata is merged, and removed by name."""
    sagemaker = cloud.client("sagemaker")
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


def test_an_update_can_replace_the_models_url(cloud: LocalCloud, group: str) -> None:
    """UpdateModelPackage replaces the inference specification, as AWS does: a URL alone proves nothing."""
    sagemaker = cloud.client("sagemaker")
    arn = sagemaker.create_model_package(ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION)[
        "ModelPackageArn"
    ]
    container = {"Image": "image", "ModelDataUrl": "s3://models/other.tar.gz"}
    sagemaker.update_model_package(
        ModelPackageArn=arn, InferenceSpecification={**SPECIFICATION, "Containers": [container]}
    )
    found = sagemaker.describe_model_package(ModelPackageName=arn)["InferenceSpecification"]["Containers"][0]
    assert found["ModelDataUrl"] == "s3://models/other.tar.gz"


def test_a_version_is_never_given_twice(cloud: LocalCloud, group: str) -> None:
    """After the latest package is deleted the next one still gets a new version."""
    sagemaker = cloud.client("sagemaker")

    def register() -> str:
        made = sagemaker.create_model_package(ModelPackageGroupName=group, InferenceSpecification=SPECIFICATION)
        arn: str = made["ModelPackageArn"]
        return arn

    first, second = register(), register()
    assert (first[-2:], second[-2:]) == ("/1", "/2")
    sagemaker.delete_model_package(ModelPackageName=second)
    assert register()[-2:] == "/3"


def test_a_client_token_registers_once(cloud: LocalCloud, group: str) -> None:
    """The same call with the same token gives the same package; another call with it is refused."""
    sagemaker, token = cloud.client("sagemaker"), unique("token-0123456789-0123456789")
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


def test_what_is_not_there_cannot_be_changed(cloud: LocalCloud) -> None:
    """An unknown package, group or approval status is a ValidationException."""
    sagemaker = cloud.client("sagemaker")
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/nobody/1"
    for call in (
        lambda: sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved"),
        lambda: sagemaker.create_model_package(ModelPackageGroupName="nobody", InferenceSpecification=SPECIFICATION),
        lambda: sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Perhaps"),
    ):
        with pytest.raises(ClientError) as caught:
            call()  # type: ignore[no-untyped-call] # a lambda has no annotations
        assert caught.value.response["Error"]["Code"] == "ValidationException"
