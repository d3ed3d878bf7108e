"""Errors that the command line reports, with their exit codes.

    FraudopsError            1   any other reported error
    ├── UsageError           2   an option has an invalid value, or options contradict each other
    ├── ConfigError          3   a file under model-config/ is invalid
    ├── DataError            4   transactions or labels break their contract
    ├── ArtifactError        5   a model archive is damaged, altered or of an unknown schema
    ├── GateFailed           6   the pipeline ran; the model failed the gate and is not registered
    ├── Refused              7   a safety rule forbids it; nothing was changed
    ├── TrainingFailed       8   the pipeline failed for a reason other than the gate
    ├── DeploymentFailed     9   the model does not serve; the former one still does
    ├── CloudError          10   AWS (or its emulator) cannot be reached, or lacks what is needed
    ├── GitError            11   the Git repository is missing, dirty or in conflict
    ├── GitHubError         12   GitHub cannot be reached, refuses, or lacks a setting that is needed
    └── NotReady            13   `doctor` found what will fail; `explain`, `history`, `status`: a disagreement

Exit code 0 is success; 2 is also that of an unknown option or verb. The codes are stable: workflows and runbooks rely
on them. A message is one line: what happened, where, the evidence and the next step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class FraudopsError(Exception):
    """Base of all reported errors: printed as one line; `exit_code` is the exit code."""

    exit_code: ClassVar[int] = 1


class UsageError(FraudopsError):
    """An option of the command line has an invalid value, or contradicts another. Nothing was changed."""

    exit_code = 2


class ConfigError(FraudopsError):
    """A file under model-config/ is missing, malformed or contradicts another."""

    exit_code = 3


class DataError(FraudopsError):
    """A transaction or label file breaks its contract; the message names file, line, column and value."""

    exit_code = 4


class ArtifactError(FraudopsError):
    """A model archive cannot be verified or read."""

    exit_code = 5


class GateFailed(FraudopsError):
    """The pipeline completed and the gate failed. No package was registered.

    `evaluation` is the whole evaluation.json at `evaluation_uri`: the evidence of the gate failure's record.
    """

    exit_code = 6

    def __init__(
        self,
        message: str,
        *,
        evaluation: Mapping[str, Any] | None = None,
        evaluation_uri: str = "",
        execution_arn: str = "",
    ) -> None:
        super().__init__(message)
        self.evaluation = evaluation or {}
        self.evaluation_uri = evaluation_uri
        self.execution_arn = execution_arn

    @property
    def reason(self) -> str:
        """The verdict's reason; the error's message if there is no evaluation."""
        return str(self.evaluation.get("verdict", {}).get("reason") or self)


class Refused(FraudopsError):
    """A safety rule forbids the action. Nothing was changed."""

    exit_code = 7


class TrainingFailed(FraudopsError):
    """A pipeline execution failed or was stopped before the gate could decide."""

    exit_code = 8


class DeploymentFailed(FraudopsError):
    """The endpoint does not serve the approved model; the former model, if any, still serves."""

    exit_code = 9


class CloudError(FraudopsError):
    """AWS cannot be reached, refuses, or lacks a resource of the platform stack."""

    exit_code = 10


class GitError(FraudopsError):
    """The Git repository is missing, dirty or in conflict."""

    exit_code = 11


class GitHubError(FraudopsError):
    """GitHub cannot be reached, refuses, or its repository lacks a setting; a rerun resumes."""

    exit_code = 12


class NotReady(FraudopsError):
    """A read-only verb found a fault: what will fail (`doctor`), or sources that disagree (`explain`, `history`,
    `status`). Nothing was changed."""

    exit_code = 13
