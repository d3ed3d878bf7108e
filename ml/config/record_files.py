"""Schemas of the files that the loop writes below model-config/: approvals, retrain requests, gate failures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from ml.config.yaml_models import AsTuple, Commit, File, PackageArn, S3Uri, Sha256, Text
from ml.model import run_kinds
from ml.model.run_kinds import RunKind


class Artifact(File):
    """Where the model archive is, and its digest."""

    uri: S3Uri
    sha256: Sha256


class Container(File):
    """The inference container. It is in Git too, because a package in the registry can be edited after its approval."""

    image: Text
    environment: dict[str, str]


class Window(File):
    """A window of event time, start included, end excluded. null means no limit on that side."""

    start: AwareDatetime | None
    end: AwareDatetime | None

    @model_validator(mode="after")
    def _ordered(self) -> Window:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"must have start before end (got {self.start.isoformat()} and {self.end.isoformat()})")
        return self


class TrainingData(File):
    """The data that a model was trained and tested on."""

    sha256: Sha256
    window: Window
    rows: Annotated[int, Field(ge=1)]
    frauds: Annotated[int, Field(ge=0)]


class Interval(File):
    """A figure with its confidence interval, and its counts (`count` of `of`) if it is a rate."""

    value: float
    low: float
    high: float
    count: int | None
    of: int | None


class Evaluation(File):
    """Where evaluation.json is, and its digest as the registry holds it."""

    uri: S3Uri
    sha256: Sha256


class Verdict(File):
    """The verdict of the gate, verbatim."""

    status: Literal["passed", "failed"]
    reason: Text


class Champion(File):
    """The model that served when this one was tested, and their comparison on the same rows."""

    approval: Annotated[int, Field(ge=1)]
    model_package_arn: PackageArn
    artifact_sha256: Sha256
    comparison: Literal["compared", "not possible"]
    reason: Text


class ApprovalRecord(File):
    """model-config/approvals/NNNN.yaml: the model that a merge approves. Append-only."""

    approval: Annotated[int, Field(ge=1)]
    kind: RunKind
    model_package_arn: PackageArn
    artifact: Artifact
    container: Container
    commit: Commit
    config_sha256: Sha256
    data: TrainingData
    requests: Annotated[tuple[str, ...], AsTuple]
    execution_arn: Text
    evaluation: Evaluation
    metrics: dict[str, Interval]
    threshold: float
    verdict: Verdict
    champion: Champion | None
    not_reproducible: Text | None = None
    """Why training it again gives other bytes; None if nothing says so."""
    created: AwareDatetime

    @model_validator(mode="after")
    def _version(self) -> ApprovalRecord:
        if int(self.model_package_arn.rsplit("/", 1)[1]) != self.approval:
            raise ValueError(
                f"must have approval be the package's version (got {self.approval} and {self.model_package_arn})"
            )
        return self

    @model_validator(mode="after")
    def _champion_of_the_kind(self) -> ApprovalRecord:
        if run_kinds.needs_champion(self.kind) and self.champion is None:
            raise ValueError(f"must have a champion if kind is {self.kind!r}: that kind starts from the serving model")
        return self


class RetrainRequest(File):
    """model-config/retrain-requests/<utc>-<cause>.yaml: cause, kind and window of a retraining. Append-only."""

    kind: RunKind
    cause: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
    reason: Text
    window: Window
    evidence: dict[str, Any]

    @model_validator(mode="after")
    def _recent_rows_only(self) -> RetrainRequest:
        if run_kinds.needs_champion(self.kind) and self.window.start is None:
            raise ValueError(
                f"must have window.start if kind is {self.kind!r}: that kind uses recent rows only; name the time from "
                "which they count, or use kind 'fit'"
            )
        return self


class GateFailureRecord(File):
    """model-config/gate-failures/<utc>-<commit12>.yaml: a training run whose model failed the gate. Append-only.

    It resolves the requests of the run, as an approval does, so that no later run trains for them again.
    """

    kind: RunKind
    commit: Commit
    requests: Annotated[tuple[str, ...], AsTuple]
    verdict: Verdict
    evaluation_uri: S3Uri
    execution_arn: Text
    created: AwareDatetime
    budget_exceeded: bool = False
    """Whether no model could find as many frauds as are wanted within the alert budget: a person must decide."""

    @model_validator(mode="after")
    def _gate_failure(self) -> GateFailureRecord:
        if self.verdict.status != "failed":
            raise ValueError(f"must have a verdict whose status is 'failed' (got {self.verdict.status!r})")
        return self
