"""A pipeline trains on Spark 3.5 as on one machine, on the AWS emulator.

The environment is `.venv-spark` (`make spark`); the tests fail where it or Java is missing. They need no network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import executions, platform_stack, session
from ml.aws.lake import Lake
from ml.commands.bootstrap import bootstrap
from ml.commands.data_import import import_data
from ml.commands.train import train
from ml.model import artifact
from ml.simulate import stand_in_data, table_files
from tests.harness.git import checkout
from tests.harness.git.repositories import GitWorkspace
from tests.harness.platform import adopted
from tests.harness.platform.job_images import IMAGES
from tests.spark.documents import assert_close

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1_200)]
ROWS, FRAUDS = 300_000, 900
Json = dict[str, Any]


@contextmanager
def signed_in(cloud: LocalAws) -> Iterator[None]:
    """Calls the emulator as a person of the account, whatever test runs."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environment().items():
            patch.setenv(name, value)
        session.renew()
        yield
    session.renew()


@dataclass
class Platform:
    """A bootstrapped account whose lake has transactions, and its repository."""

    cloud: LocalAws
    workspace: GitWorkspace

    @property
    def root(self) -> Path:
        """The repository's folder."""
        return self.workspace.root

    def train(self, engine: str, instances: int) -> Json:
        """Trains with this engine; the documents of the registered model, by name."""
        checkout.set_values(self.root, config.MODEL, {"compute.engine": engine, "compute.instances": instances})
        self.workspace.git("commit", "-aq", "--allow-empty", "-m", f"Train with {engine} on {instances}")
        with signed_in(self.cloud):
            result = train(self.root)
            statuses = {step.name: step.status for step in executions.describe(result.execution_arn).steps}
        assert {*statuses.values()} == {"Succeeded"}
        container = self.cloud.client("sagemaker").describe_model_package(ModelPackageName=result.package_arn)
        uri = container["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        files = artifact.read(self.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()).files
        return {name: json.loads(files[name]) for name in ("model.json", "baseline.json")}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The account and its repository."""
    folder = tmp_path_factory.mktemp("spark")
    workspace = adopted.repository(folder / "repository", "spark-production")
    file = folder / "transactions.parquet"
    table_files.write(file, stand_in_data.draw(ROWS, frauds=FRAUDS, seed=3))
    columns = config.load_settings(workspace.root).training.columns
    with LocalAws(folder / "cloud", images=IMAGES) as cloud:
        with signed_in(cloud):
            bootstrap(workspace.root, repository="acme/fraud", settings_given=())
            lake = Lake(platform_stack.read().bucket)
            import_data(str(file), lake=lake, columns=columns, start=None, quarantine=False)
        yield Platform(cloud, workspace)


@pytest.fixture(scope="module")
def single(platform: Platform) -> Json:
    """What one machine trains."""
    return platform.train("single", 1)


@pytest.fixture(scope="module")
def two(platform: Platform) -> Json:
    """What two executors train."""
    return platform.train("spark", 2)


def without_provenance(documents: Json) -> Json:
    """The documents without commit and digests."""
    return documents | {"model.json": documents["model.json"] | {"provenance": None}}


def test_two_executors_train_the_model_of_one_machine(single: Json, two: Json) -> None:
    """Counts are equal, coefficients to 1e-9: only the rounding of sums differs."""
    assert_close(without_provenance(two), without_provenance(single), 1e-9)
