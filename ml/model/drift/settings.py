"""Settings of a drift check as plain values: the pure counterpart of model-config/monitoring/drift.yaml.

Every `alpha` is the probability, at most, of one false finding of its kind in `looks` windows: it is divided by the
number of tests that a window makes and by the looks (Bonferroni, which holds however tests depend on each other). Every
`min_…` is the size that a difference must also have: at 200,000 rows everything is significant. Nothing has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SchemaRules:
    """Shares of a column's rows that may be missing, out of the reference's range, or none of its few values.

    As many rows as may lack a column may have one that the model does not know.
    """

    max_missing: float
    max_out_of_range: float
    max_unseen: float


@dataclass(frozen=True, kw_only=True)
class DataRules:
    """When an input has drifted: Kolmogorov-Smirnov distance, population stability index, Jensen-Shannon distance,
    shift of the mean in standard deviations, effect size w of chi-square."""

    alpha: float
    min_ks: float
    min_psi: float
    min_js: float
    min_mean_shift: float
    min_chi_square: float


@dataclass(frozen=True, kw_only=True)
class PredictionRules:
    """When the scores have drifted, or the alert rate: by a factor of `min_alert_rate_ratio`, up or down."""

    alpha: float
    min_ks: float
    min_psi: float
    min_js: float
    min_alert_rate_ratio: float


@dataclass(frozen=True, kw_only=True)
class ConceptRules:
    """When hits and misses are no longer the approved model's (one alpha), or frauds are of other amounts (another)."""

    alpha: float
    min_recall_drop: float
    min_precision_drop: float
    min_fpr_ratio: float
    alpha_amount_band: float
    min_band_ratio: float


@dataclass(frozen=True, kw_only=True)
class LabelRules:
    """When a day's labels are mature, and which share of the window's rows must lie in such days."""

    min_coverage: float
    min_age_days: float
    min_mature: float


@dataclass(frozen=True, kw_only=True)
class KOfN:
    """A request needs `windows` of the latest `of`, the latest among them."""

    windows: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.windows <= self.of:
            raise ValueError(f"windows must be between 1 and of (got {self.windows} of {self.of})")


@dataclass(frozen=True, kw_only=True)
class DecideRules:
    """How many windows must agree, for each cause of a request."""

    data: KOfN
    prediction: KOfN
    concept: KOfN


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All that decides what a window's verdict is and when a request is due."""

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
        """The rules in a mapping of drift.yaml's shape; other keys of it, on acting, are passed over.

        Raises:
            KeyError: a rule is missing.
            TypeError: a section has another shape.
        """
        return cls(
            looks=document["looks"],
            min_rows=document["min_rows"],
            no_traffic_hours=document["no_traffic_hours"],
            schema=SchemaRules(**document["schema"]),
            data=DataRules(**document["data"]),
            prediction=PredictionRules(**document["prediction"]),
            concept=ConceptRules(**document["concept"]),
            labels=LabelRules(**document["labels"]),
            decide=DecideRules(**{cause: KOfN(**document["decide"][cause]) for cause in document["decide"]}),
        )
