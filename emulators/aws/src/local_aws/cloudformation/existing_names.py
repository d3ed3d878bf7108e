"""Refuses to create a stack's resource whose fixed name is taken, as CloudFormation does. Creates nothing.

moto and most resource types take over the existing resource instead.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.errors import AwsError
from local_aws.service_rules import identity_checks
from local_aws.service_rules.catalog import violation


def _log_groups(account: str, region: str) -> Any:
    from moto.logs.models import logs_backends

    return logs_backends[account][region].groups


def _package_groups(account: str, region: str) -> Any:
    from moto.sagemaker.models import sagemaker_backends

    return sagemaker_backends[account][region].model_package_groups


def _roles(account: str, region: str) -> Any:
    from moto.iam.models import iam_backends

    return {role.name for role in list(iam_backends[account]["aws"].roles.values())}


def _managed_policies(account: str, region: str) -> Any:
    from moto.iam.models import iam_backends

    return {policy.name for policy in list(iam_backends[account]["aws"].managed_policies.values())}


def _functions(account: str, region: str) -> Any:
    from moto.awslambda.models import lambda_backends

    return {item.function_name for item in list(lambda_backends[account][region].list_functions())}


def _buckets(account: str, region: str) -> Any:
    from moto.s3.models import s3_backends

    return s3_backends[account]["aws"].buckets


def _queues(account: str, region: str) -> Any:
    from moto.sqs.models import sqs_backends

    return sqs_backends[account][region].queues


_NAMES: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "AWS::Logs::LogGroup": ("LogGroupName", _log_groups),
    "AWS::SageMaker::ModelPackageGroup": ("ModelPackageGroupName", _package_groups),
    "AWS::IAM::Role": ("RoleName", _roles),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", _managed_policies),
    "AWS::Lambda::Function": ("FunctionName", _functions),
    "AWS::S3::Bucket": ("BucketName", _buckets),
    "AWS::SQS::Queue": ("QueueName", _queues),
}
"""By type: the property that fixes the name, and the names that exist."""


def refuse_existing(type_name: str, properties: Mapping[str, Any], account: str, region: str) -> None:
    """Refuses a new resource of that type if its name is taken.

    Raises:
        AwsError: AlreadyExists, with the reason that CloudFormation gives in the stack's events.
    """
    if type_name == "AWS::IAM::OIDCProvider":
        _refuse_existing_provider(properties["Url"])
    name_property, existing = _NAMES.get(type_name, ("", None))
    name = properties.get(name_property)
    if existing is not None and name is not None and name in existing(account, region):
        identifier = json.dumps({f"/properties/{name_property}": name}, separators=(",", ":"))
        raise violation("cloudformation-name-exists", type=type_name, identifier=identifier, token=uuid.uuid4())


def _refuse_existing_provider(url: str) -> None:
    """IAM refuses the second provider itself; the resource has no name that CloudFormation knows."""
    try:
        identity_checks.check_provider(url)
    except AwsError as error:
        service = f"(Service: Iam, Status Code: {error.status}, Request ID: {uuid.uuid4()})"
        message = f'Resource handler returned message: "{error.message} {service}" '
        raise AwsError(
            "AlreadyExists", message + f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: AlreadyExists)"
        ) from error
