"""Parses and validates a pipeline definition (JSON, version 2020-12-01) before any of it runs.

CreatePipeline, UpdatePipeline and StartPipelineExecution all refuse what is refused here.
"""

from __future__ import annotations

import graphlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from local_aws.errors import AwsError
from local_aws.sagemaker.pipelines import argument_validation, conditions, parameters, reference_paths, step_cache
from local_aws.sagemaker.pipelines.retry_policies import RetryPolicy

VERSION = "2020-12-01"
EXECUTED_TYPES = ("Processing", "Training", "Condition", "RegisterModel", "Model", "Fail")
_UNSUPPORTED_TYPES = (
    "Transform", "Tuning", "AutoML", "Lambda", "Callback", "EMR", "EMRServerless", "QualityCheck", "ClarifyCheck",
    "NotebookJob", "Endpoint", "EndpointConfig", "InferenceComponent", "Lineage", "ForEach", "Job", "Cleanup",
)  # fmt: skip
_STEP_MEMBERS = {
    "Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description", "CacheConfig", "PropertyFiles",
    "RetryPolicies",
}  # fmt: skip
_EXECUTION_VARIABLES = {
    "StartDateTime", "CurrentDateTime", "PipelineName", "PipelineArn", "PipelineExecutionId",
    "PipelineExecutionArn", "TrainingJobName", "ProcessingJobName",
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step; `needs` are the steps that must succeed before it starts."""

    name: str
    type: str
    arguments: Mapping[str, Any]
    display_name: str
    description: str
    property_files: Mapping[str, Mapping[str, str]]
    retry_policies: tuple[RetryPolicy, ...]
    cached_for: timedelta | None  # None: not cached
    needs: frozenset[str] = frozenset()
    branch: tuple[str, bool] | None = None  # the Condition step it belongs to, and the outcome that runs it


@dataclass(frozen=True)
class Definition:
    """A validated definition: its parameters and all steps, including those in branches, by name and in order."""

    parameters: Mapping[str, parameters.Parameter]
    steps: Mapping[str, Step]
    experiment: Mapping[str, Any] = field(default_factory=dict)


def parse(text: str) -> Definition:
    """Parses and validates a definition.

    Raises:
        AwsError: ValidationException for a malformed, unknown, duplicate or cyclic part.
    """
    try:
        raw = json.loads(text)
        if not isinstance(raw, dict):
            raise ValueError("Expecting start of Json Object.")  # noqa: TRY004, TRY301
        return _parse_definition(raw)
    except (ValueError, RecursionError) as error:
        reason = str(error) if not isinstance(error, json.JSONDecodeError) else f"Invalid JSON: {error}"
        raise AwsError("ValidationException", f"Unable to parse pipeline definition. {reason}") from error


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Every reference in a JSON value, as ("Get" or "PropertyFile", path); ValueError for an unknown function."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, Mapping):
        for key in value:
            if key.startswith("Std:") and key not in ("Std:Join", "Std:JsonGet"):
                raise ValueError(f"Unknown function '{key}'.")
        if set(value) == {"Get"}:
            if not isinstance(value["Get"], str):
                raise ValueError(f"The value of Get must be a string (got {value['Get']!r}).")
            yield "Get", value["Get"]
        elif set(value) == {"Std:Join"}:
            join = value["Std:Join"]
            if not isinstance(join, Mapping) or not isinstance(join.get("Values"), list) or "On" not in join:
                raise ValueError("Std:Join must have 'On' and a list of 'Values'.")
            yield from references(join["Values"])
        elif set(value) == {"Std:JsonGet"}:
            yield from _json_get_references(value["Std:JsonGet"])
        else:
            for item in value.values():
                yield from references(item)


def _json_get_references(get: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(get, Mapping) or not isinstance(get.get("Path"), str):
        raise ValueError("Std:JsonGet must have a 'Path' and a 'PropertyFile' or an 'S3Uri'.")  # noqa: TRY004
    reference_paths.parse(get["Path"])
    if "S3Uri" in get:
        yield from references(get["S3Uri"])
        return
    file = get.get("PropertyFile")
    target = file.get("Get") if isinstance(file, Mapping) else file
    if not isinstance(target, str):
        raise ValueError("The PropertyFile of Std:JsonGet must be a reference.")  # noqa: TRY004
    yield "PropertyFile", target


def _parse_definition(raw: Mapping[str, Any]) -> Definition:
    if raw.get("Version") != VERSION:
        raise ValueError(f"Unsupported version {raw.get('Version')!r}, must be '{VERSION}'.")
    declared = parameters.parse_declarations(raw.get("Parameters") or [])
    steps: dict[str, Step] = {}
    for step in _parse_steps(raw.get("Steps"), None):
        if step.name in steps:
            raise ValueError(f"Duplicate step names found: [{step.name}]")
        steps[step.name] = step
    if not steps:
        raise ValueError("A pipeline must have at least one step.")
    resolved = {name: _resolve_dependencies(step, steps, declared) for name, step in steps.items()}
    experiment = raw.get("PipelineExperimentConfig") or {}
    for _, target in references(experiment):
        _referenced_steps(target, None, steps, declared)
    try:
        graphlib.TopologicalSorter({name: step.needs for name, step in resolved.items()}).prepare()
    except graphlib.CycleError as error:
        raise ValueError(f"Cycle detected in the steps: {' -> '.join(reversed(error.args[1]))}") from error
    return Definition(declared, resolved, experiment)


def _parse_steps(raw: Any, branch: tuple[str, bool] | None) -> Iterator[Step]:
    if not isinstance(raw, list):
        raise ValueError("Expecting start of Json Array.")  # noqa: TRY004
    for item in raw:
        step = _parse_step(item, branch)
        yield step
        if step.type == "Condition":
            yield from _parse_steps(step.arguments.get("IfSteps") or [], (step.name, True))
            yield from _parse_steps(step.arguments.get("ElseSteps") or [], (step.name, False))


def _parse_step(raw: Any, branch: tuple[str, bool] | None) -> Step:
    if not isinstance(raw, Mapping):
        raise ValueError("Expecting start of Json Object.")  # noqa: TRY004
    name, kind, arguments = raw.get("Name"), raw.get("Type"), raw.get("Arguments")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9\-_]{1,64}", name):
        raise ValueError(f"Invalid step name {name!r}.")
    if kind in _UNSUPPORTED_TYPES:
        raise ValueError(f"Step '{name}': the AWS emulator does not execute steps of type '{kind}'.")
    if kind not in EXECUTED_TYPES:
        raise ValueError(f"Step '{name}' has unknown step type '{kind}'.")
    if unknown := set(raw) - _STEP_MEMBERS:
        raise ValueError(f"Cannot parse object, unknown property '{min(unknown)}' of step '{name}'.")
    if not isinstance(arguments, Mapping):
        raise ValueError(f"Step '{name}' must have Arguments.")  # noqa: TRY004
    try:
        _validate_arguments(kind, arguments)
        cached = step_cache.lifetime(raw.get("CacheConfig"), kind)
        policies = tuple(RetryPolicy.parse(p) for p in raw.get("RetryPolicies") or [])
        files = {f["PropertyFileName"]: _parse_property_file(f) for f in raw.get("PropertyFiles") or []}
    except ValueError as error:
        raise ValueError(f"{error} (step '{name}')") from error
    return Step(
        name, kind, arguments, raw.get("DisplayName") or name, raw.get("Description") or "", files, policies, cached,
        frozenset(raw.get("DependsOn") or []), branch,
    )  # fmt: skip


def _validate_arguments(kind: str, arguments: Mapping[str, Any]) -> None:
    if kind == "Condition":
        if unknown := set(arguments) - {"Conditions", "IfSteps", "ElseSteps"}:
            raise ValueError(f"Unknown Argument member '{min(unknown)}'.")
        if not isinstance(arguments.get("Conditions"), list) or not arguments["Conditions"]:
            raise ValueError("Conditions must be a list of at least one condition.")
        for condition in arguments["Conditions"]:
            conditions.validate(condition)
    elif kind == "Fail":
        if set(arguments) != {"ErrorMessage"}:
            raise ValueError("A Fail step has the one argument 'ErrorMessage'.")
    else:
        argument_validation.check_arguments(kind, arguments)


def _parse_property_file(raw: Mapping[str, Any]) -> Mapping[str, str]:
    for name in ("PropertyFileName", "OutputName", "FilePath"):
        if not isinstance(raw.get(name), str):
            raise ValueError(f"A property file must have '{name}'.")  # noqa: TRY004
    return dict(raw)


def _resolve_dependencies(step: Step, steps: Mapping[str, Step], declared: Mapping[str, parameters.Parameter]) -> Step:
    """`step` with `needs` from its references, each of which is validated."""
    own_arguments = step.arguments["Conditions"] if step.type == "Condition" else step.arguments
    needs = set(step.needs)
    for name in needs:
        if name not in steps:
            raise ValueError(f"Step '{step.name}' depends on step '{name}', which does not exist.")
    try:
        for kind, target in references(own_arguments):
            needs |= _referenced_steps(target, step, steps, declared, file=kind == "PropertyFile")
    except ValueError as error:
        raise ValueError(f"{error} (step '{step.name}')") from error
    for file in step.property_files.values():
        if file["OutputName"] not in _output_names(step):
            raise ValueError(
                f"Property file '{file['PropertyFileName']}' of step '{step.name}' is of output "
                f"'{file['OutputName']}', which the step does not have."
            )
    if step.branch:
        needs.add(step.branch[0])
    return Step(**{**vars(step), "needs": frozenset(needs)})


def _output_names(step: Step) -> set[Any]:
    outputs = (step.arguments.get("ProcessingOutputConfig") or {}).get("Outputs") or []
    return {output.get("OutputName") for output in outputs}


def _referenced_steps(
    target: str,
    step: Step | None,
    steps: Mapping[str, Step],
    declared: Mapping[str, parameters.Parameter],
    *,
    file: bool = False,
) -> set[str]:
    """The step that a reference needs, if any; ValueError if its target does not exist."""
    root, *rest = reference_paths.parse(target)
    if file:
        if root != "Steps" or len(rest) != 3 or rest[1] != "PropertyFiles":
            raise ValueError(f"Invalid property file reference '{target}'.")
        source = steps.get(str(rest[0]))
        if source is None or rest[2] not in source.property_files:
            raise ValueError(f"Property file reference '{target}' is to a file that no step declares.")
        return {source.name}
    if root == "Parameters" and len(rest) == 1:
        if rest[0] not in declared:
            raise ValueError(f"Reference '{target}' is to a parameter that the pipeline does not declare.")
        return set()
    if root == "Execution" and len(rest) == 1:
        own = {"TrainingJobName": "Training", "ProcessingJobName": "Processing"}.get(str(rest[0]))
        if rest[0] not in _EXECUTION_VARIABLES or (own and (step is None or step.type != own)):
            raise ValueError(f"Unknown execution variable '{target}'.")
        return set()
    if root == "Steps" and len(rest) > 1 and step is not None:
        source = steps.get(str(rest[0]))
        if source is None:
            raise ValueError(f"Reference '{target}' is to a step that does not exist.")
        try:
            argument_validation.check_property(source.type, rest[1:])
        except ValueError as error:
            raise ValueError(f"Invalid reference '{target}': {error}.") from error
        return {source.name}
    raise ValueError(f"Invalid reference '{target}'.")
