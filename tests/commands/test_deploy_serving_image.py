"""A deployment on the serving image: the AWS emulator runs the command of the image's Dockerfile for the endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.commands.deploy import deploy
from tests.harness.platform import served
from tests.harness.platform.job_images import IMAGES
from tests.harness.platform.served import ENDPOINT, ServedPlatform

pytestmark = pytest.mark.slow
IMAGE = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/fraudops-serving@sha256:{'a' * 64}"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPlatform]:
    """A repository, and the platform on an AWS emulator that knows the image's Dockerfile."""
    workspace = served.repository(tmp_path / "repository")
    with LocalAws(tmp_path / "cloud", images=IMAGES) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        assert bootstrap(workspace.root).state == "created"
        yield ServedPlatform(workspace=workspace, cloud=cloud)


def test_endpoint_moves_to_the_serving_image_and_back(env: ServedPlatform) -> None:
    """The approval stays, answers are equal to the byte, and the smoke test passes on both."""
    env.serve(-1.0)
    before, managed = env.answers(), env.workspace.text(config.SERVING)
    env.workspace.write({config.SERVING: f"{managed}image: {IMAGE}\n"}, "Serve with the serving image")
    moved = deploy(env.root)
    assert (moved.state, moved.approval, moved.smoke is not None) == ("updated", 1, True)
    assert env.answers() == before
    assert serving_image() == IMAGE
    assert deploy(env.root).state == "unchanged"
    env.workspace.write({config.SERVING: managed}, "Serve with the managed image")
    assert deploy(env.root).state == "updated"
    assert env.answers() == before
    assert serving_image() == served.IMAGE


def serving_image() -> str:
    """The image of the endpoint's model."""
    sagemaker = client("sagemaker")
    name = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
    image: str = sagemaker.describe_model(ModelName=variants[0]["ModelName"])["PrimaryContainer"]["Image"]
    return image
