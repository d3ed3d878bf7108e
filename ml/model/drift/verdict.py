"""The verdict on a window with its findings and evidence. Values only.

This module holds and carries; drift.py judges, and decision.py decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

SCHEMA = 1
CONCEPT = "concept"
CAUSES = (CONCEPT, "data", "prediction")
"""The kinds of drift that ask for a new model, the strongest evidence first."""
KINDS = ("schema", *CAUSES)
NONE, NO_DATA, IMMATURE = "none", "no data", "labels immature"
VERDICTS = (NO_DATA, *KINDS, IMMATURE, NONE)
TOP = 5


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One test of a window: fired only if `value` is as far as `threshold` and `p_value` below `alpha`.

    `subject` is the input, the amount band or the field that the test is of; None for the window as a whole. `value`
    is the statistic's own (for recall, precision and false-positive rate the rate itself), `reference` what the
    approved model had, `threshold` what `value` had to reach. `p_value` and `alpha` (corrected for the number of tests
    and looks) are None where nothing is tested. `detail` says it to a person, in half a sentence.
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


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """How far one input, or the score, has moved: every figure, fired or not. `mean_shift` has its sign."""

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


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """Recall, precision and alert rate expected from calibrated scores before any label has come: an estimate.

    It assumes that a score still means the risk that it meant when the model was approved. Concept drift breaks just
    that, and the estimate then stays where it was. `recall` and the others are (value, low, high), 95 %.
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
    """The verdict on a window with all of its evidence.

    `verdicts` are never empty: the kinds of drift that fired, "no data", "labels immature", or "none" where traffic was
    judged and nothing fired. `judged` are the causes that could be judged at all. `reference` names the model whose
    baseline it was judged against.
    """

    start: datetime
    end: datetime
    reference: str
    rows: int
    verdicts: tuple[str, ...]
    judged: tuple[str, ...]
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
        """The five inputs that moved most, by Jensen-Shannon distance, the first the furthest."""
        return tuple(sorted(self.features, key=lambda feature: -feature.js)[:TOP])

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, `top_features` by name among it for those who read the file."""
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
        fields |= {name: tuple(fields[name]) for name in ("verdicts", "judged", "reasons")}
        fields |= {
            "findings": tuple(Finding(**item) for item in fields["findings"]),
            "features": tuple(FeatureDrift(**item) for item in fields["features"]),
            "scores": None if scores is None else FeatureDrift(**scores),
            "concept_onset": None if onset is None else datetime.fromisoformat(onset),
            "estimated": None if estimated is None else Estimated.from_dict(estimated),
        }
        return cls(**fields)
