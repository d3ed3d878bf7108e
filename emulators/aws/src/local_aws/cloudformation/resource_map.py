"""The resources of a CloudFormation stack: created, updated, deleted and compared by their resolved properties.

moto compares raw templates, so that a changed parameter may change nothing. This map compares resolved values.
"""

from __future__ import annotations

import copy
from typing import Any

import moto.cloudformation.models as cfn
from moto.cloudformation import parsing

from local_aws.cloudformation import stack_authorization
from local_aws.cloudformation.existing_names import refuse_existing
from local_aws.cloudformation.property_rules import check_properties
from local_aws.cloudformation.resource_base import Resource
from local_aws.cloudformation.resource_change import Change
from local_aws.cloudformation.resource_updates import FOLLOW_UPS, IN_PLACE_UPDATES, prepare_deletion

_GENERATED = "XXXXXXXXXXXX"  # what CloudFormation appends to the name of a resource that the template does not name
_RETAINED = frozenset({"Retain", "RetainExceptOnCreate"})
_RETAINED_IN_ROLLBACK = frozenset({"Retain"})
"""The deletion policies that keep a resource that the rolled-back operation created."""
_GONE = "DELETE_COMPLETE"


class ResourceMap(cfn.ResourceMap):  # type: ignore[misc] # mypy skips moto, see pyproject.toml
    """The resources of a stack, each with the resolved properties that were last applied."""

    _resource_json_map: dict[str, Any]
    resolved_parameters: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.applied: dict[str, dict[str, Any]] = {}
        self.failed: str | None = None
        self.statuses: dict[str, str] = {}
        """The ResourceStatus of each resource that exists or was deleted with the stack."""
        self.ended = False
        """Whether a deletion has begun: from then on, references never create a resource."""
        self._stale: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        """The resource, created or updated first, so that references to it resolve to its new state.

        Once the deletion of the stack has begun, it is the record of what existed.

        Raises:
            KeyError: there is no such resource, or it was never created before the deletion.
        """
        if self.ended:
            return self._parsed_resources[key]
        try:
            if key in self._stale or key not in self._parsed_resources:
                self._settle_dependencies(key)
            if key in self._stale:
                self._stale.discard(key)
                self._update_resource(key)
            exists = key in self._parsed_resources
            if not exists and key in self._resource_json_map and self.is_enabled(key):
                resolved = self.resolved(key)
                self._authorize(key, resolved["Type"], before=None, after=resolved["Properties"])
                self._check_rules(resolved)
                self._refuse_existing(resolved)
            resource = super().__getitem__(key)
            if not exists and resource is not None and key in self._resource_json_map:
                self._finish(key, resource)
        except Exception:
            if key in self._resource_json_map:
                self.failed = self.failed or key  # the innermost failure is the cause of the others
            raise
        return resource

    def _settle_dependencies(self, key: str) -> None:
        """Creates or updates the resources that DependsOn names, also if a reference asks for `key` before its turn."""
        named = self._resource_json_map.get(key, {}).get("DependsOn", [])
        for name in [named] if isinstance(named, str) else named:
            if self.is_enabled(name):
                self[name]

    def __iter__(self) -> Any:
        """The logical ids of the resources whose condition holds; after a deletion, of those that existed."""
        if self.ended:
            return iter([name for name in self._resource_json_map if name in self._parsed_resources])
        return iter([name for name in self._resource_json_map if self.is_enabled(name)])

    def is_enabled(self, name: str) -> bool:
        """Whether the resource's condition holds."""
        condition = self._resource_json_map[name].get("Condition")
        return condition is None or bool(self.lazy_condition_map[condition])

    def resolved(self, name: str) -> dict[str, Any]:
        """Type and properties of the resource, with every reference resolved."""
        document = self._resource_json_map[name]
        properties = parsing.clean_json(copy.deepcopy(document.get("Properties", {})), self)
        return {"Type": document["Type"], "Properties": properties}

    def update(
        self, template: dict[str, Any], parameters: dict[str, Any] | None = None, *, rollback: bool = False
    ) -> None:
        """Applies `template`: creates new resources, updates changed ones, deletes those no longer in it.

        With `rollback`, those no longer in it were created by the operation that is rolled back.
        """
        self.failed = None
        previous = dict(self._resource_json_map)
        existing = {name for name in previous if name in self._parsed_resources}
        self._template, self._resource_json_map = template, template["Resources"]
        self.input_parameters, self.resolved_parameters = dict(parameters or {}), {}
        self.load()
        names = list(self)
        self._stale = existing & set(names)
        for name in names:
            self[name]
        retaining = _RETAINED_IN_ROLLBACK if rollback else _RETAINED
        gone = [name for name in reversed(list(self._parsed_resources)) if name in existing and name not in names]
        for name in gone:  # what refers to others was created after them, and is deleted first
            if previous[name].get("DeletionPolicy") not in retaining:
                self._delete_resource(self._parsed_resources[name], previous[name])
            self._parsed_resources.pop(name)
            self.applied.pop(name, None)
            self.statuses.pop(name, None)

    def roll_back_creation(self) -> list[tuple[str, Exception]]:
        """Deletes the resources of a stack whose creation failed, except those with the policy Retain.

        Returns the resources that cannot be deleted, with the reasons; they stay in the stack.
        """
        return self._delete_all(_RETAINED_IN_ROLLBACK)

    def delete(self) -> list[tuple[str, Exception]]:
        """Deletes all resources except those to be retained; returns those that cannot be deleted, with reasons."""
        return self._delete_all(_RETAINED)

    def _delete_all(self, retaining: frozenset[str]) -> list[tuple[str, Exception]]:
        """Deletes what is left, repeatedly while that makes progress, since one may depend on another.

        Deleted resources stay in the map as records, as ListStackResources lists them for a deleted stack.
        """
        self.ended = True
        created = [name for name in reversed(self._parsed_resources) if name in self._resource_json_map]
        left = [name for name in created if self.statuses.get(name) not in (_GONE, "DELETE_SKIPPED")]
        kept = {name for name in left if self._resource_json_map[name].get("DeletionPolicy") in retaining}
        self.statuses |= dict.fromkeys(kept, "DELETE_SKIPPED")
        names = [name for name in left if name not in kept]
        while names:
            failures = []
            for name in names:
                try:
                    self._delete_resource(self._parsed_resources[name], self._resource_json_map[name])
                except Exception as error:
                    failures.append((name, error))
                    self.statuses[name] = "DELETE_FAILED"
                else:
                    self.statuses[name] = _GONE
            if len(failures) == len(names):
                return failures
            names = [name for name, _ in failures]
        return []

    def _delete_resource(self, parsed_resource: Any, resource_json: dict[str, Any]) -> None:
        name = getattr(parsed_resource, "logical_resource_id", "")
        applied = self.applied.get(name, {"Properties": resource_json.get("Properties", {})})
        self._authorize(name, resource_json["Type"], before=applied["Properties"], after=None)
        prepare_deletion(parsed_resource, resource_json["Type"], self._account_id)
        super()._delete_resource(parsed_resource, resource_json)

    def _authorize(
        self, name: str, type_name: str, *, before: dict[str, Any] | None, after: dict[str, Any] | None
    ) -> None:
        existing = self._parsed_resources.get(name)
        if existing is not None:
            physical = existing.physical_resource_id
        else:
            given = (after or {}).get(parsing.resource_name_property_from_type(type_name) or "")
            physical = given or f"{self['AWS::StackName']}-{name}-{_GENERATED}"
        physical = physical.lower() if type_name == "AWS::S3::Bucket" else physical
        stack_authorization.check(type_name, Change(name=physical, before=before, after=after))

    def preview(self, template: dict[str, Any], parameters: dict[str, Any]) -> list[cfn.Change]:
        """The changes that `update` would make."""
        planned = _Preview(self, template, parameters)
        created = {name for name in self._resource_json_map if name in self._parsed_resources}
        changes = []
        for name in planned:
            if name not in created:
                changes.append(cfn.Change("Add", name, template["Resources"][name]["Type"]))
            elif planned.resolved(name) != self.applied.get(name):
                changes.append(cfn.Change("Modify", name, template["Resources"][name]["Type"]))
        for name in sorted(created - set(planned)):
            changes.append(cfn.Change("Remove", name, self._resource_json_map[name]["Type"]))
        return changes

    def _update_resource(self, name: str) -> None:
        resolved, previous = self.resolved(name), self.applied.get(name)
        if resolved == previous:
            return
        resource = self._parsed_resources[name]
        before = previous["Properties"] if previous is not None else {}
        self._authorize(name, resolved["Type"], before=before, after=resolved["Properties"])
        self._check_rules(resolved)
        document = {**self._resource_json_map[name], "Properties": copy.deepcopy(resolved["Properties"])}
        if previous is not None and previous["Type"] != resolved["Type"]:
            self._delete_resource(resource, {"Type": previous["Type"], "Properties": previous["Properties"]})
            del self._parsed_resources[name]
            self[name]
            return
        name_property, update = IN_PLACE_UPDATES.get(resolved["Type"], ("", None))
        renamed = previous is not None and resolved["Properties"].get(name_property) != previous["Properties"].get(
            name_property
        )
        kind = parsing.resource_class_from_type(resolved["Type"])
        if update is not None and not renamed:
            resource = update(resource, copy.deepcopy(resolved["Properties"]), self._account_id, self._region_name)
        elif update is None and not hasattr(kind.update_from_cloudformation_json, "__isabstractmethod__"):
            resource = parsing.parse_and_update_resource(name, document, self, self._account_id, self._region_name)
        else:
            if renamed:
                self._refuse_existing(resolved)
            self._delete_resource(resource, document)
            resource = parsing.parse_and_create_resource(name, document, self, self._account_id, self._region_name)
        resource.cf_resource_type, resource.logical_resource_id = resolved["Type"], name
        self._parsed_resources[name] = resource
        self._finish(name, resource)

    def _check_rules(self, resolved: dict[str, Any]) -> None:
        check_properties(resolved["Type"], resolved["Properties"])

    def _refuse_existing(self, resolved: dict[str, Any]) -> None:
        refuse_existing(resolved["Type"], resolved["Properties"], self._account_id, self._region_name)

    def _finish(self, name: str, resource: Any) -> None:
        resolved = self.resolved(name)
        follow_up = FOLLOW_UPS.get(resolved["Type"])
        if follow_up is not None:
            follow_up(resource, resolved["Properties"], self._account_id, self._region_name)
        self.statuses[name] = "UPDATE_COMPLETE" if name in self.statuses else "CREATE_COMPLETE"
        self.applied[name] = resolved


class _Preview(ResourceMap):
    """Resolves the resources of another template without creating any."""

    def __init__(self, current: ResourceMap, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        super().__init__(
            current.stack_id,
            current["AWS::StackName"],
            dict(parameters),
            current.tags,
            current._region_name,
            current._account_id,
            template,
            current.cross_stack_resources,
        )
        created = {name: item for name, item in current._parsed_resources.items() if name in current.applied}
        self._parsed_resources.update(created)
        self.load()

    def __getitem__(self, key: str) -> Any:
        """The existing resource, or a placeholder for one that would be created."""
        if key not in self._parsed_resources and key in self._resource_json_map:
            return Resource(None, "{{known after apply}}")
        return super().__getitem__(key)
