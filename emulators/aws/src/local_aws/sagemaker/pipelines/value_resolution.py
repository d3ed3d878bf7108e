"""Resolves references and functions in a step's arguments during an execution."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.sagemaker.pipelines import names, reference_paths
from local_aws.sagemaker.pipelines.definition import Step
from local_aws.sagemaker.pipelines.jobs.storage import ClientFault, Storage


@dataclass(frozen=True)
class Scope:
    """The values that arguments can refer to: parameters, execution variables, properties of finished steps."""

    parameters: Mapping[str, Any]
    variables: Mapping[str, Any]
    steps: Mapping[str, Step]
    properties: Callable[[str], Mapping[str, Any]]
    storage: Storage

    def resolve(self, value: Any) -> Any:
        """`value` with references and functions resolved; members without a value are omitted.

        Raises:
            ClientFault: a path does not exist, or a property file is missing or not JSON.
        """
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        if set(value) == {"Get"}:
            return self._get(value["Get"])
        if set(value) == {"Std:Join"}:
            join = value["Std:Join"]
            return str(join["On"]).join(names.text(self.resolve(item)) for item in join["Values"])
        if set(value) == {"Std:JsonGet"}:
            return self._json_get(value["Std:JsonGet"])
        return {key: self.resolve(item) for key, item in value.items() if item is not None}

    def _get(self, target: str) -> Any:
        root, *rest = reference_paths.parse(target)
        name = str(rest[0])
        if root == "Parameters":
            return self.parameters[name]
        if root == "Execution":
            return names.iso(names.now()) if name == "CurrentDateTime" else self.variables[name]
        try:
            return reference_paths.resolve(self.properties(name), rest[1:])
        except reference_paths.PathError as error:
            raise ClientFault(f"Failed to resolve '{target}': {error}") from error

    def _json_get(self, get: Mapping[str, Any]) -> Any:
        if "S3Uri" in get:
            uri = names.text(self.resolve(get["S3Uri"]))
        else:
            file = get["PropertyFile"]
            uri = self._property_file_uri(file["Get"] if isinstance(file, Mapping) else file)
        try:
            content = json.loads(self.storage.read(uri))
        except ValueError as error:
            raise ClientFault(f"Failed to read property file {uri}: it is not JSON ({error})") from error
        try:
            return reference_paths.resolve(content, reference_paths.parse(get["Path"]))
        except reference_paths.PathError as error:
            raise ClientFault(f"Failed to evaluate JsonGet on {uri}: path {error}") from error

    def _property_file_uri(self, target: str) -> str:
        _, step, _, name = reference_paths.parse(target)
        declared = self.steps[str(step)].property_files[str(name)]
        output = reference_paths.resolve(
            self.properties(str(step)),
            ("ProcessingOutputConfig", "Outputs", declared["OutputName"], "S3Output", "S3Uri"),
        )
        return f"{str(output).rstrip('/')}/{declared['FilePath'].lstrip('/')}"
