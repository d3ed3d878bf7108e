"""Reads and writes the gate's result, which `train` passes to `propose` or `record-failure`. Decides nothing.

It carries names and evidence only: `propose` reads the registry again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ml import atomic_file
from ml.errors import ConfigError, GateFailed
from ml.model import run_kinds
from ml.model.run_kinds import RunKind
from ml.training.result import TrainingResult

_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """The gate's result for one training run; `package_arn` and `version` are None after a gate failure."""

    verdict: Literal["passed", "failed"]
    reason: str
    """The verdict's reason."""
    execution_arn: str
    package_arn: str | None
    version: int | None
    kind: RunKind
    commit: str
    requests: tuple[str, ...]
    asked: str
    """The reason that a person gave for starting the run; '' for none."""
    evaluation: Mapping[str, Any]
    evaluation_uri: str

    @classmethod
    def of_success(cls, result: TrainingResult, *, asked: str) -> GateResult:
        """Of a registered package."""
        return cls(
            verdict="passed",
            reason=result.evaluation["verdict"]["reason"],
            execution_arn=result.execution_arn,
            package_arn=result.package_arn,
            version=result.version,
            kind=result.kind,
            commit=result.commit,
            requests=result.requests,
            asked=asked,
            evaluation=result.evaluation,
            evaluation_uri=result.evaluation_uri,
        )

    @classmethod
    def of_failure(cls, error: GateFailed, parameters: Mapping[str, str], *, asked: str) -> GateResult:
        """Of a failed gate; `parameters` are the execution's, which name commit and requests."""
        return cls(
            verdict="failed",
            reason=error.reason,
            execution_arn=error.execution_arn,
            package_arn=None,
            version=None,
            kind=run_kinds.parse(parameters["Kind"]),
            commit=parameters["Commit"],
            requests=tuple(parameters.get("Requests", "").split()),
            asked=asked,
            evaluation=error.evaluation,
            evaluation_uri=error.evaluation_uri,
        )

    @property
    def execution_id(self) -> str:
        """The execution's own part of its ARN."""
        return self.execution_arn.rsplit("/", 1)[-1]

    def write(self, file: Path) -> None:
        """Writes `file`, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file.replacing(file) as draft:
            draft.write_text(json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> GateResult:
        """The result in `file`. Raises ConfigError if there is none, or if `train` did not write it."""
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                f"{file}: no such file; `fraudops train --outcome {file}` writes it once the gate has decided"
            ) from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"{file}: must be what `fraudops train --outcome` writes ({error})") from error
        fields = dict(document) if isinstance(document, dict) else {}
        if fields.pop("schema", None) != _SCHEMA or set(fields) != set(cls.__dataclass_fields__):
            raise ConfigError(f"{file}: must be what this version's `fraudops train --outcome` writes; train again")
        return cls(**(fields | {"requests": tuple(fields["requests"])}))
