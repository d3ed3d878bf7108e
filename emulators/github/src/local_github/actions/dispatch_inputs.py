"""Validates the inputs of `workflow_dispatch` and fills in defaults, as GitHub does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_github.actions.workflow_file import Workflow, WorkflowInvalid

_TYPES = ("string", "boolean", "number", "choice", "environment")
_MAX_INPUTS = 25


class DispatchRefused(ValueError):
    """A dispatch that GitHub refuses with 422; the message is GitHub's."""


def resolve(workflow: Workflow, given: Mapping[str, Any]) -> dict[str, str]:
    """The inputs of a dispatch with defaults, all as text (`true` and `false` for booleans).

    Raises:
        DispatchRefused: the workflow has no workflow_dispatch, or `given` does not match its declaration.
    """
    if "workflow_dispatch" not in workflow.on:
        raise DispatchRefused("Workflow does not have 'workflow_dispatch' trigger")
    declared: Mapping[str, Any] = workflow.on["workflow_dispatch"].get("inputs") or {}
    if len(declared) > _MAX_INPUTS:
        raise WorkflowInvalid(f"{workflow.path}: more than {_MAX_INPUTS} inputs")
    if unexpected := [name for name in given if name not in declared]:
        quoted = ", ".join(f'"{name}"' for name in unexpected)
        raise DispatchRefused(f"Unexpected inputs provided: [{quoted}]")
    return {name: _value(workflow, name, specification or {}, given) for name, specification in declared.items()}


def _value(workflow: Workflow, name: str, specification: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    kind = specification.get("type", "string")
    options = [str(option) for option in specification.get("options") or ()]
    if kind not in _TYPES or (kind == "choice" and not options):
        raise WorkflowInvalid(
            f"{workflow.path}: input {name}: type must be one of {', '.join(_TYPES)}; a choice has options"
        )
    if name in given and given[name] is not None:
        value = given[name]
        if isinstance(value, dict | list):
            raise DispatchRefused(f"Invalid value for input '{name}': must be a string")
    elif "default" in specification:
        value = specification["default"]
    elif specification.get("required") is True:
        raise DispatchRefused(f"Required input '{name}' not provided")
    else:
        value = False if kind == "boolean" else options[0] if kind == "choice" else ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if specification.get("required") is True and text == "":
        raise DispatchRefused(f"Required input '{name}' not provided")
    if kind == "boolean" and text not in ("true", "false"):
        raise DispatchRefused(f"Provided value '{text}' for input '{name}' is not a boolean")
    if kind == "choice" and text not in options:
        raise DispatchRefused(f"Provided value '{text}' for input '{name}' not in the list of allowed values")
    if kind == "number" and text and not _is_number(text):
        raise DispatchRefused(f"Provided value '{text}' for input '{name}' is not a number")
    return text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
