"""Reads the platform stack's outputs (bucket, roles, functions) and the caller's identity. Changes nothing.

The stack's outputs are the only source of these names, so that no configuration file repeats them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from ml.aws import session
from ml.errors import CloudError, ConfigError, Refused

_ROOT = re.compile(r"^arn:aws[a-z-]*:iam::\d{12}:root$")
_USABLE = re.compile(r"^(CREATE|UPDATE|UPDATE_ROLLBACK|IMPORT|IMPORT_ROLLBACK)_COMPLETE(_CLEANUP_IN_PROGRESS)?$")
_OUTPUTS = {
    "bucket": "Bucket",
    "execution_role_arn": "ExecutionRoleArn",
    "package_group": "PackageGroup",
    "deploy_function": "DeployFunction",
    "topic_arn": "TopicArn",
}
_KEY = "KeyArn"  # an output of a stack with a key of its own only
_COUNTING_ROLE = "CountingRoleArn"  # stacks from before drift checks on Spark lack it
_STAGING_PREFIX = "staging-"
_NAME = re.compile(r"[a-z](-?[a-z0-9])*")
_MAX_NAME_CHARS = 30


@dataclass(frozen=True, kw_only=True)
class Platform:
    """The outputs of the platform stack, its region and its account, and what is named after the stack."""

    region: str
    account: str
    bucket: str
    execution_role_arn: str
    package_group: str
    deploy_function: str
    topic_arn: str
    pipeline: str
    """The name of the training pipeline."""
    counting_role_arn: str | None = None
    """The role of the jobs that count for drift checks; None if the stack is older than these."""
    key_arn: str | None = None
    """The KMS key of the stack; None if keys of AWS encrypt."""


def stack_name() -> str:
    """The name of the platform stack: FRAUDOPS_STACK, or `fraudops`.

    Raises:
        ConfigError: resources named after it would be refused. IAM compares names in ARNs by case and SageMaker writes
            them in lower case; a bucket's name has at most 63 characters, of which account and region take 33.
    """
    name = os.environ.get("FRAUDOPS_STACK") or "fraudops"
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME_CHARS:
        raise ConfigError(
            f"FRAUDOPS_STACK must be 1 to {_MAX_NAME_CHARS} lower-case letters, digits and single dashes, the first a "
            f"letter (got {name!r})"
        )
    return name


def staging_stack_name() -> str:
    """The name of the stack of staging, `staging-` and the name of the platform stack.

    As a prefix, because names that begin with a platform's name and a dash belong to that platform.

    Raises:
        ConfigError: the platform's name is too long to have a staging, or is that of one.
    """
    name = stack_name()
    if is_staging(name) or len(_STAGING_PREFIX + name) > _MAX_NAME_CHARS:
        raise ConfigError(
            f"FRAUDOPS_STACK must be the name of production's stack, with at most "
            f"{_MAX_NAME_CHARS - len(_STAGING_PREFIX)} characters, as the stack of staging is named "
            f"{_STAGING_PREFIX}NAME (got {name!r})"
        )
    return _STAGING_PREFIX + name


def is_staging(name: str) -> bool:
    """Whether `name` is that of a stack of staging."""
    return name.startswith(_STAGING_PREFIX)


def production_of(name: str) -> str:
    """The name of the platform stack that the stack of staging `name` belongs to."""
    return name.removeprefix(_STAGING_PREFIX)


def pipeline_name() -> str:
    """The name of the stack's training pipeline, which infra/ grants the workflows' roles."""
    return f"{stack_name()}-training"


def reproduction_pipeline_name() -> str:
    """The name of the pipeline that trains an approval again and registers nothing."""
    return f"{stack_name()}-reproduction"


def read(stack_of: str | None = None) -> Platform:
    """The platform in the account and region of this environment, by its stack: FRAUDOPS_STACK, or `stack_of`.

    Raises:
        CloudError: there is no such stack, it is not settled, or it lacks an output.
    """
    name = stack_of or stack_name()
    stack = describe_stack(name)
    if stack is None:
        raise CloudError(f"there is no stack {name} in this account and region; create it with `fraudops bootstrap`")
    if not is_usable(stack["StackStatus"]):
        reason = stack.get("StackStatusReason", "no reason given")
        raise CloudError(f"stack {name} is {stack['StackStatus']} ({reason}); wait for it, or run `fraudops bootstrap`")
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}
    missing = sorted(set(_OUTPUTS.values()) - set(outputs))
    if missing:
        raise CloudError(f"stack {name} lacks the outputs {', '.join(missing)}; update it with `fraudops bootstrap`")
    # arn:aws:cloudformation:REGION:ACCOUNT:stack/NAME/ID
    region, account = stack["StackId"].split(":")[3:5]
    return Platform(
        region=region,
        account=account,
        pipeline=f"{name}-training",
        key_arn=outputs.get(_KEY),
        counting_role_arn=outputs.get(_COUNTING_ROLE),
        **{field: outputs[key] for field, key in _OUTPUTS.items()},
    )


def is_usable(status: str) -> bool:
    """Whether a stack with this status has all its resources."""
    return bool(_USABLE.match(status))


def is_root(arn: str) -> bool:
    """Whether an ARN is the account's root user, which no policy can restrict."""
    return bool(_ROOT.match(arn))


def endpoint_name(stack_of: str | None = None) -> str:
    """The one endpoint that the platform stack, or the stack `stack_of`, lets its deploy function change."""
    name = stack_of or stack_name()
    stack = describe_stack(name)
    given = {item["ParameterKey"]: item["ParameterValue"] for item in (stack or {}).get("Parameters", [])}
    if "EndpointName" not in given:
        raise CloudError(f"stack {name} names no endpoint; update it with `fraudops bootstrap`")
    return str(given["EndpointName"])


def describe_stack(name: str) -> dict[str, Any] | None:
    """CloudFormation's description of the stack `name`; None if there is none."""
    from botocore.exceptions import ClientError

    cloudformation = session.client("cloudformation")
    with session.explained(f"reading the stack {name}"):
        try:
            stacks: list[dict[str, Any]] = cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            # CloudFormation has no error code for "no such stack".
            if session.code(error) == "ValidationError" and "does not exist" in str(error):
                return None
            raise
    return stacks[0] if stacks else None


def caller() -> str:
    """The caller's ARN, from STS."""
    with session.explained("reading the caller's identity from STS"):
        return str(session.client("sts").get_caller_identity()["Arn"])


def refuse_root() -> None:
    """Refuses the account's root user; every verb that changes AWS calls it first.

    Raises:
        Refused: the caller is `arn:aws:iam::ACCOUNT:root`, which no policy can restrict.
    """
    arn = caller()
    if is_root(arn):
        raise Refused(
            f"{arn} is the account's root user, which no policy can restrict; nothing was changed. "
            "Use a role (the workflows' OIDC roles, or one of your own)"
        )
