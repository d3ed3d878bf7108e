"""Validates step arguments and property references against SageMaker's service model, as CreatePipeline does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from local_aws.errors import AwsError
from local_aws.sagemaker.pipelines import names
from local_aws.sagemaker.pipelines.reference_paths import Part, render
from local_aws.service_rules import checks
from local_aws.validation import constraints

_CREATE = {
    "Processing": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "RegisterModel": "CreateModelPackage",
    "Model": "CreateModel",
}
_DESCRIBE = {
    "Processing": "DescribeProcessingJob",
    "Training": "DescribeTrainingJob",
    "RegisterModel": "DescribeModelPackage",
    "Model": "DescribeModel",
}
# Pipelines generates these names; a job name in the arguments is used as a prefix.
_GENERATED_NAMES = frozenset({"ProcessingJobName", "TrainingJobName", "ModelName", "ModelPackageName"})
_INTEGER = re.compile(r"-?\d+")
_REFUSED = {"ModelPackageName"}


def is_function(value: Any) -> bool:
    """Whether `value` is a reference or function, resolved when the pipeline runs."""
    return isinstance(value, Mapping) and (set(value) == {"Get"} or any(str(key).startswith("Std:") for key in value))


@cache
def _model() -> Any:
    import botocore.session

    return botocore.session.Session().get_service_model("sagemaker")


def check_arguments(step_type: str, arguments: Mapping[str, Any]) -> None:
    """Validates arguments of a definition against the step's Create call, as far as they are literal.

    Raises:
        ValueError: an unknown, missing or malformed argument, with CreatePipeline's message if it is known.
    """
    shape = _model().operation_model(_CREATE[step_type]).input_shape
    _check(shape, arguments, top=True)
    _check_constraints(shape, arguments, constraints.Options(is_opaque=is_function, generated=_GENERATED_NAMES))


def check_request(step_type: str, arguments: Mapping[str, Any]) -> None:
    """Validates the resolved arguments of a job as its Create call does, service rules included.

    Raises:
        AwsError: with the Create call's code and message.
    """
    operation = _CREATE[step_type]
    shape = _model().operation_model(operation).input_shape
    request = as_request(shape, arguments)
    try:
        _check_constraints(shape, request, constraints.Options(generated=_GENERATED_NAMES))
    except ValueError as error:
        raise AwsError("ValidationException", str(error)) from error
    checks.check("sagemaker", operation, request)


def _check_constraints(shape: Any, arguments: Mapping[str, Any], options: constraints.Options) -> None:
    try:
        failures = constraints.find_failures(shape, arguments, options=options)
    except (constraints.WrongType, constraints.UnknownMember) as error:
        raise ValueError(str(error)) from error
    if failures:
        raise ValueError(constraints.message(failures))


def as_request(shape: Any, value: Any) -> Any:
    """`value` with its scalars in the types of the shape: a parameter may be a number where text is expected."""
    kind = shape.type_name
    if isinstance(value, Mapping) and kind == "structure":
        return {
            key: as_request(shape.members[key], item) if key in shape.members else item for key, item in value.items()
        }
    if isinstance(value, Mapping) and kind == "map":
        return {key: as_request(shape.value, item) for key, item in value.items()}
    if isinstance(value, list) and kind == "list":
        return [as_request(shape.member, item) for item in value]
    if kind == "string" and isinstance(value, int | float):
        return names.text(value)
    if kind in ("integer", "long") and isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    return value


def _check(shape: Any, value: Any, *, top: bool = False) -> None:  # noqa: PLR0912 - one branch per kind of shape
    if value is None:
        return
    kind = shape.type_name
    if kind == "list":
        if not isinstance(value, list):
            raise ValueError("Expecting start of Json Array.")
        for item in value:
            _check(shape.member, item)
    elif kind == "map":
        if not isinstance(value, Mapping):
            raise ValueError("Expecting start of Json Object.")
        for item in value.values():
            _check(shape.value, item)
    elif kind == "structure":
        if not isinstance(value, Mapping):
            raise ValueError("Expecting start of Json Object.")
        for name, item in value.items():
            if name not in shape.members or (top and name in _REFUSED):
                raise ValueError(f"Unknown Argument member '{name}'.")
            _check(shape.members[name], item)
        for name in shape.required_members:
            if value.get(name) is None and name not in _GENERATED_NAMES:
                raise ValueError(f"Missing required Argument member '{name}' of {shape.name}.")
    elif isinstance(value, list) or (isinstance(value, Mapping) and not is_function(value)):
        raise ValueError(f"Expecting a {kind} and not {type(value).__name__} for {shape.name}.")


def check_property(step_type: str, parts: Sequence[Part]) -> None:
    """Validates that the step's Describe call returns the property.

    Raises:
        ValueError: the type has no properties, or none at this path.
    """
    if step_type == "Condition" and tuple(parts) == ("Outcome",):
        return
    if step_type not in _DESCRIBE:
        raise ValueError(f"steps of type {step_type} have no properties")
    shape = _model().operation_model(_DESCRIBE[step_type]).output_shape
    for depth, part in enumerate(parts):
        member = None
        if shape.type_name == "structure" and isinstance(part, str):
            member = shape.members.get(part)
        elif shape.type_name == "map" and isinstance(part, str):
            member = shape.value
        elif shape.type_name == "list":
            member = shape.member
        if member is None:
            raise ValueError(f"{_DESCRIBE[step_type]} returns no '{render(parts[: depth + 1])}'")
        shape = member


def response_members(operation: str) -> frozenset[str]:
    """The members of an operation's response."""
    return frozenset(_model().operation_model(operation).output_shape.members)


def list_members(operation: str, member: str) -> frozenset[str]:
    """The members of each entry in the list `member` of an operation's response."""
    return frozenset(_model().operation_model(operation).output_shape.members[member].member.members)


def operations() -> tuple[str, ...]:
    """The names of SageMaker's operations."""
    return tuple(_model().operation_names)
