"""Schemas of what a job with an AWS role hands to the job that pushes to main, which trusts nothing in it.

No file of the repository: each document is an output of a job in which every package of the run lock runs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from ml.config.record_files import Window
from ml.config.yaml_models import AsTuple, Commit, File, S3Uri, Text
from ml.model.run_kinds import RunKind

MAX_BYTES = 96 * 1024
"""Size of the document. It reaches the next job as an environment variable, which Linux limits to 128 KiB."""
DEPLOYED = ("package", "order", "endpoint", "variant", "scaling", "configuration", "model", "archive")
"""The subjects of `fraudops status` that a deployment changes."""


class WholeWindow(File):
    """A window of event time with both limits, start included, end excluded."""

    start: AwareDatetime
    end: AwareDatetime

    @model_validator(mode="after")
    def _ordered(self) -> WholeWindow:
        Window(start=self.start, end=self.end)
        return self


class ChosenWindow(WholeWindow):
    """The training window of a request, with what was counted in it."""

    rows: Annotated[int, Field(ge=1)]
    frauds: Annotated[int, Field(ge=0)]
    test_frauds: Annotated[int, Field(ge=0)]
    grown_days: Annotated[int, Field(ge=0)]


class DueRequest(File):
    """A drift decision that is due. It names no file: the id follows from `kind` and the end of `fired`.

    Exactly one of `window` and `not_enough_labels` is given.
    """

    kind: Literal["concept", "data", "prediction"]
    run_kind: RunKind
    """The kind of training run that it asks for."""
    fired: WholeWindow
    """The latest window that fired."""
    onset: AwareDatetime
    reason: Text
    evidence: dict[str, Any]
    window: ChosenWindow | None
    not_enough_labels: Text | None

    @model_validator(mode="after")
    def _either(self) -> DueRequest:
        if (self.window is None) == (self.not_enough_labels is None):
            raise ValueError("must have exactly one of window and not_enough_labels")
        return self


class DueRequests(File):
    """The decisions of one check, the strongest cause first; at most one of each kind."""

    due: Annotated[tuple[DueRequest, ...], AsTuple, Field(min_length=1, max_length=3)]

    @model_validator(mode="after")
    def _each_kind_once(self) -> DueRequests:
        kinds = [each.kind for each in self.due]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"must have each kind at most once (got {', '.join(kinds)})")
        return self


class Check(File):
    """A check of the gate, and what a comparison with the champion showed; None for a limit."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    passed: bool
    detail: Text
    outcome: Literal["better", "not worse", "worse", "cannot tell"] | None = None


class SliceFrauds(File):
    """The frauds among the rows of one kind in the comparison with the champion."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    positives: Annotated[int, Field(ge=0)]


class Figure(File):
    """A figure of the evaluation, as `metric_tables.metrics` shows it; `value` is None if it was not measured."""

    value: float | None
    low: float | None = None
    high: float | None = None
    count: int | None = None
    of: int | None = None
    reason: Text | None = None

    @model_validator(mode="after")
    def _pairs(self) -> Figure:
        for first, second in (("low", "high"), ("count", "of")):
            if (getattr(self, first) is None) != (getattr(self, second) is None):
                raise ValueError(f"must have both of {first} and {second}, or neither")
        return self


class BudgetOption(File):
    """What one share of alerts would alert, find and miss on the test rows, as `metric_tables.budget` shows it."""

    alert_share: float
    threshold: float
    alerts: int
    alerts_per_day: float | None
    recall: Figure
    value_recall: float | None
    value_missed: float | None
    false_positive_rate: float | None


class Budget(File):
    """Whether the alert budget suffices, and what others would cost and find."""

    shortfall: Text | None
    exceeded: bool
    """Whether no model could find as many frauds as are wanted within the budget."""
    needed: BudgetOption | None
    days: float
    options: Annotated[tuple[BudgetOption, ...], AsTuple, Field(max_length=50)]


class GateFailure(File):
    """A failed gate: what its record on main contains, and the evidence of its issue."""

    reason: Text
    execution_arn: Annotated[
        str,
        Field(
            pattern=r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:pipeline/[A-Za-z0-9-]{1,256}/execution/[A-Za-z0-9-]{1,64}$"
        ),
    ]
    kind: RunKind
    commit: Commit
    requests: Annotated[
        tuple[Annotated[str, Field(pattern=r"^\d{8}T\d{6}Z-[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)], ...],
        AsTuple,
        Field(max_length=100),
    ]
    asked: Annotated[str, Field(max_length=1024)]
    evaluation_uri: S3Uri
    checks: Annotated[tuple[Check, ...], AsTuple, Field(max_length=50)]
    slices: Annotated[tuple[SliceFrauds, ...], AsTuple, Field(max_length=50)]
    not_compared: Text | None
    """Why the model was not compared with the champion; None if it was, or if there is none."""
    metrics: Annotated[dict[Annotated[str, Field(max_length=64)], Figure], Field(max_length=50)]
    budget: Budget


class Difference(File):
    """A difference of the account from Git, as `fraudops status` names it.

    What deploy.yml puts back is among the subjects that it deploys, so that a title or a reason can name it.
    """

    subject: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,199}$")]
    detail: Text
    remedy: Literal["deploy.yml", "template", "autoscaling", "person"]

    @model_validator(mode="after")
    def _is_deployed(self) -> Difference:
        if self.remedy == "deploy.yml" and self.subject not in DEPLOYED:
            raise ValueError(f"must be one of {', '.join(DEPLOYED)} where deploy.yml puts it back (got {self.subject})")
        return self


class Differences(File):
    """What a comparison of the account with Git found, and what it knows that speaks against a deployment."""

    commit: Commit
    """The commit that was compared."""
    compared: AwareDatetime
    """When the comparison began."""
    unsettled: Text | None
    """Why what serves could not be compared, for example because the endpoint is being updated."""
    undeployed: Text | None
    """Why what Git says was not deployed before."""
    found: Annotated[tuple[Difference, ...], AsTuple, Field(max_length=200)]

    @model_validator(mode="after")
    def _each_subject_once(self) -> Differences:
        subjects = [each.subject for each in self.found]
        if len(set(subjects)) != len(subjects):
            raise ValueError("must have each subject at most once")
        return self
