"""aws:ResourceTag keys: the tags of a resource, looked up only if a policy of the caller refers to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from local_aws.iam.evaluation import NamedPolicy, Policies


def mentioned(policies: Policies) -> bool:
    """Whether one of the policies refers to the tags of resources."""
    every = [*policies.identity, *policies.session, *([policies.boundary] if policies.boundary else [])]
    return any(_mentions(policy) for policy in every)


def find(account: str, arn: str) -> Mapping[str, str]:
    """aws:ResourceTag/KEY for the tags of the resource with this ARN; empty for services whose tags are not read."""
    segments = arn.split(":", 5)
    if len(segments) != 6:
        return {}
    service, region, resource = segments[2], segments[3], segments[5]
    if service == "iam":
        tags = _role_tags(account, resource)
    elif service == "sagemaker" and resource.count("/") == 1:  # moto finds no versions of packages, nor executions
        tags = _sagemaker_tags(account, region, arn)
    elif service == "kms" and resource.startswith("key/"):
        tags = _key_tags(account, region, resource.removeprefix("key/"))
    else:
        return {}
    return {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


def _mentions(policy: NamedPolicy) -> bool:
    text = policy.document if isinstance(policy.document, str) else json.dumps(policy.document)
    return _has_tag_key(text)


@lru_cache(maxsize=4096)
def _has_tag_key(text: str) -> bool:
    return "resourcetag/" in text.lower()


def _role_tags(account: str, resource: str) -> dict[str, str]:
    from moto.iam.models import iam_backends

    name = resource.rpartition("/")[2]
    roles = list(iam_backends[account]["aws"].roles.values())
    role: Any = next((each for each in roles if each.name == name), None)
    return {} if role is None else {tag["Key"]: tag["Value"] for tag in role.tags or []}


def _key_tags(account: str, region: str, key_id: str) -> dict[str, str]:
    from moto.kms.models import kms_backends

    backend = kms_backends[account][region]
    found = backend.list_resource_tags(key_id)["Tags"] if key_id in backend.keys else []
    return {tag["TagKey"]: tag["TagValue"] for tag in found}


def _sagemaker_tags(account: str, region: str, arn: str) -> dict[str, str]:
    from moto.core.exceptions import JsonRESTError
    from moto.sagemaker.models import sagemaker_backends

    try:
        found = sagemaker_backends[account][region]._get_resource_from_arn(arn).tags
    except (AttributeError, KeyError, JsonRESTError):  # it does not exist, or moto keeps no tags of its kind
        return {}
    return {tag["Key"]: tag["Value"] for tag in found or []}
