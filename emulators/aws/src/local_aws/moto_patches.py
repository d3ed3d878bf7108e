"""Every other place where moto's own classes are changed, once per process, and why.

Kept apart from the handlers so that what depends on moto's insides can be read in one sitting.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

run_function: Callable[[Any, Any], tuple[str, bool, str]] | None = None
"""Runs moto's record of a function on an event: (result, whether it failed, log)."""

_installed = _stacks_installed = False
_lock = threading.Lock()


def install() -> None:
    """Changes moto; does nothing the second time."""
    global _installed  # noqa: PLW0603 - moto's classes are the process's, and so is the fact that they were changed
    if _installed:
        return
    _run_functions_without_docker()
    _accept_every_instance_type()
    _leave_conditions_of_bucket_policies()
    list_modules_once()
    _installed = True


def install_stacks() -> None:
    """Changes moto's CloudFormation, the first time that it is needed: it imports every service that moto has."""
    global _stacks_installed  # noqa: PLW0603 - as above
    with _lock:
        if _stacks_installed:
            return
        from local_aws.cloudformation import stacks

        stacks.install()
        _let_change_sets_be_empty()
        _stacks_installed = True


def _run_functions_without_docker() -> None:
    """moto starts a container for topics, buckets and queues that call a function; here it runs as any call."""
    from moto.awslambda.models import LambdaFunction

    def invoke(function: Any, event: Any = None) -> tuple[str, bool, str]:
        if run_function is None:
            raise RuntimeError("no local cloud runs in this process")
        return run_function(function, event or {})

    LambdaFunction._invoke_lambda = invoke


def _accept_every_instance_type() -> None:
    """moto knows the instance types of 2020; botocore's model knows today's."""
    from moto.core.utils import get_service_model
    from moto.sagemaker.exceptions import ValidationError
    from moto.sagemaker.models import FakeEndpointConfig

    def validate(_: Any, instance_type: str) -> None:
        known = get_service_model("sagemaker").shape_for("ProductionVariantInstanceType").enum
        if instance_type not in known:
            what = f"Value '{instance_type}' at 'instanceType' failed to satisfy constraint"
            raise ValidationError(message=f"{what}: Member must satisfy enum value set: {known}")

    FakeEndpointConfig.validate_instance_type = validate


def _leave_conditions_of_bucket_policies() -> None:
    """moto denies what a bucket policy denies under a condition, whether or not the condition holds."""
    from moto.iam.access_control import IAMPolicy, PermissionResult
    from moto.s3.models import FakeBucket

    def permission(bucket: Any, action: str, resource: str) -> Any:
        if bucket.policy is None:
            return PermissionResult.NEUTRAL
        document = json.loads(bucket.policy)
        statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
        kept = [statement for statement in statements if not statement.get("Condition")]
        if not kept:
            return PermissionResult.NEUTRAL
        return IAMPolicy(json.dumps({**document, "Statement": kept})).is_action_permitted(action, resource)

    FakeBucket.get_permission = permission


def list_modules_once() -> None:
    """moto looks at each of its folders on disk for every request, twice, one request at a time."""
    from moto import backends

    found = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: found


def _let_change_sets_be_empty() -> None:
    """AWS makes a change set without changes and calls it FAILED; only UpdateStack refuses (see stacks)."""
    from moto.cloudformation.responses import CloudFormationResponse

    CloudFormationResponse._validate_different_update = lambda *_: None
