"""Managed policies by ARN: those of the account, and AWS's own, of which moto has the documents and loads none.

An AWS managed policy is loaded when it is first attached or named as a boundary. Evaluates nothing.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from local_aws.errors import NotHandled

_AWS = "arn:aws:iam::aws:policy/"


def find(account: str, arn: str) -> Any:
    """moto's record of the managed policy with this ARN; None if there is none."""
    from moto.iam.models import iam_backends

    load(account, arn)
    return iam_backends[account]["aws"].managed_policies.get(arn)


OPERATIONS = (
    "AttachRolePolicy",
    "AttachUserPolicy",
    "AttachGroupPolicy",
    "CreateRole",
    "CreateUser",
    "GetPolicy",
    "GetPolicyVersion",
    "PutRolePermissionsBoundary",
)
"""The operations of IAM that can name an AWS managed policy."""


def handle(account: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Handles `OPERATIONS`: loads the AWS managed policy that a call names, and leaves the call to moto."""
    for member in ("PolicyArn", "PermissionsBoundary"):
        if arn := parameters.get(member):
            load(account, arn)
    raise NotHandled


def load(account: str, arn: str) -> None:
    """Makes an AWS managed policy known to moto; does nothing for other ARNs, unknown ones and known ones."""
    from moto.iam.models import AWSManagedPolicy, iam_backends

    if not arn.startswith(_AWS):
        return
    backend = iam_backends[account]["aws"]
    if arn in backend.managed_policies:
        return
    name = arn.rpartition("/")[2]
    data = _documents().get(name)
    if data is None:
        return
    policy = AWSManagedPolicy.from_data(name, account, backend.region_name, data)
    if policy.arn == arn:
        backend.managed_policies[arn] = policy


@lru_cache(maxsize=1)
def _documents() -> dict[str, Any]:
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    documents: dict[str, Any] = json.loads(aws_managed_policies_data)
    return documents
