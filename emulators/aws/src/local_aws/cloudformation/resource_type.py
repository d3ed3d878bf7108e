"""What a resource type has to offer so that moto's stacks can use it, and the type that offers nothing else.

A type that neither moto nor this project knows is recorded, so that a template that has it still deploys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Resource:
    """One resource of a stack, with the members that moto's stacks read."""

    kind: Recorded | None
    physical_resource_id: str
    attributes: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    logical_resource_id: str = ""
    cf_resource_type: str = ""

    @staticmethod
    def is_created() -> bool:
        """Whether it is there: always, nothing here takes time."""
        return True

    def delete(self, account_id: str, region_name: str) -> None:
        """Deletes it."""
        if self.kind is not None:
            self.kind.drop(self.physical_resource_id, self.properties, account_id, region_name)

    def get_cfn_attribute(self, name: str) -> Any:
        """What Fn::GetAtt gives."""
        return self.attributes.get(name, f"{self.physical_resource_id}.{name}")


class Recorded:
    """A type without behaviour, and the base of those that have some."""

    name_property = ""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def cloudformation_type(self) -> str:
        """The type's name."""
        return self.type_name

    def cloudformation_name_type(self) -> str:
        """The property that names such a resource, or ''."""
        return self.name_property

    @staticmethod
    def has_cfn_attr(_: str) -> bool:
        """Whether Fn::GetAtt may ask for it: cfn-lint knows better than this module could."""
        return True

    def make(self, name: str, properties: dict[str, Any], account: str, region: str) -> tuple[str, dict[str, Any]]:
        """Makes or changes the resource; its physical id and its attributes."""
        return name, {"Name": name}

    def drop(self, physical_id: str, properties: dict[str, Any], account: str, region: str) -> None:
        """Deletes the resource."""

    def create_from_cloudformation_json(
        self, resource_name: str, cloudformation_json: dict[str, Any], account_id: str, region_name: str, **_: Any
    ) -> Resource:
        """moto's way to ask for `make`."""
        properties = cloudformation_json["Properties"]
        return Resource(self, *self.make(resource_name, properties, account_id, region_name), properties)

    def update_from_cloudformation_json(
        self,
        original_resource: Resource,
        new_resource_name: str,
        cloudformation_json: dict[str, Any],
        account_id: str,
        region_name: str,
    ) -> Resource:
        """moto's way to ask for a change; a name that CloudFormation made up stays."""
        properties = cloudformation_json["Properties"]
        name = (
            new_resource_name
            if self.name_property in properties
            else original_resource.attributes.get("Name", new_resource_name)
        )
        physical_id, attributes = self.make(name, properties, account_id, region_name)
        if physical_id != original_resource.physical_resource_id:
            original_resource.delete(account_id, region_name)
        return Resource(self, physical_id, attributes, properties)
