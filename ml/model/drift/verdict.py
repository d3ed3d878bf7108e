"""The verdict on a window with its findings and evidence. Values only.

`detector` makes verdicts; `retrain_decision` decides on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

SCHEMA = 2
CONCEPT = "concept"
CAUSES = (CONCEPT, "data", "prediction")
"""The kinds of drift that can make a retrain due, the strongest evidence first."""
KINDS = ("schema", *CAUSES)
NONE, NO_DATA, IMMATURE = "none", "no data", "labels immature"
VERDICTS = (NO_DATA, *KINDS, IMMATURE, NONE)
TOP_FEATURES = 5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One test of a window. It fires only if `value` reaches `threshold` and `p_value` is below `alpha`.

    `subject` is the tested input, amount band or field; None for the whole window. `windows` is the number of latest
    windows whose labels were pooled. `value` is the statistic (for
    recall, precision and false-positive rate the rate itself), `reference` its value for the approved model. `p_value`
    and `alpha` (corrected for the number of tests and looks) are None without a significance test. `detail` is a short
    text for people.
    """

    kind: str
    statistic: str
    subject: str | None
    value: float | None
    threshold: float
    p_value: float | None
    alpha: float | None
    fired: bool
    reference: float | None = None
    detail: str = ""
    windows: int = 1


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """All drift statistics of one input or of the score, whether they fired or not. `mean_shift` is signed.

    `unseen` is the share of a category's values that the reference does not list, None for a number. A category has no
    order: `ks`, `mean_shift`, `mean`, `std` and `out_of_range` are 0 and are not tested.
    """

    name: str
    ks: float
    psi: float
    js: float
    mean_shift: float
    chi_square: float
    mean: float
    std: float
    missing: float
    out_of_range: float
    fired: bool
    unseen: float | None = None


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """Recall, precision and number of frauds, estimated from calibrated scores before labels arrive.

    Assumes that the calibration still holds. Concept drift breaks it, and the estimate then does not change. `recall`,
    `precision` and `frauds` are (value, low, high) with a 95 % interval.
    """

    recall: tuple[float, float, float]
    precision: tuple[float, float, float]
    frauds: tuple[float, float, float]
    method: str
    caution: str

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Estimated:
        """The inverse of `asdict`, also after JSON."""
        figures = {name: tuple(document[name]) for name in ("recall", "precision", "frauds")}
        return cls(**(dict(document) | figures))


@dataclass(frozen=True, kw_only=True)
class DriftVerdict:
    """The verdict on a window with its evidence.

    `verdicts` is never empty: the kinds of drift that fired, "no data", "labels immature", or "none" if traffic was
    tested and nothing fired. `evaluated` are the causes that could be tested. `reference` is the digest of the model
    whose drift reference was used.
    """

    start: datetime
    end: datetime
    reference: str
    rows: int
    verdicts: tuple[str, ...]
    evaluated: tuple[str, ...]
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    features: tuple[FeatureDrift, ...]
    scores: FeatureDrift | None
    labels: Mapping[str, Any] | None
    estimated: Estimated | None
    concept_onset: datetime | None

    def fired(self, kind: str) -> tuple[Finding, ...]:
        """The findings of a kind that fired."""
        return tuple(finding for finding in self.findings if finding.kind == kind and finding.fired)

    @property
    def top_features(self) -> tuple[FeatureDrift, ...]:
        """The five inputs with the largest Jensen-Shannon distance, the largest first."""
        return tuple(sorted(self.features, key=lambda feature: -feature.js)[:TOP_FEATURES])

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, with the names of `top_features` for readers of the file."""
        document = asdict(self)
        document |= {"start": self.start.isoformat(), "end": self.end.isoformat(), "schema": SCHEMA}
        document["concept_onset"] = self.concept_onset.isoformat() if self.concept_onset else None
        document["top_features"] = [feature.name for feature in self.top_features]
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> DriftVerdict:
        """The inverse of `to_dict`."""
        fields = {name: document[name] for name in cls.__dataclass_fields__}
        onset, scores, estimated = fields["concept_onset"], fields["scores"], fields["estimated"]
        fields |= {name: datetime.fromisoformat(fields[name]) for name in ("start", "end")}
        fields |= {name: tuple(fields[name]) for name in ("verdicts", "evaluated", "reasons")}
        fields |= {
            "findings": tuple(Finding(**item) for item in fields["findings"]),
            "features": tuple(FeatureDrift(**item) for item in fields["features"]),
            "scores": None if scores is None else FeatureDrift(**scores),
            "concept_onset": None if onset is None else datetime.fromisoformat(onset),
            "estimated": None if estimated is None else Estimated.from_dict(estimated),
        }
        return cls(**fields)
