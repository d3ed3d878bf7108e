"""The start of the scikit-learn 1.9-0 container: its `pip install .` where a network is missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from aws_resources import HANDLER, IMAGE, ROLE, pack_archive, unique_name, wait_until_settled
from local_aws.sagemaker.hosting.managed_container import install_failure
from local_aws.server import LocalAws

ARCHIVE = {"code/inference.py": HANDLER}
BUILDS = {"PIP_NO_BUILD_ISOLATION": "0"}
SETUPTOOLS = "No matching distribution found for setuptools>=40.8.0"


def deploy(
    aws: LocalAws,
    files: Mapping[str, str],
    environment: Mapping[str, str] = MappingProxyType({}),
    *,
    isolated: bool = True,
    image: str = IMAGE,
) -> str:
    """A new endpoint that serves the archive of `files`; its failure reason, '' if it is in service."""
    name, sagemaker = unique_name("container"), aws.client("sagemaker")
    aws.client("s3").create_bucket(Bucket="models")
    aws.client("s3").put_object(Bucket="models", Key=f"{name}.tar.gz", Body=pack_archive(dict(files)))
    container = {"Image": image, "ModelDataUrl": f"s3://models/{name}.tar.gz", "Environment": dict(environment)}
    sagemaker.create_model(
        ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE, EnableNetworkIsolation=isolated
    )
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    status = wait_until_settled(aws, name)
    assert sagemaker.describe_model(ModelName=name)["EnableNetworkIsolation"] == isolated
    reason = sagemaker.describe_endpoint(EndpointName=name).get("FailureReason", "")
    assert (status == "InService") == (reason == "")
    return str(reason)


@pytest.mark.parametrize("setting", [{}, {"PIP_NO_BUILD_ISOLATION": "1"}])
def test_isolated_container_cannot_build_the_models_code(aws: LocalAws, setting: dict[str, str]) -> None:
    """pip wants setuptools for its isolated build; the value 1 of the negated option changes nothing."""
    reason = deploy(aws, ARCHIVE, setting)
    assert reason.startswith(
        "The primary container for production variant AllTraffic did not pass the ping health check. Please check "
        "CloudWatch logs for this endpoint."
    )
    assert SETUPTOOLS in reason


@pytest.mark.parametrize("value", ["0", "false", "No"])
def test_isolated_container_builds_with_its_own_setuptools(aws: LocalAws, value: str) -> None:
    """pip reads these as false."""
    assert deploy(aws, ARCHIVE, {"PIP_NO_BUILD_ISOLATION": value}) == ""


def test_isolated_container_cannot_install_requirements(aws: LocalAws) -> None:
    """requirements.txt of the archive is installed at every start; comments and options require nothing."""
    files = {**ARCHIVE, "code/requirements.txt": "# pinned\n--no-deps\nscipy==1.18.0\n"}
    assert "No matching distribution found for scipy==1.18.0" in deploy(aws, files, BUILDS)
    files["code/requirements.txt"] = "# none\n"
    assert deploy(aws, files, BUILDS) == ""


def test_container_with_a_network_installs_what_it_needs(aws: LocalAws) -> None:
    """Nothing is missing there."""
    assert deploy(aws, ARCHIVE, isolated=False) == ""


def test_other_image_installs_nothing(aws: LocalAws) -> None:
    """What another image does at its start is not known."""
    assert deploy(aws, ARCHIVE, image="123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1") == ""


def test_code_outside_of_the_archive_has_no_requirements(tmp_path: Path) -> None:
    """The handler loader refuses such a folder; here there is no file to read."""
    assert (
        install_failure(IMAGE, {"SAGEMAKER_SUBMIT_DIRECTORY": "/code", "PIP_NO_BUILD_ISOLATION": "0"}, tmp_path) == ()
    )
