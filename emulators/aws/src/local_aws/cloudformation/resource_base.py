"""Base class of the emulator's CloudFormation resource types, with the interface that moto's stacks call.

The base class alone serves types that neither moto nor this package implements: it records them, so that their template
deploys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Resource:
    """A resource of a stack, with the members that moto's stacks read."""

    kind: ResourceType | None
    physical_resource_id: str
    attributes: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    logical_resource_id: str = ""
    cf_resource_type: str = ""

    @staticmethod
    def is_created() -> bool:
        """Always true: no resource is created in the background."""
        return True

    def delete(self, account_id: str, region_name: str) -> None:
        """Deletes the resource."""
        if self.kind is not None:
            self.kind.delete(self.physical_resource_id, self.properties, account_id, region_name)

    def get_cfn_attribute(self, name: str) -> Any:
        """The value of Fn::GetAtt."""
        return self.attributes.get(name, f"{self.physical_resource_id}.{name}")


class ResourceType:
    """A resource type; this class only records its resources."""

    name_property = ""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def cloudformation_type(self) -> str:
        """The type's name."""
        return self.type_name

    def cloudformation_name_type(self) -> str:
        """The property that holds the resource's name, or ''."""
        return self.name_property

    @staticmethod
    def has_cfn_attr(_: str) -> bool:
        """Always true: attributes are not validated here; cfn-lint does that."""
        return True

    def apply(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Creates or updates the resource; returns its physical id and attributes."""
        return name, {"Name": name}

    def delete(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the resource."""

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> Resource:
        """moto's interface to `apply` for a new resource."""
        properties = cloudformation_json["Properties"]
        return Resource(self, *self.apply(resource_name, properties, account_id, region_name), properties)

    def update_from_cloudformation_json(
        self,
        original_resource: Resource,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Resource:
        """moto's interface to `apply` for an update; keeps a name that CloudFormation generated."""
        properties = cloudformation_json["Properties"]
        name = (
            new_resource_name
            if self.name_property in properties
            else original_resource.attributes.get("Name", new_resource_name)
        )
        physical_id, attributes = self.apply(name, properties, account_id, region_name)
        if physical_id != original_resource.physical_resource_id:
            original_resource.delete(account_id, region_name)
        return Resource(self, physical_id, attributes, properties)
