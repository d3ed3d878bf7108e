"""Automatic scaling of the endpoint, with the real templates and function on the AWS emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import autoscaling, deployment_records, serving_removal, session
from ml.aws.autoscaling import Scaling
from ml.aws.session import client
from ml.commands.bootstrap import bootstrap
from ml.commands.deploy import deploy
from ml.diagnosis import served_model
from ml.diagnosis.subjects import Subjects
from ml.errors import CloudError, DeploymentFailed
from ml.release import rollout
from tests.harness.aws.workflow_identity import WorkflowIdentity
from tests.harness.platform import served
from tests.harness.platform.served import ENDPOINT, ServedPlatform

pytestmark = pytest.mark.slow

SETTINGS = "autoscaling: {min: 2, max: 4, invocations_per_instance: 600}"
RESOURCE = {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{ENDPOINT}/variant/{autoscaling.VARIANT}"}
DIMENSION = "sagemaker:variant:DesiredInstanceCount"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedPlatform]:
    """A platform whose repository asks for two to four instances; the first model serves."""
    workspace = served.repository(tmp_path / "repository")
    serving = workspace.text(config.SERVING).replace("count: 1}", f"count: 2}}\n{SETTINGS}")
    workspace.write({config.SERVING: serving}, "Scale from two to four instances")
    with LocalAws(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        assert bootstrap(workspace.root, repository="acme/fraud").state == "created"
        made = ServedPlatform(workspace=workspace, cloud=cloud)
        made.serve(-1.0)
        yield made


def edit(env: ServedPlatform, old: str, new: str) -> None:
    """Commits a change of the serving file."""
    text = env.workspace.text(config.SERVING)
    assert old in text
    env.workspace.write({config.SERVING: text.replace(old, new)}, "Change the serving file")


def instances() -> int:
    """The instances that serve."""
    (variant,) = client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)["ProductionVariants"]
    return int(variant["DesiredInstanceCount"])


def scale_to(count: int) -> None:
    """What Application Auto Scaling does under load: more instances, within the bounds that are registered then."""
    scaling, found = client("application-autoscaling"), autoscaling.read(ENDPOINT)
    assert found is not None
    named = {**RESOURCE, "ScalableDimension": DIMENSION}
    scaling.register_scalable_target(**named, MinCapacity=count, MaxCapacity=found.most)
    scaling.register_scalable_target(**named, MinCapacity=found.least)
    assert instances() == count


def differing(env: ServedPlatform) -> dict[str, str]:
    """The subjects of what serves that differ from Git, with the reason."""
    found = served_model.checks(Subjects(env.root, "acme/fraud"))
    return {check.subject: check.detail for check in found if check.state != "ok"}


def test_endpoint_scales_as_git_says(env: ServedPlatform) -> None:
    """The first deployment registers it; another bound is a deployment that does not touch the fleet."""
    wanted = Scaling(least=2, most=4, policies={autoscaling.POLICY: 600.0})
    assert autoscaling.read(ENDPOINT) == wanted
    assert (instances(), differing(env)) == (2, {})
    edit(env, "max: 4, invocations_per_instance: 600", "max: 6, invocations_per_instance: 900")
    assert set(differing(env)) == {"order", "scaling"}
    assert deploy(env.root).state == "unchanged"
    assert autoscaling.read(ENDPOINT) == Scaling(least=2, most=6, policies={autoscaling.POLICY: 900.0})
    assert differing(env) == {}


def test_scaled_count_survives_a_deployment_and_is_no_difference(env: ServedPlatform) -> None:
    """Another model serves on as many instances as the former did, and status says nothing of the number."""
    scale_to(4)
    assert differing(env) == {}
    assert env.serve(-2.0).state == "updated"
    assert instances() == 4
    assert differing(env) == {}


def test_removed_key_removes_the_scaling_and_the_count(env: ServedPlatform) -> None:
    """The endpoint has instance.count again, and nothing scales it."""
    scale_to(4)
    edit(env, f"\n{SETTINGS}", "")
    assert "scales from 2 to 4 instances, and Git says no autoscaling" in differing(env)["scaling"]
    assert deploy(env.root).state == "updated"
    assert autoscaling.read(ENDPOINT) is None
    assert (instances(), differing(env)) == (2, {})


def test_instance_type_changes_without_its_scaling(env: ServedPlatform) -> None:
    """AWS refuses the update of a registered variant: it is deregistered before and registered after."""
    edit(env, "ml.m5.large", "ml.m5.xlarge")
    assert deploy(env.root).state == "updated"
    assert autoscaling.read(ENDPOINT) == Scaling(least=2, most=4, policies={autoscaling.POLICY: 600.0})
    assert differing(env) == {}


def test_failed_deployment_leaves_the_former_scaling(env: ServedPlatform) -> None:
    """The former model serves on its instance type, and scales as before."""
    edit(env, "ml.m5.large", "ml.m5.xlarge")
    edit(env, "max: 4", "max: 8")
    env.approve(env.register(-2.0, broken_code=True))
    with pytest.raises(DeploymentFailed):
        deploy(env.root)
    assert autoscaling.read(ENDPOINT) == Scaling(least=2, most=4, policies={autoscaling.POLICY: 600.0})


def test_any_error_leaves_the_former_scaling(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS cannot be reached in the middle of the update: the error is that one, and the endpoint scales as before."""
    edit(env, "ml.m5.large", "ml.m5.xlarge")

    def unreachable(*_: object) -> None:
        assert autoscaling.read(ENDPOINT) is None
        raise CloudError("AWS cannot be reached")

    monkeypatch.setattr(rollout, "wait", unreachable)
    with pytest.raises(CloudError, match="AWS cannot be reached"):
        deploy(env.root)
    assert autoscaling.read(ENDPOINT) == Scaling(least=2, most=4, policies={autoscaling.POLICY: 600.0})


def test_refused_scaling_does_not_hide_why_the_deployment_failed(
    env: ServedPlatform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The failure is raised and recorded; an annotation says that the endpoint does not scale."""
    edit(env, "ml.m5.large", "ml.m5.xlarge")
    env.approve(env.register(-2.0, broken_code=True))
    monkeypatch.setattr(autoscaling, "put", _refused)
    with pytest.raises(DeploymentFailed, match="was not deployed"):
        deploy(env.root)
    assert "has no automatic scaling now: no rights" in "".join(capsys.readouterr())
    assert deployment_records.history(env.where.bucket)[-1].status == "failed"


def test_deployment_without_its_scaling_has_failed(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model serves, and the history does not call the deployment a success."""
    edit(env, "max: 4", "max: 8")
    with monkeypatch.context() as refusing:
        refusing.setattr(autoscaling, "put", _refused)
        with pytest.raises(DeploymentFailed, match="its automatic scaling was not registered: no rights"):
            deploy(env.root)
    assert deployment_records.history(env.where.bucket)[-1].status == "failed"
    deploy(env.root)
    assert deployment_records.history(env.where.bucket)[-1].status == "succeeded"


def _refused(*_: object, **__: object) -> None:
    raise CloudError("no rights")


def test_scaling_by_hand_is_named_and_put_back(env: ServedPlatform) -> None:
    """A count outside the bounds, another bound, another policy and no target: each is a difference until deploy."""
    named, scaling = {**RESOURCE, "ScalableDimension": DIMENSION}, client("application-autoscaling")
    scaling.register_scalable_target(**named, MinCapacity=1, MaxCapacity=9)
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    scaling.put_scaling_policy(
        **named,
        PolicyName="by-hand",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={"TargetValue": 5, "PredefinedMetricSpecification": metric},
    )
    assert "has min 1, and Git says 2; max 9, and Git says 4; policies" in differing(env)["scaling"]
    deploy(env.root)
    assert differing(env) == {}
    scaling.register_scalable_target(**named, MinCapacity=5, MaxCapacity=9)
    assert "has 5 instances, and Git says 2 to 4" in differing(env)["variant"]
    deploy(env.root)
    assert (instances(), differing(env)) == (4, {})
    scaling.deregister_scalable_target(**named)
    assert set(differing(env)) == {"scaling"}


def test_teardown_removes_the_scaling(env: ServedPlatform) -> None:
    """Before the endpoint: a caller who may not deregister it could not delete it."""
    serving_removal.remove(serving_removal.find(ENDPOINT))
    assert (
        client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        == []
    )
    alarms = client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"]
    assert alarms == []


def test_deploy_role_may_scale_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """deploy.yml registers, changes and removes the scaling with its role, in an account without the linked role."""
    workspace = served.repository(tmp_path / "repository")
    with LocalAws(tmp_path / "cloud") as cloud:
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        role = bootstrap(workspace.root, repository="acme/fraud").variables["FRAUDOPS_ROLE_DEPLOY"]
        env = ServedPlatform(workspace=workspace, cloud=cloud)
        env.serve(-1.0)
        edit(env, "count: 1}", f"count: 2}}\n{SETTINGS}")
        WorkflowIdentity(cloud).assume(role, monkeypatch)
        session.renew()
        assert deploy(env.root).state == "updated"
        by_hand = cloud.client("application-autoscaling")
        metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        by_hand.put_scaling_policy(
            **RESOURCE,
            ScalableDimension=DIMENSION,
            PolicyName="by-hand",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={"TargetValue": 5, "PredefinedMetricSpecification": metric},
        )
        edit(env, "max: 4", "max: 6")
        assert deploy(env.root).state == "unchanged"
        edit(env, f"\n{SETTINGS.replace('max: 4', 'max: 6')}", "")
        assert deploy(env.root).state == "updated"
        cloud.flush()
        lines = map(json.loads, (cloud.folder / "logs/decisions.jsonl").read_text("utf-8").splitlines())
        decided = [line for line in lines if line["entity"] == role]
        assert [line["action"] for line in decided if line["decision"] != "allowed"] == []
        used = {sid for line in decided for _, sid in line["statements"]}
        assert {"ChangeScalingAlarms", "CreateScalingRole", "RegisterScaling"} <= used
