"""CloudFormation resource types of KMS: keys and aliases. Nothing is encrypted; moto's KMS keeps the keys.

moto's own types store a key's policy in a form that GetKeyPolicy cannot return, and cannot update a key.
"""

from __future__ import annotations

import json
from typing import Any

from local_aws.cloudformation.resource_base import ResourceType


class Key(ResourceType):
    """AWS::KMS::Key; its physical id is the key's id."""

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Creates the key, or updates the key that has this name in the stack."""
        backend = _kms(account, region)
        policy = json.dumps(properties["KeyPolicy"])
        key = next((key for key in backend.keys.values() if getattr(key, "stack_name", None) == name), None)
        if key is None:
            usage, spec = properties.get("KeyUsage", "ENCRYPT_DECRYPT"), properties.get("KeySpec", "SYMMETRIC_DEFAULT")
            key = backend.create_key(policy, usage, spec, properties.get("Description", ""), [])
            key.stack_name = name
        key.policy = policy
        key.description = properties.get("Description", "")
        key.key_rotation_status = _true(properties.get("EnableKeyRotation", False))
        key.enabled = _true(properties.get("Enabled", True))
        tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
        present = [tag["TagKey"] for tag in backend.list_resource_tags(key.id)["Tags"]]
        backend.untag_resource(key.id, [tag for tag in present if tag not in tags])
        backend.tag_resource(key.id, tags)
        return key.id, {"Arn": key.arn, "KeyId": key.id, "Name": name}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Schedules the key's deletion, as CloudFormation does; until then it is disabled."""
        _kms(account, region).schedule_key_deletion(physical_id, int(properties.get("PendingWindowInDays", 30)))


class Alias(ResourceType):
    """AWS::KMS::Alias; its physical id is the alias."""

    name_property = "AliasName"

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Points the alias at the key."""
        backend = _kms(account, region)
        if backend.alias_exists(name):
            backend.update_alias(properties["TargetKeyId"], name)
        else:
            backend.create_alias(properties["TargetKeyId"], name)
        return name, {"Name": name}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the alias and keeps the key."""
        _kms(account, region).delete_alias(physical_id)


def _true(value: Any) -> bool:
    """A boolean of a template, which YAML or a parameter may have turned into text."""
    return str(value).lower() == "true"


def _kms(account: str, region: str) -> Any:
    from moto.kms.models import kms_backends

    return kms_backends[account][region]
