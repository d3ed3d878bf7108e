"""CloudFormation stacks that match their template: created, updated, rolled back, and changed by change sets.

moto skips types that it does not know and leaves partly created stacks. `install` replaces moto's functions with those
below, once per process.
"""

from __future__ import annotations

import inspect
from typing import Any

import moto.cloudformation.models as cfn
from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.responses import CloudFormationResponse, StackResourceDTO
from moto.core.responses import ActionResult

from local_aws.cloudformation import stack_drift, template_parser
from local_aws.cloudformation.resource_base import ResourceType
from local_aws.cloudformation.resource_map import ResourceMap
from local_aws.cloudformation.resource_types import find_resource_type
from local_aws.cloudformation.stack_authorization import acting_as
from local_aws.service_rules.catalog import violation

_moto_clean_json = parsing.clean_json
_moto_class_of = parsing.resource_class_from_type
_moto_name_property_of = parsing.resource_name_property_from_type
_NOT_UPDATABLE = frozenset({"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"})
_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


def install() -> None:
    """Replaces moto's stacks with those of this module, for this process."""
    template_parser.install()
    parsing.clean_json = _clean_json
    parsing.resource_class_from_type = _class_of
    parsing.resource_name_property_from_type = _name_property_of
    cfn.ResourceMap = ResourceMap
    cfn.Stack.create_resources = _create
    cfn.Stack.drift_information = stack_drift.NOT_CHECKED
    cfn.Stack.update = _update
    cfn.Stack.delete = _delete
    cfn.ChangeSet.diff = lambda change_set: change_set.stack.resource_map.preview(
        change_set.template_dict, change_set.parameters
    )
    cfn.ChangeSet.apply = lambda change_set: _apply(change_set.stack, change_set.template, change_set.parameters)
    cfn.CloudFormationBackend.execute_change_set = _execute_change_set
    cfn.CloudFormationBackend.delete_stack = _delete_stack
    cfn.CloudFormationBackend._resolve_update_parameters = _update_parameters
    CloudFormationResponse._validate_status = lambda _, stack: _refuse_unless_updatable(stack)
    CloudFormationResponse.list_stack_resources = _list_stack_resources
    _report_status_of_each_resource()
    _fail_empty_change_sets()


def _clean_json(document: Any, resources: Any) -> Any:
    """The document with its functions resolved; AWS::NoValue removes an element of a list, which moto keeps as None."""
    resolved = _moto_clean_json(document, resources)
    return [item for item in resolved if item is not None] if isinstance(document, list) else resolved


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
        with acting_as(stack.role_arn):
            stack.resource_map.create(stack.template_dict)
    except Exception as error:
        _record_failure(stack, "CREATE_FAILED", error)
        stack._add_stack_event("ROLLBACK_IN_PROGRESS", resource_status_reason=str(error))
        with acting_as(stack.role_arn):
            _roll_back_creation(stack, error)
        return
    stack.description = stack.template_dict.get("Description")
    stack.mark_creation_complete()


def _roll_back_creation(stack: Any, error: Exception) -> None:
    failures = stack.resource_map.roll_back_creation()
    _record_deletion_failures(stack, failures)
    stack.output_map = cfn.OutputMap(stack.resource_map, {}, stack.stack_id)
    status = "ROLLBACK_FAILED" if failures else "ROLLBACK_COMPLETE"
    stack._add_stack_event(status)
    stack.status, stack.stack_status_reason = status, str(error)


def _delete_stack(backend: Any, name_or_stack_id: str) -> None:
    """DeleteStack: a stack of which a resource cannot be deleted stays, in the state DELETE_FAILED."""
    found = [stack for stack in backend.stacks.values() if name_or_stack_id in (stack.name, stack.stack_id)]
    for stack in found:
        exports = [export.name for export in stack.exports]
        stack.delete()
        if stack.status != "DELETE_COMPLETE":
            continue
        backend.deleted_stacks[stack.stack_id] = backend.stacks.pop(stack.stack_id)
        for name in exports:
            backend.exports.pop(name, None)


def _delete(stack: Any) -> None:
    stack._add_stack_event("DELETE_IN_PROGRESS", resource_status_reason="User Initiated")
    list(stack.output_map.values())  # resolves the outputs, which moto does when they are asked for, while they exist
    failures = stack.resource_map.delete()
    status = "DELETE_FAILED" if failures else "DELETE_COMPLETE"
    reason = f"The following resource(s) failed to delete: [{', '.join(name for name, _ in failures)}]."
    _record_deletion_failures(stack, failures)
    stack._add_stack_event(status, resource_status_reason=reason if failures else None)
    stack.status, stack.stack_status_reason = status, reason if failures else None


def _record_deletion_failures(stack: Any, failures: list[tuple[str, Exception]]) -> None:
    for name, error in failures:
        kind, reason = stack.resource_map._resource_json_map[name]["Type"], _reason(error)
        stack.events.append(cfn.Event(stack.stack_id, stack.name, name, "", kind, "DELETE_FAILED", reason, None))


def _list_stack_resources(response: Any) -> ActionResult:
    """ListStackResources: moto says CREATE_COMPLETE of every resource, also of one that was deleted."""
    stack, resources = response.cloudformation_backend.list_stack_resources(response._get_param("StackName"))
    summaries = [
        {
            "LogicalResourceId": resource.logical_resource_id,
            "PhysicalResourceId": resource.physical_resource_id,
            "ResourceType": resource.cf_resource_type,
            "ResourceStatus": stack.resource_map.statuses[resource.logical_resource_id],
            "LastUpdatedTimestamp": stack.creation_time,
        }
        for resource in resources
    ]
    return ActionResult({"StackResourceSummaries": summaries})


def _report_status_of_each_resource() -> None:
    """moto reports the stack's status for each of its resources."""
    read = StackResourceDTO.__init__

    def init(record: Any, stack: Any, resource: Any) -> None:
        read(record, stack, resource)
        record.resource_status = stack.resource_map.statuses[resource.logical_resource_id]

    StackResourceDTO.__init__ = init


def _refuse_unless_updatable(stack: Any) -> None:
    if stack.status in _NOT_UPDATABLE:
        error = violation("cloudformation-stack-not-updatable", stack=stack.stack_id, status=stack.status)
        raise ValidationError(stack.stack_id, message=error.message)


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
        with acting_as(stack.role_arn):
            _apply_template(stack, template, parameters)
    except Exception as error:
        _record_failure(stack, "UPDATE_FAILED", error)
        stack._add_stack_event("UPDATE_ROLLBACK_IN_PROGRESS", resource_status_reason=str(error))
        with acting_as(stack.role_arn):
            _apply_template(stack, *previous, rollback=True)
        stack._add_stack_event("UPDATE_ROLLBACK_COMPLETE")
        stack.status, stack.stack_status_reason = "UPDATE_ROLLBACK_COMPLETE", str(error)
        return
    stack._add_stack_event("UPDATE_COMPLETE")
    stack.status = "UPDATE_COMPLETE"


def _apply_template(stack: Any, template: Any, parameters: dict[str, Any], *, rollback: bool = False) -> None:
    stack.template, stack.parameters = template, parameters
    stack.template_dict = stack.parse_template(template) if template else {"Resources": {}}
    stack.description = stack.template_dict.get("Description")
    stack.resource_map.update(stack.template_dict, parameters, rollback=rollback)
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
    stack.events.append(cfn.Event(stack.stack_id, stack.name, name, "", kind, status, _reason(error), None))


def _reason(error: Exception) -> str:
    return getattr(error, "description", None) or str(error) or type(error).__name__


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
        names = inspect.signature(create).bind(backend, *args, **kwargs).arguments
        for stack in list(backend.stacks.values()):
            if stack.name == names["stack_name"] and names["change_set_type"] == "UPDATE":
                _refuse_unless_updatable(stack)
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
