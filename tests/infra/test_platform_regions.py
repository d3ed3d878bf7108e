"""Two bootstrapped stacks in one account, in regions that are not the default, and a model that serves there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import executions, platform_stack, session
from ml.aws.cloudformation import workflow_roles
from ml.aws.lake import Lake
from ml.commands.approve import approve
from ml.commands.bootstrap import Bootstrapped, bootstrap
from ml.commands.data_import import import_data
from ml.commands.deploy import deploy
from ml.commands.train import train
from ml.simulate import stand_in_data, table_files
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.git.repositories import PERSON, GitWorkspace
from tests.harness.platform import adopted
from tests.harness.platform.stacks import physical

REPOSITORY = "acme/fraud"
STACKS = ("fraudops", "second")
ROWS, FRAUDS = 12_000, 60


@dataclass
class Region:
    """An account that is used in one region, and a repository for each of its stacks."""

    cloud: LocalAws
    repositories: dict[str, GitWorkspace]
    patch: pytest.MonkeyPatch

    def use(self, stack: str) -> Path:
        """Goes on as a person of the account, with the stack; returns its repository's folder."""
        for name in ("AWS_SESSION_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
            self.patch.delenv(name, raising=False)
        for name, value in self.cloud.environment().items():
            self.patch.setenv(name, value)
        self.patch.setenv("FRAUDOPS_STACK", stack)
        return self.repositories[stack].root

    def outputs(self, stack: str) -> dict[str, str]:
        """The outputs of a stack."""
        found = self.cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        return {item["OutputKey"]: item["OutputValue"] for item in found["Outputs"]}

    def bootstrap(self, stack: str) -> Bootstrapped:
        """Creates or updates the platform, with a key of its own, and the roles of the workflows."""
        return bootstrap(self.use(stack), repository=REPOSITORY, settings_given=("Encryption=customer-key",))


@pytest.fixture(params=["ap-southeast-2", "eu-west-1"])
def region(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Region]:
    """An account without stacks."""
    repositories = {stack: adopted.repository(tmp_path / stack, f"{stack}-production") for stack in STACKS}
    with LocalAws(tmp_path / "cloud", region=request.param) as cloud:
        yield Region(cloud, repositories, monkeypatch)
        session.renew()


def test_two_stacks_fit_into_one_account_of_any_region(region: Region) -> None:
    """Names carry the stack's or the endpoint's name, ARNs the region; the second stack collides with nothing.

    Both stacks have roles of their own, and bootstrap of the first one again changes nothing.
    """
    here = region.cloud.region
    one, two = (region.bootstrap(stack) for stack in STACKS)
    assert (one.state, two.state, one.identity, two.identity) == ("created",) * 4
    assert region.bootstrap(STACKS[0]).state == "unchanged"
    first, second = (region.outputs(stack) for stack in STACKS)
    assert not set(first.values()) & set(second.values())
    for made, outputs in ((one, first), (two, second)):
        assert made.variables["FRAUDOPS_REGION"] == made.platform.region == here
        assert outputs["TopicArn"].split(":")[3] == here
        assert outputs["KeyArn"].split(":")[3] == here
    roles = [
        {value for name, value in made.variables.items() if name in workflow_roles.ROLES.values()}
        for made in (one, two)
    ]
    assert [len(each) for each in roles] == [len(workflow_roles.ROLES)] * 2
    assert not roles[0] & roles[1]
    names = {item["DashboardName"] for item in region.cloud.client("cloudwatch").list_dashboards()["DashboardEntries"]}
    assert names == {f"{stack}-{here}" for stack in STACKS}


@pytest.mark.long
@pytest.mark.parametrize("region", ["ap-southeast-2"], indirect=True)
def test_model_is_trained_and_served_outside_the_default_region(region: Region, tmp_path: Path) -> None:
    """The second of two stacks trains with its own role and serves; the region's image is used, and the first stays."""
    here, stack = region.cloud.region, STACKS[1]
    for each in STACKS:
        made = region.bootstrap(each)
    root = region.use(stack)
    file = tmp_path / "transactions.parquet"
    table_files.write(file, stand_in_data.draw(ROWS, frauds=FRAUDS, seed=3))
    columns = config.load_settings(root).training.columns
    import_data(str(file), lake=Lake(platform_stack.read().bucket), columns=columns, start=None, quarantine=False)
    with pytest.MonkeyPatch.context() as workflow:
        WorkflowIdentity(region.cloud).assume(made.variables["FRAUDOPS_ROLE_TRAIN"], workflow)
        result = train(root)
    assert result.package_arn.split(":")[3] == here
    steps = {step.name: step.status for step in executions.describe(result.execution_arn).steps}
    assert set(steps.values()) == {"Succeeded"}
    assert {"Prepare", "Train", "Evaluate", "Register"} <= set(steps)
    approve(root, result.package_arn, merge=True, approver=PERSON)
    assert f".dkr.ecr.{here}." in config.load_approval(root, 1).container.image
    assert deploy(root).state == "created"
    endpoints = region.cloud.client("sagemaker").list_endpoints()["Endpoints"]
    assert [(item["EndpointName"], item["EndpointStatus"]) for item in endpoints] == [
        (f"{stack}-production", "InService")
    ]
    assert f":{here}:" in endpoints[0]["EndpointArn"]
    packages = [
        region.cloud.client("sagemaker").list_model_packages(ModelPackageGroupName=region.outputs(name)["PackageGroup"])
        for name in STACKS
    ]
    assert [len(each["ModelPackageSummaryList"]) for each in packages] == [0, 1]
    assert physical(region.cloud, STACKS[0])  # the first stack still has its resources
