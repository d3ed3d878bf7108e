"""Schemas of the files that people write below model-config/: training, gate, drift."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from ml.config import data_file
from ml.config.compute import Compute, DriftCompute
from ml.config.yaml_models import AsTuple, File, OpenShare, Positive, Ratio, Share, ShareBelowOne
from ml.model import estimators

SPARK_ESTIMATOR = "logistic_regression"
"""The only estimator that a cluster fits."""


def _known_estimator(name: str) -> str:
    if name not in estimators.names():
        raise ValueError(estimators.unknown(name))
    return name


class _Split(File):
    train: OpenShare
    validation: OpenShare
    test: OpenShare

    @model_validator(mode="after")
    def _whole(self) -> _Split:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"must have train, validation and test add up to 1 (got {total:g})")
        return self


class _Binning(File):
    amount_bins: Annotated[int, Field(ge=0, le=100)]
    amount_tail: Annotated[tuple[OpenShare, ...], Field(max_length=20), AsTuple]
    hour_bins: Annotated[Literal[0, 1, 2, 3, 4, 6, 8, 12, 24], Field()]

    @model_validator(mode="after")
    def _tail_beyond_bins(self) -> _Binning:
        last = 1 - 1 / max(self.amount_bins, 1)
        if any(high <= low for low, high in pairwise((last, *self.amount_tail))):
            raise ValueError(
                f"must have amount_tail ascend from above {last:g}, the last edge of amount_bins "
                f"(got {', '.join(f'{level:g}' for level in self.amount_tail)})"
            )
        return self


class _Resampling(File):
    minority_ratio: Share
    neighbours: Annotated[int, Field(ge=1, le=50)]


class _Regression(File):
    l2_penalty: Annotated[float, Field(gt=0, le=100)]
    max_iterations: Annotated[int, Field(ge=1, le=100_000)]
    tolerance: Annotated[float, Field(gt=0, lt=1)]


class _Threshold(File):
    policy: Literal["max_recall_at_fpr", "alert_budget", "min_cost", "fixed"]
    value: Positive
    loss_share: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _fits_policy(self) -> _Threshold:
        if self.policy == "min_cost":
            if self.loss_share is None:
                raise ValueError("must have loss_share, the share of a fraud's amount that is lost, with min_cost")
        elif self.loss_share is not None:
            raise ValueError(f"must have no loss_share with the policy {self.policy}; only min_cost takes it")
        elif self.value >= 1:
            raise ValueError(f"must have a value below 1 with the policy {self.policy} (got {self.value:g})")
        return self


class _Categories(File):
    min_rows: Annotated[int, Field(ge=1, le=1_000_000)]
    max_values: Annotated[int, Field(ge=2, le=10_000)]


class _OutOfFold(File):
    below_alerts: Annotated[int, Field(ge=0, le=10_000)]
    blocks: Annotated[int, Field(ge=2, le=50)]


class ModelFile(File):
    """model-config/training/model.yaml: what is trained, and how. The columns are in data.yaml."""

    estimator: Annotated[str, AfterValidator(_known_estimator)]
    split: _Split
    binning: _Binning
    categories: _Categories
    resampling: _Resampling
    regression: _Regression
    threshold: _Threshold
    out_of_fold: _OutOfFold
    alert_budget: OpenShare
    min_recall_at_alert_budget: Share
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    compute: Compute

    @property
    def not_reproducible(self) -> str | None:
        """Why training again from the same commit and data gives other bytes; None if nothing here says so."""
        if self.compute.engine == "spark":
            return "compute.engine is spark: sums of several machines are rounded in the order in which they arrive"
        return None

    @model_validator(mode="after")
    def _spark_fits_sums(self) -> ModelFile:
        if self.compute.engine == "spark" and self.estimator != SPARK_ESTIMATOR:
            raise ValueError(
                f"must have the estimator {SPARK_ESTIMATOR} with compute.engine spark (got {self.estimator}): its fit "
                f"is a matter of sums, which machines can share"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _no_data(cls, document: Any) -> Any:
        if isinstance(document, dict) and "data" in document:
            raise ValueError(data_file.moved(document["data"]))
        return document


class _Challenger(File):
    policy: Literal["not_worse", "better"]
    max_recall_loss: Share
    max_precision_loss: Share
    max_average_precision_loss: Share
    max_false_positive_rate_gain: Share
    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    min_positives: Annotated[int, Field(ge=1)]


class GateFile(File):
    """model-config/training/gate.yaml: what a model must reach to be registered."""

    min_recall: ShareBelowOne
    """Recall must be more than this, so 1 would refuse every model."""
    max_false_positive_rate: Share
    decides: Literal["point", "bound"]
    min_positives: Annotated[int, Field(ge=1)]
    challenger: _Challenger


class _DriftSchema(File):
    max_missing: Share
    max_out_of_range: Share
    max_unseen: Share


class _DriftData(File):
    alpha: OpenShare
    min_ks: Share
    min_psi: Positive
    min_js: Share
    min_mean_shift: Positive
    min_chi_square: Positive


class _DriftPrediction(File):
    alpha: OpenShare
    min_ks: Share
    min_psi: Positive
    min_js: Share
    min_alert_rate_ratio: Ratio


class _DriftConcept(File):
    alpha: OpenShare
    min_recall_drop: Share
    min_precision_drop: Share
    min_fpr_ratio: Ratio
    alpha_amount_band: OpenShare
    min_band_ratio: Ratio
    alpha_daily: OpenShare


class LabelLimits(File):
    """When a day's labels are mature, and the share of a window's rows that must be on such days."""

    min_coverage: Annotated[float, Field(gt=0, le=1)]
    min_age_days: Annotated[int, Field(ge=0, le=365)]
    min_mature: Share


class _KOfN(File):
    windows: Annotated[int, Field(ge=1, le=24)]
    of: Annotated[int, Field(ge=1, le=24)]

    @model_validator(mode="after")
    def _fits(self) -> _KOfN:
        if self.windows > self.of:
            raise ValueError(f"must have windows be at most of (got {self.windows} of {self.of})")
        return self


class _DriftDecide(File):
    data: _KOfN
    prediction: _KOfN
    concept: _KOfN


class _PerCause(File):
    data: Annotated[int, Field(ge=0, le=366)]
    prediction: Annotated[int, Field(ge=0, le=366)]
    concept: Annotated[int, Field(ge=0, le=366)]


class _Ranking(File):
    max_false_positive_rate: OpenShare
    min_drop: OpenShare
    confidence: Annotated[float, Field(ge=0.5, lt=1)]
    min_frauds: Annotated[int, Field(ge=1)]


class TrainingWindowLimits(File):
    """How far back the training windows of `adapt` and `threshold` reach, and which days an adaptation uses."""

    adapt_days: Annotated[int, Field(ge=1, le=1_000)]
    adapt_min_coverage: Annotated[float, Field(gt=0, le=1)]
    threshold_days: Annotated[int, Field(ge=1, le=1_000)]


class _Retry(File):
    """When an adaptation that failed the gate may be tried again within the cooldown."""

    fraud_growth: Ratio


class _CircuitBreaker(File):
    gate_failures: Annotated[int, Field(ge=1, le=100)]


class DriftFile(File):
    """model-config/monitoring/drift.yaml: when traffic or labels count as drifted, and when that opens a request.

    The first part is what `ml.model.drift.detector.Rules` takes; the second is how a request is suppressed.
    """

    window: Literal["day", "week", "month"]
    min_rows: Annotated[int, Field(ge=1)]
    no_traffic_hours: Annotated[int, Field(ge=1, le=8_784)]
    no_labels_days: Annotated[int, Field(ge=1, le=3_660)]
    data: _DriftData
    prediction: _DriftPrediction
    concept: _DriftConcept
    labels: LabelLimits
    decide: _DriftDecide
    ranking: _Ranking
    training_window: TrainingWindowLimits
    cooldown_days: _PerCause
    retry: _Retry
    max_requests_per_month: Annotated[int, Field(ge=0, le=100)]
    circuit_breaker: _CircuitBreaker
    compute: DriftCompute = DriftCompute()
    schema_: Annotated[_DriftSchema, Field(alias="schema")]  # pydantic has a method of that name

    def to_ranking_rules(self) -> dict[str, Any]:
        """The arguments of `ml.model.drift.ranking.RankingRules`."""
        return self.ranking.model_dump()

    def to_rules(self) -> dict[str, Any]:
        """The document that `ml.model.drift.detector.Rules.from_dict` takes."""
        return self.model_dump(by_alias=True)
