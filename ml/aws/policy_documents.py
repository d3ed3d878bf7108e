"""Reads the policies of roles, managed policies, buckets and keys as they are in the account. Changes none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ml.aws import session
from ml.aws.session import code
from ml.errors import CloudError


@dataclass(frozen=True, kw_only=True)
class RolePolicies:
    """A role's inline policies by name, the ARNs of its managed ones, its permissions boundary and its trust policy."""

    inline: dict[str, Any]
    attached: frozenset[str]
    boundary: str | None
    trust: Any


def of_role(name: str) -> RolePolicies:
    """The policies of the role `name`. Raises Absent, CloudError."""
    iam = session.client("iam")
    with session.explained(f"reading the policies of role {name}"):
        names = [
            item
            for page in iam.get_paginator("list_role_policies").paginate(RoleName=name)
            for item in page["PolicyNames"]
        ]
        attached = [
            item["PolicyArn"]
            for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
            for item in page["AttachedPolicies"]
        ]
        documents = {
            item: _parsed(iam.get_role_policy(RoleName=name, PolicyName=item)["PolicyDocument"]) for item in names
        }
        role = iam.get_role(RoleName=name)["Role"]
    return RolePolicies(
        inline=documents,
        attached=frozenset(attached),
        boundary=role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        trust=_parsed(role["AssumeRolePolicyDocument"]),
    )


def managed(arn: str) -> Any:
    """The document of a managed policy's default version. Raises Absent, CloudError."""
    iam = session.client("iam")
    with session.explained(f"reading policy {arn}"):
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return _parsed(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def of_bucket(name: str) -> Any:
    """The policy of a bucket; None if it has none. Raises CloudError."""
    try:
        with session.explained(f"reading the policy of bucket {name}"):
            return json.loads(session.client("s3").get_bucket_policy(Bucket=name)["Policy"])
    except CloudError as error:
        if code(error.__cause__ or error) == "NoSuchBucketPolicy":
            return None
        raise


def of_key(name: str) -> Any:
    """The policy of a KMS key; None if there is no such key. Raises CloudError."""
    try:
        with session.explained(f"reading the policy of key {name}"):
            return json.loads(session.client("kms").get_key_policy(KeyId=name, PolicyName="default")["Policy"])
    except CloudError as error:
        if code(error.__cause__ or error) == "NotFoundException":
            return None
        raise


def equal(one: Any, other: Any) -> bool:
    """Whether two documents say the same: the order of statements and values does not count, nor a list of one."""
    return bool(_canonical(one) == _canonical(other))


def _canonical(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _canonical(value) for key, value in node.items()}
    if isinstance(node, list):
        items = sorted(map(_canonical, node), key=lambda item: json.dumps(item, sort_keys=True))
        return items[0] if len(items) == 1 else items
    return str(node).lower() if isinstance(node, bool) else str(node)


def _parsed(document: Any) -> Any:
    return json.loads(document) if isinstance(document, str) else document
