"""Rules of CloudFormation's requests: sizes of a template, its parameters and the capabilities that it needs.

Reads the template as the request gives it; resolves no reference and creates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check

_TEMPLATE_BYTES = 51_200
_SECTIONS = {"Resources": 500, "Parameters": 200, "Outputs": 200}
_IAM_NAMES = {
    "AWS::IAM::AccessKey": "",
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Policy": "",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::IAM::UserToGroupAddition": "",
}
"""The types that need a capability, with the property that is a custom name."""


def _template_size(parameters: Mapping[str, Any]) -> None:
    body = parameters.get("TemplateBody") or ""
    if len(body.encode()) > _TEMPLATE_BYTES:
        raise violation("cloudformation-template-size", value=body, limit=_TEMPLATE_BYTES)


def _template(parameters: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The template; None if there is none to read, which its handler reports."""
    import yaml
    from moto.cloudformation.models import Stack

    body = parameters.get("TemplateBody")
    if body is None and parameters.get("UsePreviousTemplate"):
        stack = account_state.stack(parameters["StackName"])
        body = stack.template if stack is not None else None
    if not body:
        return None
    try:
        template = Stack.parse_template(body)
    except (yaml.YAMLError, ValueError):  # refused where it is used
        return None
    return template if isinstance(template, dict) else None


def _sections(parameters: Mapping[str, Any]) -> None:
    template = _template(parameters)
    if template is None:
        return
    for section, limit in _SECTIONS.items():
        if (count := len(template.get(section) or {})) > limit:
            raise violation("cloudformation-section-size", section=section.lower(), count=count, limit=limit)
    if not template.get("Resources"):
        raise violation("cloudformation-no-resources")


def _capabilities(parameters: Mapping[str, Any]) -> None:
    resources = ((_template(parameters) or {}).get("Resources") or {}).values()
    found = [each for each in resources if isinstance(each, dict) and each.get("Type") in _IAM_NAMES]
    names = [_IAM_NAMES[each["Type"]] in (each.get("Properties") or {}) for each in found]
    needed = "CAPABILITY_NAMED_IAM" if any(names) else "CAPABILITY_IAM"
    given = parameters.get("Capabilities") or []
    if found and needed not in given and "CAPABILITY_NAMED_IAM" not in given:
        raise violation("cloudformation-capabilities", capability=needed)


def _values(parameters: Mapping[str, Any]) -> None:
    template = _template(parameters)
    if template is None:
        return
    declared: Mapping[str, Any] = template.get("Parameters") or {}
    stack = account_state.stack(parameters["StackName"])
    previous = dict(getattr(stack, "stack_parameters", None) or {})
    given: dict[str, str] = {}
    for item in parameters.get("Parameters") or []:
        name, value = item.get("ParameterKey", ""), item.get("ParameterValue")
        if item.get("UsePreviousValue") and name in previous:
            value = previous[name]
        if value is not None:
            given[name] = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    if unknown := [name for name in given if name not in declared]:
        raise violation("cloudformation-parameter-unknown", names=", ".join(unknown))
    if missing := [name for name, each in declared.items() if name not in given and "Default" not in each]:
        raise violation("cloudformation-parameter-missing", names=", ".join(missing))
    for name, each in declared.items():
        _check_value(name, each, given[name] if name in given else _text(each["Default"]))


def _check_value(name: str, declared: Mapping[str, Any], value: str) -> None:
    """Refuses a value; of a list, each item has to satisfy the constraints."""
    for item in value.split(",") if _is_list(declared) else [value]:
        _check_item(name, declared, item.strip() if _is_list(declared) else item)


def _is_list(declared: Mapping[str, Any]) -> bool:
    kind = str(declared.get("Type"))
    return kind == "CommaDelimitedList" or kind.startswith("List<")


def _check_item(name: str, declared: Mapping[str, Any], value: str) -> None:
    pattern = declared.get("AllowedPattern")
    if pattern is not None and re.fullmatch(str(pattern), value) is None:
        if "ConstraintDescription" not in declared:
            raise violation("cloudformation-parameter-pattern", name=name, pattern=pattern)
        _refuse(name, declared, "")
    numeric = declared.get("Type") in ("Number", "List<Number>")
    number = _number(value) if numeric else None
    if numeric and number is None:
        _refuse(name, declared, "must be a number")
    if "AllowedValues" in declared and value not in map(_text, declared["AllowedValues"]):
        _refuse(name, declared, "must be one of AllowedValues")
    measured, unit = (number, "be a number not") if number is not None else (float(len(value)), "contain at")
    low, high = ("MinValue", "MaxValue") if number is not None else ("MinLength", "MaxLength")
    if low in declared and measured < float(declared[low]):
        _refuse(name, declared, f"must {unit} {_BOUND[low].format(declared[low])}")
    if high in declared and measured > float(declared[high]):
        _refuse(name, declared, f"must {unit} {_BOUND[high].format(declared[high])}")


_BOUND = {
    "MinValue": "less than {}",
    "MaxValue": "greater than {}",
    "MinLength": "least {} characters",
    "MaxLength": "most {} characters",
}


def _refuse(name: str, declared: Mapping[str, Any], requirement: str) -> None:
    description = declared.get("ConstraintDescription")
    if description is not None:
        raise violation("cloudformation-parameter-described", name=name, description=description)
    raise violation("cloudformation-parameter-value", name=name, requirement=requirement)


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


_CHANGES: tuple[Check, ...] = (_template_size, _sections, _capabilities, _values)
CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("cloudformation", "CreateStack"): _CHANGES,
    ("cloudformation", "UpdateStack"): _CHANGES,
    ("cloudformation", "CreateChangeSet"): _CHANGES,
    ("cloudformation", "ValidateTemplate"): (_template_size, _sections),
    ("cloudformation", "GetTemplateSummary"): (_template_size,),
}
"""By service and operation."""
