"""CloudFormation stacks that become what their template says: changes found by resolved value, failures rolled back.

moto's stacks compare raw templates, so that a change of a parameter may change nothing; they skip types they do not
know and leave half-made stacks. `install` puts the classes below in moto's place, once per process.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

import moto.cloudformation.models as cfn
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError

from local_aws.cloudformation.resource_type import Recorded, Resource
from local_aws.cloudformation.resource_types import own
from local_aws.cloudformation.resource_updates import IN_PLACE, SETTLE, release

_log = logging.getLogger(__name__)
_moto_class_of = parsing.resource_class_from_type
_moto_name_property_of = parsing.resource_name_property_from_type
_MoreChanges = "The submitted information didn't contain changes. Submit different information to create a change set."


class Resources(cfn.ResourceMap):  # type: ignore[misc] # mypy skips moto, see pyproject.toml
    """The resources of a stack, each with the resolved properties that it was last given."""

    _resource_json_map: dict[str, Any]
    resolved_parameters: dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.applied: dict[str, dict[str, Any]] = {}
        self.failed: str | None = None
        self._stale: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        """The resource, made or brought up to date first: whatever refers to it sees it as it will be."""
        try:
            if key in self._stale:
                self._stale.discard(key)
                self._refresh(key)
            there = key in self._parsed_resources
            resource = super().__getitem__(key)
            if not there and resource is not None and key in self._resource_json_map:
                self._record(key, resource)
        except Exception:
            if key in self._resource_json_map:
                self.failed = self.failed or key  # the one that others wait for comes first
            raise
        return resource

    def __iter__(self) -> Any:
        """The logical ids of those that the conditions let exist."""
        return iter([name for name in self._resource_json_map if self.wanted(name)])

    def wanted(self, name: str) -> bool:
        """Whether the template's conditions let the resource exist."""
        condition = self._resource_json_map[name].get("Condition")
        return condition is None or bool(self.lazy_condition_map[condition])

    def resolved(self, name: str) -> dict[str, Any]:
        """Type and properties of the resource with every reference resolved."""
        document = self._resource_json_map[name]
        properties = parsing.clean_json(copy.deepcopy(document.get("Properties", {})), self)
        return {"Type": document["Type"], "Properties": properties}

    def update(self, template: dict[str, Any], parameters: dict[str, Any] | None = None) -> None:
        """Makes the resources what `template` says: what is new is made, what differs changed, what is left deleted."""
        self.failed = None
        former = dict(self._resource_json_map)
        made = {name for name in former if name in self._parsed_resources}
        self._template, self._resource_json_map = template, template["Resources"]
        self.input_parameters, self.resolved_parameters = dict(parameters or {}), {}
        self.load()
        names = list(self)
        self._stale = made & set(names)
        for name in names:
            self[name]
        for name in [name for name in made if name not in names]:
            if former[name].get("DeletionPolicy") != "Retain":
                self._delete_resource(self._parsed_resources[name], former[name])
            self._parsed_resources.pop(name)
            self.applied.pop(name, None)

    def drop_all(self) -> None:
        """Deletes what was made for a stack that could not be; a resource that will not go stays, as on AWS."""
        for name, error in self._drop(self._made()):
            _log.warning("stack %s: %s is left behind: %s", self.stack_id, name, error)
        self._template, self._resource_json_map = {"Resources": {}}, {}

    def delete(self) -> None:
        """Deletes the stack's resources but those to be retained; raises where one will not go."""
        keep = {name for name, item in self._resource_json_map.items() if item.get("DeletionPolicy") == "Retain"}
        left = self._drop([name for name in self._made() if name not in keep])
        if left:
            raise left[0][1]

    def _made(self) -> list[str]:
        return [name for name in reversed(self._parsed_resources) if name in self._resource_json_map]

    def _drop(self, names: list[str]) -> list[tuple[str, Exception]]:
        """Deletes `names`, again and again as long as that gets on: one may hold another. Those left, and why."""
        while names:
            failures = []
            for name in names:
                try:
                    self._delete_resource(self._parsed_resources[name], self._resource_json_map[name])
                except Exception as error:
                    failures.append((name, error))
                else:
                    self._parsed_resources.pop(name)
                    self.applied.pop(name, None)
            if len(failures) == len(names):
                return failures
            names = [name for name, _ in failures]
        return []

    def _delete_resource(self, parsed_resource: Any, resource_json: dict[str, Any]) -> None:
        release(parsed_resource, resource_json["Type"], self._account_id)
        super()._delete_resource(parsed_resource, resource_json)

    def preview(self, template: dict[str, Any], parameters: dict[str, Any]) -> list[cfn.Change]:
        """What `update` would do."""
        ahead = _Preview(self, template, parameters)
        created = {name for name in self._resource_json_map if name in self._parsed_resources}
        changes = []
        for name in ahead:
            if name not in created:
                changes.append(cfn.Change("Add", name, template["Resources"][name]["Type"]))
            elif ahead.resolved(name) != self.applied.get(name):
                changes.append(cfn.Change("Modify", name, template["Resources"][name]["Type"]))
        for name in sorted(created - set(ahead)):
            changes.append(cfn.Change("Remove", name, self._resource_json_map[name]["Type"]))
        return changes

    def _refresh(self, name: str) -> None:
        resolved, former = self.resolved(name), self.applied.get(name)
        if resolved == former:
            return
        resource = self._parsed_resources[name]
        document = {**self._resource_json_map[name], "Properties": copy.deepcopy(resolved["Properties"])}
        if former is not None and former["Type"] != resolved["Type"]:
            self._delete_resource(resource, {"Type": former["Type"], "Properties": former["Properties"]})
            del self._parsed_resources[name]
            self[name]
            return
        name_property, change = IN_PLACE.get(resolved["Type"], ("", None))
        renamed = former is not None and resolved["Properties"].get(name_property) != former["Properties"].get(
            name_property
        )
        kind = parsing.resource_class_from_type(resolved["Type"])
        if change is not None and not renamed:
            resource = change(resource, copy.deepcopy(resolved["Properties"]), self._account_id, self._region_name)
        elif change is None and not hasattr(kind.update_from_cloudformation_json, "__isabstractmethod__"):
            resource = parsing.parse_and_update_resource(name, document, self, self._account_id, self._region_name)
        else:
            self._delete_resource(resource, document)
            resource = parsing.parse_and_create_resource(name, document, self, self._account_id, self._region_name)
        resource.cf_resource_type, resource.logical_resource_id = resolved["Type"], name
        self._parsed_resources[name] = resource
        self._record(name, resource)

    def _record(self, name: str, resource: Any) -> None:
        resolved = self.resolved(name)
        settle = SETTLE.get(resolved["Type"])
        if settle is not None:
            settle(resource, resolved["Properties"], self._account_id, self._region_name)
        self.applied[name] = resolved


class _Preview(Resources):
    """Resources as they would be resolved, of which none is made."""

    def __init__(self, now: Resources, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        super().__init__(
            now.stack_id,
            now["AWS::StackName"],
            dict(parameters),
            now.tags,
            now._region_name,
            now._account_id,
            template,
            now.cross_stack_resources,
        )
        made = {name: item for name, item in now._parsed_resources.items() if name in now.applied}
        self._parsed_resources.update(made)
        self.load()

    def __getitem__(self, key: str) -> Any:
        """What is there, and a stand-in for what would be made."""
        if key not in self._parsed_resources and key in self._resource_json_map:
            return Resource(None, "{{known after apply}}")
        return super().__getitem__(key)


def install() -> None:
    """Puts this module's stacks in the place of moto's, for this process."""
    parsing.resource_class_from_type = _class_of
    parsing.resource_name_property_from_type = _name_property_of
    cfn.ResourceMap = Resources
    cfn.Stack.create_resources = _create
    cfn.Stack.update = _update
    cfn.ChangeSet.diff = lambda change_set: change_set.stack.resource_map.preview(
        change_set.template_dict, change_set.parameters
    )
    cfn.ChangeSet.apply = lambda change_set: _apply(change_set.stack, change_set.template, change_set.parameters)
    cfn.CloudFormationBackend.execute_change_set = _execute_change_set
    cfn.CloudFormationBackend._resolve_update_parameters = _parameters
    _watch_for_empty_change_sets()


def _class_of(type_name: str) -> Any:
    kind = own(type_name)
    if kind is not None:
        return kind
    if type_name in parsing.NULL_MODELS or type_name.startswith("Custom::") or type_name in parsing.get_model_map():
        return _moto_class_of(type_name)
    return Recorded(type_name)


def _name_property_of(type_name: str) -> str | None:
    kind = own(type_name)
    return kind.name_property if kind is not None else _moto_name_property_of(type_name)


def _create(stack: Any) -> None:
    stack.status = "CREATE_IN_PROGRESS"
    try:
        stack.resource_map.create(stack.template_dict)
    except Exception as error:
        _fail(stack, "CREATE_FAILED", error)
        stack._add_stack_event("ROLLBACK_IN_PROGRESS", resource_status_reason=str(error))
        stack.resource_map.drop_all()
        stack.output_map = cfn.OutputMap(stack.resource_map, {}, stack.stack_id)
        stack._add_stack_event("ROLLBACK_COMPLETE")
        stack.status, stack.stack_status_reason = "ROLLBACK_COMPLETE", str(error)
        return
    stack.description = stack.template_dict.get("Description")
    stack.mark_creation_complete()


def _update(
    stack: Any,
    template: str,
    role_arn: str | None = None,
    parameters: dict[str, Any] | None = None,
    tags: dict[str, str] | None = None,
) -> None:
    after = stack.parse_template(template)
    same_outputs = after.get("Outputs") == stack.template_dict.get("Outputs")
    if same_outputs and tags is None and not stack.resource_map.preview(after, parameters or {}):
        raise ValidationError(stack.name, message="No updates are to be performed.")
    stack.role_arn = role_arn
    if tags is not None:
        stack.tags = tags
    stack._add_stack_event("UPDATE_IN_PROGRESS", resource_status_reason="User Initiated")
    _apply(stack, template, parameters or {})


def _apply(stack: Any, template: str, parameters: dict[str, Any]) -> None:
    former = (stack.template, dict(stack.parameters or {}))
    try:
        _change(stack, template, parameters)
    except Exception as error:
        _fail(stack, "UPDATE_FAILED", error)
        stack._add_stack_event("UPDATE_ROLLBACK_IN_PROGRESS", resource_status_reason=str(error))
        _change(stack, *former)
        stack._add_stack_event("UPDATE_ROLLBACK_COMPLETE")
        stack.status, stack.stack_status_reason = "UPDATE_ROLLBACK_COMPLETE", str(error)
        return
    stack._add_stack_event("UPDATE_COMPLETE")
    stack.status = "UPDATE_COMPLETE"


def _change(stack: Any, template: Any, parameters: dict[str, Any]) -> None:
    stack.template, stack.parameters = template, parameters
    stack.template_dict = stack.parse_template(template) if template else {"Resources": {}}
    stack.description = stack.template_dict.get("Description")
    stack.resource_map.update(stack.template_dict, parameters)
    stack.output_map = stack._create_output_map()


def _parameters(_: Any, instance: Any, incoming_params: list[dict[str, Any]]) -> dict[str, str]:
    """The values of an update: given ones, and former ones where the call says so, defaults among them."""
    former = {**instance.parameters, **getattr(instance, "stack_parameters", {})}
    values = {}
    for parameter in incoming_params:
        key = parameter["ParameterKey"]
        value = former[key] if parameter.get("UsePreviousValue") else parameter["ParameterValue"]
        values[key] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return values


def _fail(stack: Any, status: str, error: Exception) -> None:
    """The event that says which resource failed and why."""
    resources = stack.resource_map
    name = resources.failed or stack.name
    kind = resources._resource_json_map.get(name, {}).get("Type", "AWS::CloudFormation::Stack")
    reason = getattr(error, "description", None) or str(error) or type(error).__name__
    stack.events.append(cfn.Event(stack.stack_id, stack.name, name, "", kind, status, reason, None))


def _execute_change_set(backend: Any, change_set_name: str, stack_name: str | None = None) -> None:
    found = [
        item
        for key, item in backend.change_sets.items()
        if change_set_name in (key, item.change_set_name) and stack_name in (None, item.stack_name, item.stack_id)
    ]
    if not found:
        raise ValidationError(change_set_name)
    change_set = found[-1]
    if change_set.execution_status != "AVAILABLE":
        message = (
            f"ChangeSet [{change_set.change_set_id}] cannot be executed in its current status of [{change_set.status}]"
        )
        raise ValidationError(change_set_name, message=message)
    stack = backend.stacks[change_set.stack_id]
    creating = change_set.change_set_type == "CREATE"
    kind = "CREATE" if creating else "UPDATE"
    stack._add_stack_event(f"{kind}_IN_PROGRESS", resource_status_reason="User Initiated")
    change_set.apply()
    change_set.execution_status = "EXECUTE_COMPLETE"
    if creating:
        done = stack.status == "UPDATE_COMPLETE"
        stack.status = "CREATE_COMPLETE" if done else "ROLLBACK_COMPLETE"
        stack._add_stack_event(stack.status)
    for export in stack.exports:
        backend.exports[export.name] = export


def _watch_for_empty_change_sets() -> None:
    create = cfn.CloudFormationBackend.create_change_set

    def create_change_set(backend: Any, *args: Any, **kwargs: Any) -> Any:
        identifier, stack_id = create(backend, *args, **kwargs)
        change_set = backend.change_sets[identifier]
        same_outputs = change_set.template_dict.get("Outputs") == change_set.stack.template_dict.get("Outputs")
        if change_set.change_set_type == "UPDATE" and not change_set.changes and same_outputs:
            change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
            change_set.status_reason = _MoreChanges
        elif change_set.changes:
            change_set.status, change_set.execution_status, change_set.status_reason = (
                "CREATE_COMPLETE",
                "AVAILABLE",
                None,
            )
        return identifier, stack_id

    cfn.CloudFormationBackend.create_change_set = create_change_set
