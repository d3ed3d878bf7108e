"""The rules of drift detection as plain values, from model-config/monitoring/drift.yaml.

Each `alpha` bounds the probability of one false finding of its kind in a year. It is divided by the number of tests per
window and by `looks`, the windows of a year (Bonferroni correction, valid for dependent tests). Each `min_…` is a
minimum effect size: with 200,000 rows every difference is significant. No rule has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SchemaRules:
    """Allowed shares of rows with a missing, out-of-range or unseen value in a column.

    `max_missing` also limits the share of rows with a column that the model does not have.
    """

    max_missing: float
    max_out_of_range: float
    max_unseen: float


@dataclass(frozen=True, kw_only=True)
class DataRules:
    """Limits for drift of an input: Kolmogorov-Smirnov distance, population stability index, Jensen-Shannon distance,
    shift of the mean in standard deviations, Cohen's effect size w."""

    alpha: float
    min_ks: float
    min_psi: float
    min_js: float
    min_mean_shift: float
    min_chi_square: float


@dataclass(frozen=True, kw_only=True)
class PredictionRules:
    """Limits for drift of the scores, and of the alert rate by the factor `min_alert_rate_ratio`, up or down."""

    alpha: float
    min_ks: float
    min_psi: float
    min_js: float
    min_alert_rate_ratio: float


@dataclass(frozen=True, kw_only=True)
class ConceptRules:
    """Limits for confusion rates (`alpha`) and for fraud rates by amount (`alpha_amount_band`).

    `alpha_daily` is the chance of one false alarm of the daily concept test in a year of a model.
    """

    alpha: float
    min_recall_drop: float
    min_precision_drop: float
    min_fpr_ratio: float
    alpha_amount_band: float
    min_band_ratio: float
    alpha_daily: float


@dataclass(frozen=True, kw_only=True)
class LabelRules:
    """When the labels of a day are mature, and which share of the window's rows must be in such days."""

    min_coverage: float
    min_age_days: float
    min_mature: float


@dataclass(frozen=True, kw_only=True)
class KOfN:
    """Drift must fire in `windows` of the latest `of` windows, including the latest."""

    windows: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.windows <= self.of:
            raise ValueError(f"windows must be between 1 and of (got {self.windows} of {self.of})")


@dataclass(frozen=True, kw_only=True)
class DecideRules:
    """How many windows must agree, for each cause."""

    data: KOfN
    prediction: KOfN
    concept: KOfN


LOOKS = {"day": 365, "week": 52, "month": 12}
"""Windows per year by the length of a window."""
POOLED_WINDOWS = (1, 3, 6)
"""The concept tests use the mature labels of this many latest windows: recall that falls slowly shows over several."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All rules for verdicts and for decisions on retrains. `looks` is the number of windows in a year."""

    looks: int
    min_rows: int
    no_traffic_hours: float
    schema: SchemaRules
    data: DataRules
    prediction: PredictionRules
    concept: ConceptRules
    labels: LabelRules
    decide: DecideRules

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Rules:
        """Reads the rules from the content of drift.yaml; keys about requests are ignored.

        Raises:
            KeyError: a rule is missing, or `window` is neither day, week nor month.
            TypeError: a section has missing or unknown keys.
        """
        return cls(
            looks=LOOKS[document["window"]],
            min_rows=document["min_rows"],
            no_traffic_hours=document["no_traffic_hours"],
            schema=SchemaRules(**document["schema"]),
            data=DataRules(**document["data"]),
            prediction=PredictionRules(**document["prediction"]),
            concept=ConceptRules(**document["concept"]),
            labels=LabelRules(**document["labels"]),
            decide=DecideRules(**{cause: KOfN(**document["decide"][cause]) for cause in document["decide"]}),
        )
