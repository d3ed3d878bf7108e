"""CloudFormation stacks that match their template: created, updated, rolled back, and changed by change sets.

moto skips types that it does not know and leaves partly created stacks. `install` replaces moto's functions with those
below, once per process.
"""

from __future__ import annotations

from typing import Any

import moto.cloudformation.models as cfn
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError

from local_aws.cloudformation.resource_base import ResourceType
from local_aws.cloudformation.resource_map import ResourceMap
from local_aws.cloudformation.resource_types import find_resource_type

_moto_class_of = parsing.resource_class_from_type
_moto_name_property_of = parsing.resource_name_property_from_type
_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


def install() -> None:
    """Replaces moto's stacks with those of this module, for this process."""
    parsing.resource_class_from_type = _class_of
    parsing.resource_name_property_from_type = _name_property_of
    cfn.ResourceMap = ResourceMap
    cfn.Stack.create_resources = _create
    cfn.Stack.update = _update
    cfn.ChangeSet.diff = lambda change_set: change_set.stack.resource_map.preview(
        change_set.template_dict, change_set.parameters
    )
    cfn.ChangeSet.apply = lambda change_set: _apply(change_set.stack, change_set.template, change_set.parameters)
    cfn.CloudFormationBackend.execute_change_set = _execute_change_set
    cfn.CloudFormationBackend._resolve_update_parameters = _update_parameters
    _fail_empty_change_sets()


def _class_of(type_name: str) -> Any:
    kind = find_resource_type(type_name)
    if kind is not None:
        return kind
    if type_name in parsing.NULL_MODELS or type_name.startswith("Custom::") or type_name in parsing.get_model_map():
        return _moto_class_of(type_name)
    return ResourceType(type_name)


def _name_property_of(type_name: str) -> str | None:
    kind = find_resource_type(type_name)
    return kind.name_property if kind is not None else _moto_name_property_of(type_name)


def _create(stack: Any) -> None:
    stack.status = "CREATE_IN_PROGRESS"
    try:
        stack.resource_map.create(stack.template_dict)
    except Exception as error:
        _record_failure(stack, "CREATE_FAILED", error)
        stack._add_stack_event("ROLLBACK_IN_PROGRESS", resource_status_reason=str(error))
        stack.resource_map.delete_all()
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
    new_template = stack.parse_template(template)
    same_outputs = new_template.get("Outputs") == stack.template_dict.get("Outputs")
    if same_outputs and tags is None and not stack.resource_map.preview(new_template, parameters or {}):
        raise ValidationError(stack.name, message="No updates are to be performed.")
    stack.role_arn = role_arn
    if tags is not None:
        stack.tags = tags
    stack._add_stack_event("UPDATE_IN_PROGRESS", resource_status_reason="User Initiated")
    _apply(stack, template, parameters or {})


def _apply(stack: Any, template: str, parameters: dict[str, Any]) -> None:
    previous = (stack.template, dict(stack.parameters or {}))
    try:
        _apply_template(stack, template, parameters)
    except Exception as error:
        _record_failure(stack, "UPDATE_FAILED", error)
        stack._add_stack_event("UPDATE_ROLLBACK_IN_PROGRESS", resource_status_reason=str(error))
        _apply_template(stack, *previous)
        stack._add_stack_event("UPDATE_ROLLBACK_COMPLETE")
        stack.status, stack.stack_status_reason = "UPDATE_ROLLBACK_COMPLETE", str(error)
        return
    stack._add_stack_event("UPDATE_COMPLETE")
    stack.status = "UPDATE_COMPLETE"


def _apply_template(stack: Any, template: Any, parameters: dict[str, Any]) -> None:
    stack.template, stack.parameters = template, parameters
    stack.template_dict = stack.parse_template(template) if template else {"Resources": {}}
    stack.description = stack.template_dict.get("Description")
    stack.resource_map.update(stack.template_dict, parameters)
    stack.output_map = stack._create_output_map()


def _update_parameters(_: Any, instance: Any, incoming_params: list[dict[str, Any]]) -> dict[str, str]:
    """The parameters of an update: new values, or previous ones (defaults included) with UsePreviousValue."""
    previous = {**instance.parameters, **getattr(instance, "stack_parameters", {})}
    values = {}
    for parameter in incoming_params:
        key = parameter["ParameterKey"]
        value = previous[key] if parameter.get("UsePreviousValue") else parameter["ParameterValue"]
        values[key] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return values


def _record_failure(stack: Any, status: str, error: Exception) -> None:
    """Adds the event that names the failed resource and the reason."""
    resources = stack.resource_map
    name = resources.failed or stack.name
    kind = resources._resource_json_map.get(name, {}).get("Type", "AWS::CloudFormation::Stack")
    reason = getattr(error, "description", None) or str(error) or type(error).__name__
    stack.events.append(cfn.Event(stack.stack_id, stack.name, name, "", kind, status, reason, None))


def _execute_change_set(backend: Any, change_set_name: str, stack_name: str | None = None) -> None:
    matching = [
        item
        for key, item in backend.change_sets.items()
        if change_set_name in (key, item.change_set_name) and stack_name in (None, item.stack_name, item.stack_id)
    ]
    if not matching:
        raise ValidationError(change_set_name)
    change_set = matching[-1]
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
        succeeded = stack.status == "UPDATE_COMPLETE"
        stack.status = "CREATE_COMPLETE" if succeeded else "ROLLBACK_COMPLETE"
        stack._add_stack_event(stack.status)
    for export in stack.exports:
        backend.exports[export.name] = export


def _fail_empty_change_sets() -> None:
    create = cfn.CloudFormationBackend.create_change_set

    def create_change_set(backend: Any, *args: Any, **kwargs: Any) -> Any:
        identifier, stack_id = create(backend, *args, **kwargs)
        change_set = backend.change_sets[identifier]
        same_outputs = change_set.template_dict.get("Outputs") == change_set.stack.template_dict.get("Outputs")
        if change_set.change_set_type == "UPDATE" and not change_set.changes and same_outputs:
            change_set.status, change_set.execution_status = "FAILED", "UNAVAILABLE"
            change_set.status_reason = _NO_CHANGES
        elif change_set.changes:
            change_set.status, change_set.execution_status, change_set.status_reason = (
                "CREATE_COMPLETE",
                "AVAILABLE",
                None,
            )
        return identifier, stack_id

    cfn.CloudFormationBackend.create_change_set = create_change_set
