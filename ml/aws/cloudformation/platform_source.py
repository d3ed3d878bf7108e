"""Reads the platform's templates, parameters and Lambda archive from a checkout. Uploads and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml import config
from ml.aws import platform_stack, session
from ml.aws.cloudformation import stack
from ml.errors import ConfigError, UsageError

TEMPLATE = Path("infra/platform.yaml")
IDENTITY = Path("infra/github-oidc.yaml")
FUNCTION = Path("infra/deploy_model")
SETTINGS = (
    "AccessLogDays",
    "CaptureRetentionDays",
    "Encryption",
    "EndpointLogGroup",
    "InfrequentAccessDays",
    "JobLogGroups",
    "LatencyAlarmMicroseconds",
    "LogRetentionDays",
    "MonitoringRetentionDays",
    "ReplacedVersionDays",
)
"""The parameters of TEMPLATE that a person may set and that nothing else determines."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """The sources of the platform's stack, read from a checkout; nothing has been uploaded."""

    template: str
    parameters: dict[str, str]
    archive: bytes
    code_bucket: str
    code_key: str


def source(root: Path, *, staging: bool = False) -> Source:
    """The platform's template, its parameters and the deploy function's archive, from the checkout at `root`.

    With `staging` the endpoint is that of serving/staging.yaml.
    """
    serving = config.read(root, config.STAGING if staging else config.SERVING, config.ServingFile)
    template, folder = root / TEMPLATE, root / FUNCTION
    if not template.is_file() or not folder.is_dir():
        raise ConfigError(
            f"{TEMPLATE} and {FUNCTION}/ must be below {root}; run from the repository's root or give --repo"
        )
    archive = stack.archive(folder, FUNCTION.name)
    bucket, key = code_bucket(platform_stack.stack_name()), stack.key_of(FUNCTION.name, archive)
    return Source(
        template=template.read_text(encoding="utf-8"),
        parameters={"CodeBucket": bucket, "CodeKey": key, "EndpointName": serving.endpoint},
        archive=archive,
        code_bucket=bucket,
        code_key=key,
    )


def settings(given: Sequence[str]) -> dict[str, str]:
    """The settings in `given`, each as NAME=VALUE, by name.

    Raises:
        UsageError: one has another form, or a name that is not in SETTINGS.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in SETTINGS:
            raise UsageError(
                f"a setting of {TEMPLATE} must be NAME=VALUE with one of {', '.join(SETTINGS)} (got {text!r})"
            )
        found[name] = value
    return found


def identity_template(root: Path) -> str:
    """The template of the workflows' roles, from the checkout at `root`."""
    file = root / IDENTITY
    if not file.is_file():
        raise ConfigError(f"{IDENTITY} must be below {root}; run from the repository's root or give --repo")
    return file.read_text(encoding="utf-8")


def code_bucket(stack_name: str) -> str:
    """An account-specific bucket name: the function's code must exist before the stack creates its own bucket."""
    account = platform_stack.caller().split(":")[4]
    return f"{stack_name.lower()}-code-{account}-{session.client('s3').meta.region_name}"


def identity_parameters(where: platform_stack.Platform, made: Source) -> dict[str, str]:
    """The parameters of the roles' template that come from the platform."""
    return {
        "PlatformStack": platform_stack.stack_name(),
        "Bucket": where.bucket,
        "CodeBucket": made.code_bucket,
        "ExecutionRoleArn": where.execution_role_arn,
        "EndpointName": made.parameters["EndpointName"],
        "KeyArn": where.key_arn or "",
    }
