"""`fraudops pipeline definition`: prints the pipeline definition that `fraudops train` would upload to SageMaker."""

from __future__ import annotations

from pathlib import Path

from ml import config, console
from ml.aws import platform_stack, session
from ml.aws.pipeline import definition as pipeline

_ACCOUNT_OF_NOBODY = "000000000000"
_ANY_REGION = "us-east-1"  # a placeholder that has the jobs' image


def definition(
    root: Path,
    *,
    bucket: str | None = None,
    role: str | None = None,
    group: str | None = None,
    region: str | None = None,
) -> str:
    """The pipeline's definition for the working tree at `root`, as JSON; equal inputs give equal bytes.

    Without `bucket`, `role`, `group` and `region` it is the definition for the platform stack, which is read from AWS.
    With any of them AWS is not called: a missing region is that of AWS_REGION, and the other missing values become
    placeholders, which a note on standard error lists, as is the region if AWS_REGION is not set. A definition can so
    be inspected without an account or a network.

    Raises:
        ConfigError: model-config/training/model.yaml is invalid, or SageMaker has no image in the region.
        CloudError: there is no platform stack, or AWS cannot be reached.
    """
    training = config.load_model(root)
    if bucket is role is group is region is None:
        return pipeline.definition(platform_stack.read(), training)
    region = region or session.region()
    where = _unseen(bucket, role, group, region)
    text = pipeline.definition(where, training)
    given = {"bucket": bucket, "role": role, "group": group, "region": region}
    used = {
        "bucket": where.bucket,
        "role": where.execution_role_arn,
        "group": where.package_group,
        "region": where.region,
    }
    made_up = [f"--{name} {used[name]}" for name, value in given.items() if not value]
    if made_up:
        console.note(f"placeholders for values that were not given: {', '.join(made_up)}")
    return text


def _unseen(bucket: str | None, role: str | None, group: str | None, region: str | None) -> platform_stack.Platform:
    name = platform_stack.stack_name()
    return platform_stack.Platform(
        region=region or _ANY_REGION,
        account=_ACCOUNT_OF_NOBODY,
        bucket=bucket or f"{name}-lake",
        execution_role_arn=role or f"arn:aws:iam::{_ACCOUNT_OF_NOBODY}:role/{name}-execution",
        package_group=group or f"{name}-model",
        deploy_function="",
        topic_arn="",
        pipeline=platform_stack.pipeline_name(),
    )
