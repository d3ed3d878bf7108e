"""Validates step arguments and property references against SageMaker's service model, as CreatePipeline does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from local_aws.sagemaker.pipelines.reference_paths import Part, render

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
_GENERATED_NAMES = {"ProcessingJobName", "TrainingJobName", "ModelName", "ModelPackageName"}
_REFUSED = {"ModelPackageName"}


def is_function(value: Any) -> bool:
    """Whether `value` is a reference or function, resolved when the pipeline runs."""
    return isinstance(value, Mapping) and (set(value) == {"Get"} or any(str(key).startswith("Std:") for key in value))


@cache
def _model() -> Any:
    import botocore.session

    return botocore.session.Session().get_service_model("sagemaker")


def check_arguments(step_type: str, arguments: Mapping[str, Any]) -> None:
    """Validates arguments against the step's Create call.

    Raises:
        ValueError: an unknown, missing or malformed argument, with CreatePipeline's message if it is known.
    """
    _check(_model().operation_model(_CREATE[step_type]).input_shape, arguments, top=True)


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
