"""`fraudops bootstrap`: makes the platform in an account, or brings it up to date, from a laptop or a workflow.

It is safe to run again: what is there stays, what differs is updated, and it says which of the two it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml import config
from ml.aws import platform, session, stack
from ml.console import stage
from ml.errors import ConfigError

TEMPLATE = Path("infra/platform.yaml")
FUNCTION = Path("infra/deploy_model")


@dataclass(frozen=True, kw_only=True)
class Bootstrapped:
    """What `bootstrap` did, and where the platform is."""

    state: Literal["created", "updated", "unchanged"]
    stack: str
    platform: platform.Platform
    code_bucket: str
    code_key: str


def bootstrap(root: Path, *, notify: str | None = None) -> Bootstrapped:
    """Makes the platform stack from infra/ below `root`, for the endpoint that serving/production.yaml names.

    Args:
        notify: an e-mail address to be told of refused and failed deployments; None leaves it as it is.

    Raises:
        Refused: the caller is the account's root user; nothing was changed.
        ConfigError: infra/ or serving/production.yaml is missing or does not hold.
        CloudError: a resource could not be made; it is named, with CloudFormation's reason.
    """
    serving = config.load_serving(root)
    template, source = root / TEMPLATE, root / FUNCTION
    if not template.is_file() or not source.is_dir():
        raise ConfigError(
            f"{TEMPLATE} and {FUNCTION}/ must be below {root}; run from the repository's root or give --repo"
        )
    platform.refuse_root()
    name = platform.stack_name()
    bucket = _code_bucket(name)
    with stage(f"Deploy function's code to s3://{bucket}"):
        stack.ensure_bucket(bucket)
        key = stack.upload(bucket, FUNCTION.name, stack.archive(source, FUNCTION.name))
    parameters = {"CodeBucket": bucket, "CodeKey": key, "EndpointName": serving.endpoint}
    if notify is not None:
        parameters["NotificationEmail"] = notify
    with stage(f"Stack {name} from {TEMPLATE}"):
        applied = stack.apply(name, template.read_text(encoding="utf-8"), parameters)
    return Bootstrapped(state=applied.state, stack=name, platform=platform.read(), code_bucket=bucket, code_key=key)


def _code_bucket(stack_name: str) -> str:
    """A name that no other account has: the function's code must be there before the stack makes its own bucket."""
    account = platform.caller().split(":")[4]
    return f"{stack_name.lower()}-code-{account}-{session.client('s3').meta.region_name}"
