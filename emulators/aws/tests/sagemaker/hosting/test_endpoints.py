"""Endpoints that are real servers: created, asked, updated blue/green, broken, deleted."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import psutil
import pytest
from aws_resources import IMAGE, ROLE, archive, ask, configuration, endpoint, settle, status, unique, until
from botocore.exceptions import ClientError
from local_aws.server import LocalCloud


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    """AWS's code of an error."""
    text: str = error.value.response["Error"]["Code"]
    return text


def test_an_endpoint_answers_with_what_its_model_says(cloud: LocalCloud) -> None:
    """Body, content type, Accept and the variant go through InvokeEndpoint and back."""
    name = endpoint(cloud, VERSION="7")
    answer = cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, Body=b"1,2", ContentType="text/csv", Accept="application/json", InferenceId="a"
    )
    assert answer["Body"].read() == b"7:text/csv:1,2"
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/json", "AllTraffic")
    described = cloud.client("sagemaker").describe_endpoint(EndpointName=name)
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    listed = cloud.client("sagemaker").list_endpoints(StatusEquals="InService", NameContains=name)["Endpoints"]
    assert [item["EndpointName"] for item in listed] == [name]


def test_what_the_container_refuses_is_a_model_error(cloud: LocalCloud) -> None:
    """A 4xx or 5xx of the container is a ModelError with its status and its message; the server lives on."""
    name = endpoint(cloud)
    for body, expected, message in ((b"bad", 400, "no such row"), (b"broken", 500, "the model broke")):
        with pytest.raises(ClientError) as caught:
            ask(cloud, name, body)
        response: dict[str, Any] = caught.value.response  # type: ignore[assignment] # its stub knows no modelled members
        assert code_of(caught) == "ModelError"
        assert response["OriginalStatusCode"] == expected
        assert message in response["OriginalMessage"]
    assert ask(cloud, name, "1") == "none:text/csv:1"


def test_a_call_that_cannot_be_meant_is_refused(cloud: LocalCloud) -> None:
    """No such endpoint, no such variant and a body beyond 6 MB are errors of the caller."""
    name = endpoint(cloud)
    with pytest.raises(ClientError, match="not found"):
        ask(cloud, "nobody", b"1")
    with pytest.raises(ClientError, match="Variant Other"):
        ask(cloud, name, b"1", TargetVariant="Other")
    with pytest.raises(ClientError) as caught:
        ask(cloud, name, b"1" * (6 * 1024 * 1024 + 1))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert len(ask(cloud, name, b"1" * (6 * 1024 * 1024 - 100))) > 6_000_000


def test_an_endpoint_that_cannot_start_has_failed_and_can_only_be_deleted(cloud: LocalCloud) -> None:
    """Its reason has the server's last words; an update is refused, a deletion is not."""
    sagemaker, name = cloud.client("sagemaker"), unique("endpoint")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=configuration(cloud, BREAK="1"))
    assert settle(cloud, name) == "Failed"
    reason = sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]
    assert "did not pass the ping health check" in reason
    assert "this model does not load" in reason
    with pytest.raises(ClientError, match="failed endpoint"):
        sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=configuration(cloud))
    sagemaker.delete_endpoint(EndpointName=name)
    with pytest.raises(ClientError, match="Could not find endpoint"):
        status(cloud, name)


def test_a_model_that_is_not_there_or_would_escape_fails_with_its_reason(cloud: LocalCloud) -> None:
    """An absent object and an archive that climbs out of its folder are said as such."""
    sagemaker = cloud.client("sagemaker")
    evil = configuration(cloud, data=archive({"../../escaped": "x"}))
    gone = configuration(cloud)
    cloud.client("s3").delete_object(Bucket="models", Key=f"{gone}.tar.gz")
    for config, reason in ((evil, "Failed to extract model data"), (gone, "Failed to download model data")):
        name = unique("endpoint")
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        assert settle(cloud, name) == "Failed"
        assert reason in sagemaker.describe_endpoint(EndpointName=name)["FailureReason"]


def test_an_update_moves_the_traffic_without_losing_a_request(cloud: LocalCloud) -> None:
    """While one fleet replaces the other every request is answered, by the old one or the new; then the old is gone."""
    name = endpoint(cloud, VERSION="old")
    answers: list[str] = []
    stop = threading.Event()

    def traffic() -> None:
        while not stop.is_set():
            answers.append(ask(cloud, name, "sleep 0.02"))

    callers = [threading.Thread(target=traffic) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        coming = configuration(cloud, VERSION="new")
        cloud.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=coming)
        described = cloud.client("sagemaker").describe_endpoint(EndpointName=name)
        assert described["PendingDeploymentSummary"]["EndpointConfigName"] == coming
        assert described["EndpointConfigName"] != coming
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            cloud.client("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=configuration(cloud))
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            cloud.client("sagemaker").delete_endpoint(EndpointName=name)
        assert settle(cloud, name) == "InService"
        assert "PendingDeploymentSummary" not in cloud.client("sagemaker").describe_endpoint(EndpointName=name)
        until(lambda: answers[-1].startswith("new"))
    finally:
        stop.set()
        for caller in callers:
            caller.join()
    versions = [answer.split(":")[0] for answer in answers]
    assert set(versions) == {"old", "new"}
    until(lambda: len(servers(cloud, name)) == 1)


def test_an_update_that_fails_leaves_the_old_fleet_serving(cloud: LocalCloud) -> None:
    """The endpoint is InService again, with its former configuration and a reason."""
    first = configuration(cloud, VERSION="good")
    sagemaker, name = cloud.client("sagemaker"), unique("endpoint")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=first)
    assert settle(cloud, name) == "InService"
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=configuration(cloud, BREAK="1"))
    assert settle(cloud, name) == "InService"
    described = sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointConfigName"] == first
    assert "did not pass the ping health check" in described["FailureReason"]
    assert ask(cloud, name, "1").startswith("good:")
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=configuration(cloud, VERSION="better"))
    assert settle(cloud, name) == "InService"
    assert "FailureReason" not in sagemaker.describe_endpoint(EndpointName=name)


def test_a_server_that_dies_is_started_again_once(cloud: LocalCloud) -> None:
    """After its first death it answers again; after the second the endpoint is OutOfService and says why."""
    name = endpoint(cloud)
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            ask(cloud, name, "die")
        assert code_of(caught) == "ModelError"
        if status(cloud, name) == "InService":
            until(lambda: answers(cloud, name) or status(cloud, name) == "OutOfService")
    until(lambda: status(cloud, name) == "OutOfService")
    assert "died twice" in cloud.client("sagemaker").describe_endpoint(EndpointName=name)["FailureReason"]


def test_a_package_can_be_served_and_its_environment_amended(cloud: LocalCloud) -> None:
    """A model made from a model package runs the package's container, with the model's own variables on top."""
    sagemaker, name = cloud.client("sagemaker"), unique("packaged")
    config = configuration(cloud)
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
    assert settle(cloud, name) == "InService"
    assert ask(cloud, name, "1", TargetVariant="One") == "packed:text/csv:1"


def answers(cloud: LocalCloud, name: str) -> bool:
    """Whether the endpoint answers."""
    try:
        return bool(ask(cloud, name, "1"))
    except ClientError:
        return False


def servers(cloud: LocalCloud, name: str) -> list[psutil.Process]:
    """The endpoint's server processes; one that ends while it is looked at is none."""
    mark, found = f"{cloud.folder}/endpoints/{name}/", []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(mark in part for part in process.cmdline()):
                found.append(process)
    return found
