"""A platform with a stack for each stage, staging and production, on an AWS emulator; not a test itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import platform_stack, registry, s3_objects
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.gitops import serving_pointer
from tests.harness.platform import served
from tests.harness.platform.served import ENDPOINT, ServedPlatform

STAGED = "fraudops-staging"
SHADOW = "rollout: {traffic: shadow, shadow: {hours: 1, max_rows: 100000}, "
SHADOW_TIME = timedelta(hours=2)
"""Longer than the shadow's hours."""


@dataclass
class Stages(ServedPlatform):
    """The platform with a stack of staging."""

    @property
    def staging(self) -> platform_stack.Platform:
        """The outputs of staging's stack."""
        return platform_stack.read(platform_stack.staging_stack_name())

    def pointers(self) -> tuple[int | None, int | None]:
        """The approvals that staging and production name on main."""
        staging, production = (
            serving_pointer.read(self.workspace.repository, "main", file).approval
            for file in (config.STAGING, config.SERVING)
        )
        return staging, production

    def versions(self, endpoint: str) -> str:
        """The model version that `endpoint` answers with."""
        answer = client("sagemaker-runtime").invoke_endpoint(
            EndpointName=endpoint, ContentType="text/csv", Accept="application/json", Body=b"0,1,1"
        )
        return str(json.loads(answer["Body"].read())["predictions"][0]["model_version"])

    def approved(self) -> tuple[list[str], list[str]]:
        """The digests of the Approved packages in each group, staging's first."""
        staging, production = (
            [package.artifact_sha256 for package in registry.packages(group, status=registry.APPROVED)]
            for group in (self.staging.package_group, self.where.package_group)
        )
        return staging, production

    def digest_served(self, endpoint: str) -> str:
        """The sha256 of the archive that `endpoint` has loaded."""
        sagemaker = client("sagemaker")
        name = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
        model = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
        return hashlib.sha256(s3_objects.read(model["ModelDataUrl"])).hexdigest()


@contextmanager
def platform(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    """A repository with serving/staging.yaml below `folder`, and a stack for each stage; nothing is approved."""
    workspace = served.repository(folder / "repository")
    text = workspace.text(config.SERVING).replace(ENDPOINT, STAGED)
    workspace.write({config.STAGING: text}, "Add staging")
    with LocalAws(folder / "cloud", double_every=0) as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        assert bootstrap(workspace.root).state == "created"
        with monkeypatch.context() as patch:
            patch.setenv("FRAUDOPS_STACK", platform_stack.staging_stack_name())
            assert bootstrap(workspace.root, staging=True).state == "created"
        yield Stages(workspace=workspace, cloud=cloud)


def ask_for_shadow(env: Stages) -> None:
    """Commits a shadow of an hour in production's roll-out."""
    text = env.workspace.text(config.SERVING).replace("traffic: all_at_once, ", "").replace("rollout: {", SHADOW)
    env.workspace.write({config.SERVING: text}, "Ask for a shadow")
