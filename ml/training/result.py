"""The result of a training run, and of a dry run. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml import config
from ml.model.run_kinds import RunKind


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """A model package that the pipeline registered, and its evaluation."""

    execution_arn: str
    package_arn: str
    version: int
    kind: RunKind
    commit: str
    requests: tuple[str, ...]
    evaluation: Mapping[str, Any]
    """The whole evaluation.json."""
    evaluation_uri: str
    seconds: Mapping[str, float]
    """Duration of each step; 0 for cached steps."""


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """The inputs that a training run would have."""

    kind: RunKind
    commit: str
    requests: tuple[str, ...]
    window: config.Window
    imports: tuple[str, ...]
    rows: int
    frauds: int
    data_sha256: str
    config_sha256: str
    code_sha256: str
    definition_sha256: str
    champion: int | None
    champion_sha256: str | None
    instance_type: str
    execution_arn: str | None
    """An existing execution with the same inputs, which a run would resume."""
