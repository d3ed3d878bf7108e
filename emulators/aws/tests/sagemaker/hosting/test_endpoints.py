"""Endpoints: creation, invocation, blue/green updates, failures and deletion."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import psutil
import pytest
from aws_resources import (
    IMAGE,
    ROLE,
    create_endpoint,
    create_endpoint_config,
    endpoint_status,
    invoke_endpoint,
    pack_archive,
    unique_name,
    wait_until,
    wait_until_settled,
)
from botocore.exceptions import ClientError
from local_aws.faults import Rule
from local_aws.server import LocalAws


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    """AWS's code of an error."""
    text: str = error.value.response["Error"]["Code"]
    return text


def test_endpoint_returns_the_models_response(aws: LocalAws) -> None:
    """Body, content type, Accept and the variant go through InvokeEndpoint and back."""
    name = create_endpoint(aws, VERSION="7")
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=b"1,2", ContentType="text/csv", Accept="application/json", InferenceId="a"
    )
    assert answer["Body"].read() == b"7:text/csv:1,2"
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/json", "AllTraffic")
    described = aws.client("sagemaker").describe_endpoint(EndpointName=name)
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    listed = aws.client("sagemaker").list_endpoints(StatusEquals="InService", NameContains=name)["Endpoints"]
    assert [item["EndpointName"] for item in listed] == [name]


def test_container_errors_are_model_errors(aws: LocalAws) -> None:
    """A 4xx or 5xx of the container is a ModelError with its status and message; the server keeps running."""
    name = create_endpoint(aws)
    for body, expected, message in ((b"bad", 400, "no such row"), (b"broken", 500, "the model broke")):
        with pytest.raises(ClientError) as caught:
            invoke_endpoint(aws, name, body)
        response: dict[str, Any] = caught.value.response  # type: ignore[assignment] # its stub knows no modelled members
        assert code_of(caught) == "ModelError"
        assert response["OriginalStatusCode"] == expected
        assert message in response["OriginalMessage"]
    assert invoke_endpoint(aws, name, "1") == "none:text/csv:1"


def test_invalid_invocations_are_refused(aws: LocalAws) -> None:
    """A missing endpoint, a missing variant and a body beyond 6 MB are errors of the caller."""
    name = create_endpoint(aws)
    with pytest.raises(ClientError, match="not found"):
        invoke_endpoint(aws, "nobody", b"1")
    with pytest.raises(ClientError, match="Variant Other"):
        invoke_endpoint(aws, name, b"1", TargetVariant="Other")
    with pytest.raises(ClientError) as caught:
        invoke_endpoint(aws, name, b"1" * (6 * 1024 * 1024 + 1))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert len(invoke_endpoint(aws, name, b"1" * (6 * 1024 * 1024 - 100))) > 6_000_000


def test_weights_and_capacities_change_what_serves(aws: LocalAws) -> None:
    """On the same configuration, each only where it is given; an unknown variant is refused."""
    sagemaker, name = aws.client("sagemaker"), create_endpoint(aws)
    before = sagemaker.describe_endpoint(EndpointName=name)
    for wanted in ({"DesiredInstanceCount": 3}, {"DesiredWeight": 0.5}):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", **wanted}]
        )
    described = sagemaker.describe_endpoint(EndpointName=name)
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", before["EndpointConfigName"])
    (variant,) = described["ProductionVariants"]
    assert (variant["DesiredInstanceCount"], variant["CurrentWeight"]) == (3, 0.5)
    assert invoke_endpoint(aws, name, "1") == "none:text/csv:1"
    with pytest.raises(ClientError, match="not present within endpoint configuration"):
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "Other", "DesiredWeight": 1.0}]
        )


def test_failed_endpoint_can_only_be_deleted(aws: LocalAws) -> None:
    """Its failure reason has the end of the server's log; an update is refused, a deletion is not."""
    sagemaker, name = aws.client("sagemaker"), unique_name("endpoint")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=create_endpoint_config(aws, BREAK="1"))
    assert wait_until_settled(aws, name) == "Failed"
    reason = sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]
    assert "did not pass the ping health check" in reason
    assert "this model does not load" in reason
    with pytest.raises(ClientError, match="failed endpoint"):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=create_endpoint_config(aws))
    sagemaker.delete_endpoint(EndpointName=name)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        endpoint_status(aws, name)


def test_missing_or_unsafe_model_archive_fails_the_endpoint(aws: LocalAws) -> None:
    """A missing object and an archive with a path outside of its folder are named as such."""
    sagemaker = aws.client("sagemaker")
    evil = create_endpoint_config(aws, data=pack_archive({"../../escaped": "x"}))
    gone = create_endpoint_config(aws)
    aws.client("s3").delete_object(Bucket="models", Key=f"{gone}.tar.gz")
    for config, reason in ((evil, "Failed to extract model data"), (gone, "Failed to download model data")):
        name = unique_name("endpoint")
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        assert wait_until_settled(aws, name) == "Failed"
        assert reason in sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]


def test_endpoint_update_loses_no_request(aws: LocalAws) -> None:
    """Every request during the update is answered by the old or the new fleet; then the old one is removed."""
    name = create_endpoint(aws, VERSION="old")
    answers: list[str] = []
    stop = threading.Event()

    def traffic() -> None:
        while not stop.is_set():
            answers.append(invoke_endpoint(aws, name, "sleep 0.02"))

    callers = [threading.Thread(target=traffic) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        coming = create_endpoint_config(aws, VERSION="new")
        aws.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=coming)
        described = aws.client("sagemaker").describe_endpoint(EndpointName=name)
        assert described["PendingDeploymentSummary"]["EndpointConfigName"] == coming
        assert described["EndpointConfigName"] != coming
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            aws.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=create_endpoint_config(aws))
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            aws.client("sagemaker").delete_endpoint(EndpointName=name)
        assert wait_until_settled(aws, name) == "InService"
        assert "PendingDeploymentSummary" not in aws.client("sagemaker").describe_endpoint(EndpointName=name)
        wait_until(lambda: answers[-1].startswith("new"))
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    versions = [answer.split(":")[0] for answer in answers]
    assert set(versions) == {"old", "new"}
    wait_until(lambda: len(servers(aws, name)) == 1)


def test_failed_endpoint_update_keeps_the_old_fleet(aws: LocalAws) -> None:
    """The endpoint is InService again, with its former configuration and a reason."""
    first = create_endpoint_config(aws, VERSION="good")
    sagemaker, name = aws.client("sagemaker"), unique_name("endpoint")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=first)
    assert wait_until_settled(aws, name) == "InService"
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=create_endpoint_config(aws, BREAK="1"))
    assert wait_until_settled(aws, name) == "InService"
    described = sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointConfigName"] == first
    assert "did not pass the ping health check" in described["FailureReason"]
    assert invoke_endpoint(aws, name, "1").startswith("good:")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=create_endpoint_config(aws, VERSION="better"))
    assert wait_until_settled(aws, name) == "InService"
    assert "FailureReason" not in sagemaker.describe_endpoint(EndpointName=name)


def test_dead_model_server_is_restarted_once(aws: LocalAws) -> None:
    """After the first exit it is restarted; after the second the endpoint is OutOfService with a reason."""
    name = create_endpoint(aws)
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            invoke_endpoint(aws, name, "die")
        assert code_of(caught) == "ModelError"
        if endpoint_status(aws, name) == "InService":
            wait_until(lambda: answers(aws, name) or endpoint_status(aws, name) == "OutOfService")
    wait_until(lambda: endpoint_status(aws, name) == "OutOfService")
    assert "died twice" in aws.client("sagemaker").describe_endpoint(EndpointName=name)["FailureReason"]


def test_model_package_is_served_with_additional_environment(aws: LocalAws) -> None:
    """A model made from a model package runs the package's container, with the model's own variables on top."""
    sagemaker, name = aws.client("sagemaker"), unique_name("packaged")
    config = create_endpoint_config(aws)
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://models/{config}.tar.gz", "Environment": {"VERSION": "packed"}}
    specification = {
        "Containers": [container],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    arn = sagemaker.create_model_package(ModelPackageGroupName=name, InferenceSpecification=specification)[
        "ModelPackageArn"
    ]
    sagemaker.create_model(ModelName=name, PrimaryContainer={"ModelPackageName": arn}, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "One", "ModelName": name, "InstanceType": "ml.c7i.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert wait_until_settled(aws, name) == "InService"
    assert invoke_endpoint(aws, name, "1", TargetVariant="One") == "packed:text/csv:1"


def answers(aws: LocalAws, name: str) -> bool:
    """Whether the endpoint answers."""
    try:
        return bool(invoke_endpoint(aws, name, "1"))
    except ClientError:
        return False


def servers(aws: LocalAws, name: str) -> list[psutil.Process]:
    """The endpoint's server processes; a process that ends during the listing is left out."""
    mark, found = f"{aws.folder}/endpoints/{name}/", []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(mark in part for part in process.cmdline()):
                found.append(process)
    return found


def test_unhealthy_fault_leaves_the_old_fleet_serving(aws: LocalAws) -> None:
    """An update whose fleet never gets healthy is rolled back with SageMaker's reason; the next one succeeds."""
    name = create_endpoint(aws, VERSION="1")
    aws.faults.set([Rule(fault="unhealthy", service="endpoint", operation=name)])
    configuration = create_endpoint_config(aws, VERSION="2")
    aws.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=configuration)
    aws.settle()
    aws.faults.set([])
    described = aws.client("sagemaker").describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] == "InService"
    assert "did not pass the ping health check" in described["FailureReason"]
    assert invoke_endpoint(aws, name, "1") == "1:text/csv:1"
    aws.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=configuration)
    aws.settle()
    assert invoke_endpoint(aws, name, "1") == "2:text/csv:1"
