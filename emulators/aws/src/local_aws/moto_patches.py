"""Patches of moto's classes, applied once per process, each with its reason.

Separate from the handlers, so that everything that depends on moto's internals is in one place; the patches of
CloudFormation are in `local_aws.cloudformation`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from local_aws import s3_listing
from local_aws.errors import AwsError
from local_aws.service_rules import reserved_concurrency as rule

run_function: Callable[[Any, Any], tuple[str, bool, str]] | None = None
"""Runs a function, given as moto's record, on an event: (payload, whether it failed, log)."""

_installed = _stacks_installed = False
_lock = threading.Lock()


def install() -> None:
    """Patches moto; idempotent."""
    global _installed  # noqa: PLW0603 - moto's classes are global to the process, and so are their patches
    if _installed:
        return
    _run_functions_without_docker()
    _accept_every_instance_type()
    _leave_bucket_policies_to_the_gate()
    _keep_queue_policies()
    s3_listing.install()
    _enforce_reserved_concurrency()
    cache_module_list()
    _installed = True


def install_stacks() -> None:
    """Patches moto's CloudFormation on first use, because that imports every service of moto; idempotent."""
    global _stacks_installed  # noqa: PLW0603 - as above
    with _lock:
        if _stacks_installed:
            return
        from local_aws.cloudformation import moto_stacks

        moto_stacks.install()
        _accept_empty_change_sets()
        _return_log_group_arns_with_a_star()
        _stacks_installed = True


def stacks_installed() -> bool:
    """Whether this process has used CloudFormation; without that there are no stacks."""
    return _stacks_installed


def _run_functions_without_docker() -> None:
    """moto starts a container for functions that a topic, bucket or queue triggers; here they run like any call."""
    from moto.awslambda.models import LambdaFunction

    def invoke(function: Any, event: Any = None) -> tuple[str, bool, str]:
        if run_function is None:
            raise RuntimeError("no AWS emulator runs in this process")
        return run_function(function, event or {})

    LambdaFunction._invoke_lambda = invoke


def _enforce_reserved_concurrency() -> None:
    """moto reads the quota from an environment variable, and by default enforces none."""
    from moto.awslambda.exceptions import InvalidParameterValueException
    from moto.awslambda.models import LambdaBackend

    def put(backend: Any, function_name: str, reserved_concurrency: Any) -> Any:
        function = backend.get_function(function_name)
        try:
            rule.check(list(backend.list_functions()), function.function_name, int(reserved_concurrency))
        except AwsError as error:
            raise InvalidParameterValueException(error.message) from error
        function.reserved_concurrency = reserved_concurrency
        return reserved_concurrency

    LambdaBackend.put_function_concurrency = put


def _accept_every_instance_type() -> None:
    """moto's list of instance types is of 2020; botocore's model is current."""
    from moto.core.utils import get_service_model
    from moto.sagemaker.exceptions import ValidationError
    from moto.sagemaker.models import FakeEndpointConfig

    def validate(_: Any, instance_type: str) -> None:
        known = get_service_model("sagemaker").shape_for("ProductionVariantInstanceType").enum
        if instance_type not in known:
            what = f"Value '{instance_type}' at 'instanceType' failed to satisfy constraint"
            raise ValidationError(message=f"{what}: Member must satisfy enum value set: {known}")

    FakeEndpointConfig.validate_instance_type = validate


def _leave_bucket_policies_to_the_gate() -> None:
    """moto applies bucket policies without their conditions; `local_aws.authorization` has applied them before."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    FakeBucket.get_permission = lambda *_: PermissionResult.PERMITTED


def _keep_queue_policies() -> None:
    """moto removes the policy of a queue whenever another attribute of it is set."""
    from moto.sqs.models import Queue

    set_attributes = Queue._set_attributes

    def set_others(queue: Any, attributes: dict[str, Any], now: float | None = None) -> None:
        kept = {"Policy": queue.policy} if hasattr(queue, "_policy_json") else {}
        set_attributes(queue, {**kept, **attributes}, now)

    Queue._set_attributes = set_others


def cache_module_list() -> None:
    """moto lists its folders on disk twice for every request, under a lock."""
    from moto import backends

    modules = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules


def _return_log_group_arns_with_a_star() -> None:
    """GetAtt Arn of a log group ends in `:*` (CloudFormation Template Reference, AWS::Logs::LogGroup)."""
    from moto.logs.models import LogGroup

    attribute = LogGroup.get_cfn_attribute

    def get_cfn_attribute(group: Any, name: str) -> str:
        value: str = attribute(group, name)
        return f"{value}:*" if name == "Arn" else value

    LogGroup.get_cfn_attribute = get_cfn_attribute


def _accept_empty_change_sets() -> None:
    """AWS creates a change set without changes with the status FAILED; only UpdateStack refuses it (see stacks)."""
    from moto.cloudformation.responses import CloudFormationResponse

    CloudFormationResponse._validate_different_update = lambda *_: None
