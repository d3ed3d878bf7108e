"""The role of deploy-staging.yml, infra/github-staging.yaml: whom it trusts, and what it can do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cfnlint.api import lint  # type: ignore[import-untyped]  # it has no stubs
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

from ml import clock, config
from ml.aws import platform_stack, session, signing_key, variant_capacity
from ml.aws.cloudformation import staging_role
from ml.aws.session import client
from ml.commands.bootstrap import Bootstrapped, bootstrap
from ml.commands.deploy import deploy
from ml.commands.promote import promote
from ml.commands.shadow import shadow
from ml.errors import Refused
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.git.repositories import PERSON
from tests.harness.platform import served, stages
from tests.harness.platform.served import ENDPOINT
from tests.harness.platform.stages import STAGED, Stages

FILE = Path(__file__).resolve().parents[2] / staging_role.TEMPLATE
ROLE: dict[str, Any] = json.loads(json.dumps(cfn_yaml.load(str(FILE))))["Resources"]["StagingRole"]["Properties"]
WRITES = {
    "s3:PutObject",
    "sagemaker:CreateModelPackage",
    "sagemaker:UpdateModelPackage",
    "sagemaker:UpdateEndpointWeightsAndCapacities",
}
CLAIM = "token.actions.githubusercontent.com"


def statements() -> list[dict[str, Any]]:
    """The statements of the role's policy."""
    (policy,) = ROLE["Policies"]
    found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def actions(statement: dict[str, Any]) -> set[str]:
    """The actions of a statement."""
    one = statement["Action"]
    return {one} if isinstance(one, str) else set(one)


def test_template_lints() -> None:
    """cfn-lint has no findings."""
    assert [str(match) for match in lint(FILE.read_text(), regions=["us-east-1", "eu-west-1"])] == []


def test_role_trusts_the_environment_of_staging_alone() -> None:
    """Without environments it is main. The audience is that of AWS."""
    (statement,) = ROLE["AssumeRolePolicyDocument"]["Statement"]
    environment = {"Fn::Sub": "repo:${Repository}:environment:staging"}
    subject = {"Fn::If": ["HasEnvironments", environment, {"Fn::Sub": "repo:${Repository}:ref:refs/heads/main"}]}
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {"StringEquals": {f"{CLAIM}:aud": "sts.amazonaws.com", f"{CLAIM}:sub": subject}}


def test_role_changes_nothing_in_production() -> None:
    """It writes to staging's lake and group and sets the instances of its endpoint; nothing is deleted or signed."""
    for statement in statements():
        named = actions(statement)
        assert not [each for each in named if "*" in each or "Delete" in each]
        assert not named & {"kms:Sign", "sagemaker:UpdateEndpoint", "sagemaker:CreateEndpoint", "iam:PassRole"}
        if named & WRITES:
            resources = statement["Resource"]
            assert all(
                "${Staging" in each["Fn::Sub"] for each in (resources if isinstance(resources, list) else [resources])
            )
        if statement["Resource"] == "*":
            assert all(each.split(":")[1].startswith(("Describe", "List")) for each in named)


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stages]:
    """Production serves approval 1 with a shadow in its roll-out; approval 2 waits for staging."""
    with stages.platform(tmp_path, monkeypatch) as found:
        stages.ask_for_shadow(found)
        found.approve(found.register(-2.0))
        deploy(found.root, staging=True)
        promote(found.root, merge=True, approver=PERSON)
        deploy(found.root)
        found.approve(found.register(-1.0))
        yield found


def let_in(env: Stages, monkeypatch: pytest.MonkeyPatch) -> str:
    """Makes the role as `bootstrap --staging --repository` does, and returns its ARN."""
    with monkeypatch.context() as patch:
        patch.setenv("FRAUDOPS_STACK", platform_stack.staging_stack_name())
        with pytest.raises(Refused, match="make them first"):
            bootstrap(env.root, staging=True, repository="acme/fraud")
    bootstrap(env.root, repository="acme/fraud")
    with monkeypatch.context() as patch:
        patch.setenv("FRAUDOPS_STACK", platform_stack.staging_stack_name())
        made = bootstrap(env.root, staging=True, repository="acme/fraud")
        assert (made.identity, set(made.variables)) == ("created", {staging_role.VARIABLE})
        assert bootstrap(env.root, staging=True, repository="acme/fraud").identity == "unchanged"
        again = bootstrap(env.root, staging=True)
        assert (again.identity, again.variables) == ("unchanged", made.variables)
    return made.variables[staging_role.VARIABLE]


def decided(env: Stages, role: str) -> list[dict[str, Any]]:
    """The emulator's decisions about calls of a role."""
    assert env.cloud is not None
    env.cloud.flush()
    lines = (env.cloud.folder / "logs/decisions.jsonl").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["entity"] == role]


@pytest.mark.slow
def test_later_bootstrap_updates_the_role(env: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a changed template, without naming the repository; whether it trusts an environment is as for production."""
    arn = let_in(env, monkeypatch)
    file = env.root / staging_role.TEMPLATE
    file.write_text(file.read_text("utf-8").replace("MaxSessionDuration: 3600", "MaxSessionDuration: 7200"), "utf-8")
    assert staged_bootstrap(env, monkeypatch).identity == "updated"
    role = client("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]
    assert role["MaxSessionDuration"] == 7200
    assert trusted_subject(arn) == "repo:acme/fraud:environment:staging"
    with pytest.raises(Refused, match="trust environments"):
        staged_bootstrap(env, monkeypatch, repository="acme/fraud", without_environments=True)
    assert bootstrap(env.root, repository="acme/fraud", without_environments=True).identity == "updated"
    assert staged_bootstrap(env, monkeypatch).identity == "updated"
    assert trusted_subject(arn) == "repo:acme/fraud:ref:refs/heads/main"
    assert staged_bootstrap(env, monkeypatch, repository="acme/other").identity == "updated"
    assert trusted_subject(arn) == "repo:acme/other:ref:refs/heads/main"


def staged_bootstrap(env: Stages, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Bootstrapped:
    """`bootstrap --staging`."""
    with monkeypatch.context() as patch:
        patch.setenv("FRAUDOPS_STACK", platform_stack.staging_stack_name())
        return bootstrap(env.root, staging=True, **options)


def trusted_subject(arn: str) -> str:
    """The subject of the OIDC tokens that a role trusts."""
    role = client("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    return str(statement["Condition"]["StringEquals"][f"{CLAIM}:sub"])


@pytest.mark.slow
@pytest.mark.denied_calls("the role tries what it may not do")
def test_role_stages_and_compares_with_every_statement(env: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call is denied, each statement and each action is used; production cannot be changed with it."""
    assert env.cloud is not None
    arn = let_in(env, monkeypatch)
    identity = WorkflowIdentity(env.cloud)
    train = client("cloudformation").describe_stacks(StackName="fraudops-github")["Stacks"][0]["Outputs"]
    with monkeypatch.context() as patch:
        identity.assume(next(each["OutputValue"] for each in train if each["OutputKey"] == "TrainRoleArn"), patch)
        session.renew()
        signature = signing_key.sign(b"statement", key=signing_key.key_arn())
    with monkeypatch.context() as patch:
        identity.assume(arn, patch)
        session.renew()
        assert signing_key.is_signed(b"statement", signature)
        assert deploy(env.root, staging=True).approval == 2
        assert deploy(env.root, staging=True).state == "unchanged"
    session.renew()
    client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=STAGED, DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredWeight": 0.5}]
    )
    with monkeypatch.context() as patch:
        identity.assume(arn, patch)
        session.renew()
        assert deploy(env.root, staging=True).state == "unchanged"
    session.renew()
    found = variant_capacity.read(STAGED)
    assert found is not None
    assert found.weight == variant_capacity.WEIGHT
    send(env)
    later = clock.now() + stages.SHADOW_TIME
    with monkeypatch.context() as patch:
        identity.assume(arn, patch)
        session.renew()
        patch.setenv("FRAUDOPS_NOW", later.isoformat())
        assert shadow(env.root).rows == 20
        assert shadow(env.root).rows == 20
        assert promote(env.root).approval == 2
        lines = decided(env, arn)
        assert [line["action"] for line in lines if line["decision"] != "allowed"] == []
        used = {(sid, line["action"]) for line in lines for _, sid in line["statements"]}
        wanted = {(statement["Sid"], action) for statement in statements() for action in actions(statement)}
        assert wanted - used == set()
        bucket = platform_stack.read().bucket
        refused: tuple[Callable[[], Any], ...] = (
            lambda: client("s3").put_object(Bucket=bucket, Key="deploy/desired.json", Body=b"{}"),
            lambda: client("s3").get_object(Bucket=bucket, Key="deploy/desired.json"),
            lambda: client("sagemaker-runtime").invoke_endpoint(EndpointName=ENDPOINT, Body=b"0,1,1"),
            lambda: client("sagemaker").update_model_package(
                ModelPackageArn=config.load_approval(env.root, 2).model_package_arn, ModelApprovalStatus="Approved"
            ),
        )
        for call in refused:
            with pytest.raises(ClientError, match="AccessDenied"):
                call()


def send(env: Stages) -> None:
    """Sends rows to production, whose answers are captured; staging serves too."""
    assert env.cloud is not None
    rows = served.transactions(3, 20)
    client("sagemaker-runtime").invoke_endpoint(
        EndpointName=ENDPOINT,
        ContentType="text/csv; header=absent",
        Accept="application/json",
        InferenceId="r-1",
        Body="\n".join(",".join(map(repr, row)) for row in rows.tolist()).encode(),
    )
    assert env.versions(STAGED) == "0002"
    env.cloud.flush()
