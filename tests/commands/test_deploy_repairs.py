"""A second deployment puts back what was changed by hand, with the real templates and function on the AWS emulator.

Each change is one of those that `fraudops status` leaves to deploy.yml; the deployment is that of an unchanged main.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import autoscaling, deployment_records, registry, s3_objects
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.commands.deploy import deploy
from ml.diagnosis import last_deployment, served_model
from ml.diagnosis.subjects import Subjects
from tests.harness.platform import served
from tests.harness.platform.served import ENDPOINT, ServedPlatform

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedPlatform]:
    """A platform that serves approval 2, and has package 3."""
    folder = tmp_path_factory.mktemp("repairs")
    with LocalAws(folder / "cloud") as cloud, pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environment().items():
            patch.setenv(name, value)
        made = ServedPlatform(workspace=served.repository(folder / "repository"), cloud=cloud)
        assert bootstrap(made.root, repository="acme/fraud").state == "created"
        made.serve(-1.0)
        made.serve(2.0)
        made.register(3.0)
        yield made


@pytest.fixture
def env(shared: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """The platform, in this test's environment."""
    assert shared.cloud is not None
    for name, value in shared.cloud.environment().items():
        monkeypatch.setenv(name, value)
    return shared


def differing(env: ServedPlatform) -> dict[str, str | None]:
    """What puts back each subject that differs from Git."""
    found = served_model.checks(Subjects(env.root, "acme/fraud"))
    return {check.subject: check.remedy for check in found if check.state == "will fail"}


def describe() -> dict[str, Any]:
    """The endpoint."""
    found: dict[str, Any] = client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    return found


def configuration() -> dict[str, Any]:
    """The endpoint's configuration."""
    found: dict[str, Any] = client("sagemaker").describe_endpoint_config(
        EndpointConfigName=describe()["EndpointConfigName"]
    )
    return found


def move(name: str, *, capture: bool = True, **variant: Any) -> None:
    """Moves the endpoint to a configuration made by hand from the present one."""
    sagemaker, found = client("sagemaker"), configuration()
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[found["ProductionVariants"][0] | variant],
        **({"DataCaptureConfig": found["DataCaptureConfig"]} if capture else {}),
    )
    sagemaker.update_endpoint(EndpointName=ENDPOINT, EndpointConfigName=name)
    waiter = sagemaker.get_waiter("endpoint_in_service")
    waiter.wait(EndpointName=ENDPOINT, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})


def other_size(_: ServedPlatform) -> None:
    """Another configuration."""
    move("by-hand-size", InitialInstanceCount=2)


def more_instances(_: ServedPlatform) -> None:
    """Another number of instances, and weight, on the endpoint's own configuration."""
    wanted = {"VariantName": autoscaling.VARIANT, "DesiredInstanceCount": 3, "DesiredWeight": 0.5}
    client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=[wanted]
    )
    (variant,) = describe()["ProductionVariants"]
    assert (variant["DesiredInstanceCount"], variant["CurrentWeight"]) == (3, 0.5)


def no_capture(_: ServedPlatform) -> None:
    """Capture switched off, which is another configuration too."""
    move("by-hand-capture", capture=False)


def other_model(env: ServedPlatform) -> None:
    """The model of the first approval."""
    names = [item["ModelName"] for item in client("sagemaker").list_models()["Models"]]
    (former,) = (name for name in names if "-0001-" in name)
    move("by-hand-model", ModelName=former)
    assert env.answers()["model_version"] == "0001"


def no_endpoint(_: ServedPlatform) -> None:
    """The endpoint deleted."""
    client("sagemaker").delete_endpoint(EndpointName=ENDPOINT)


def no_model(_: ServedPlatform) -> None:
    """The model deleted while the endpoint serves it."""
    client("sagemaker").delete_model(ModelName=describe()["EndpointConfigName"])


def no_configuration(_: ServedPlatform) -> None:
    """The configuration deleted while the endpoint serves it."""
    client("sagemaker").delete_endpoint_config(EndpointConfigName=describe()["EndpointConfigName"])


def rejected(env: ServedPlatform) -> None:
    """The pointer's package rejected."""
    registry.set_status(config.load_approval(env.root, 2).model_package_arn, registry.REJECTED, "by hand")


def second_package(env: ServedPlatform) -> None:
    """Another package approved."""
    registry.set_status(registry.packages(env.where.package_group)[2].arn, registry.APPROVED, "by hand")


def other_order(env: ServedPlatform) -> None:
    """The order rewritten."""
    uri = f"s3://{env.where.bucket}/{deployment_records.DESIRED}"
    order = json.loads(s3_objects.read(uri)) | {"approval": 1}
    s3_objects.write(uri, json.dumps(order).encode(), "application/json")


def scaling(_: ServedPlatform) -> None:
    """Automatic scaling registered."""
    autoscaling.put(ENDPOINT, least=1, most=2, invocations=10)


def archive(env: ServedPlatform) -> None:
    """The archive's copy that serves is replaced."""
    s3, bucket = client("s3"), env.where.bucket
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    sha256 = config.load_approval(env.root, 2).artifact.sha256
    s3_objects.write(f"s3://{bucket}/deploy/artifacts/{sha256}/model.tar.gz", b"another", "application/gzip")
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)


CHANGES: list[tuple[Callable[[ServedPlatform], None], set[str]]] = [
    (other_size, {"endpoint", "variant", "configuration"}),
    (more_instances, {"variant"}),
    (no_capture, {"endpoint", "configuration"}),
    (other_model, {"endpoint", "model"}),
    (no_endpoint, {"endpoint"}),
    (no_model, {"model"}),
    (no_configuration, {"configuration", "model"}),
    (rejected, {"package"}),
    (second_package, {"package"}),
    (other_order, {"order"}),
    (scaling, {"scaling"}),
    (archive, {"archive"}),
]


@pytest.mark.parametrize(("change", "subjects"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_deployment_puts_it_back(
    env: ServedPlatform, change: Callable[[ServedPlatform], None], subjects: set[str]
) -> None:
    """Nothing differs before and after, and in between what deploy.yml puts back; the approved model answers."""
    assert differing(env) == {}
    change(env)
    assert differing(env) == dict.fromkeys(subjects, served_model.DEPLOY)
    assert last_deployment.why_not_again(Subjects(env.root, "acme/fraud")) is None
    deploy(env.root)
    assert differing(env) == {}
    assert env.answers()["model_version"] == "0002"
