"""A small baseline with a model's scores, windows of similar traffic, and drift rules; synthetic."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.model.drift import detector
from ml.model.drift.reference import complete_reference, start_reference
from ml.model.drift.settings import (
    ConceptRules,
    DataRules,
    DecideRules,
    KOfN,
    LabelRules,
    PredictionRules,
    Rules,
    SchemaRules,
)
from tests.model.training_samples import COLUMNS, rows

START, DAYS = datetime(2026, 3, 1, tzinfo=UTC), 2
END = START + timedelta(days=DAYS)
LATER = END + timedelta(days=30)
RULES = Rules(
    looks=12,
    min_rows=500,
    no_traffic_hours=3,
    schema=SchemaRules(max_missing=0.01, max_out_of_range=0.05, max_unseen=0.01),
    data=DataRules(alpha=0.001, min_ks=0.05, min_psi=0.1, min_js=0.1, min_mean_shift=0.15, min_chi_square=0.2),
    prediction=PredictionRules(alpha=0.001, min_ks=0.05, min_psi=0.1, min_js=0.1, min_alert_rate_ratio=1.5),
    concept=ConceptRules(
        alpha=0.001,
        min_recall_drop=0.05,
        min_precision_drop=0.05,
        min_fpr_ratio=1.5,
        alpha_amount_band=0.001,
        min_band_ratio=2.0,
        alpha_daily=0.01,
    ),
    labels=LabelRules(min_coverage=0.98, min_age_days=7, min_mature=0.9),
    decide=DecideRules(data=KOfN(windows=2, of=3), prediction=KOfN(windows=2, of=3), concept=KOfN(windows=1, of=1)),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """Rows with their scores, decisions, times and labels."""

    frame: pd.DataFrame
    labels: NDArray[np.int8]

    @property
    def scores(self) -> NDArray[np.float64]:
        """The scores of a fixed model of V1 and V2."""
        return np.asarray(1 / (1 + np.exp(5 - 2 * self.frame["V1"] + self.frame["V2"])))

    @property
    def decisions(self) -> NDArray[np.int8]:
        """The alerts of that model."""
        return (self.scores >= 0.3).astype(np.int8)

    @property
    def times(self) -> NDArray[np.datetime64]:
        """Times over two days, in seconds."""
        seconds = self.frame["Time"].to_numpy().astype("timedelta64[s]")
        return np.datetime64(START.replace(tzinfo=None), "s") + seconds

    def with_labels(self, labels: NDArray[Any]) -> Window:
        """The same rows with other labels."""
        return dataclasses.replace(self, labels=labels.astype(np.int8))

    def summary(self, part: slice | NDArray[Any] = slice(None)) -> detector.WindowSummary:
        """The summary of some of the rows."""
        return detector.WindowSummary.of(
            REFERENCE,
            {name: self.frame[name].to_numpy()[part] for name in COLUMNS.inputs},
            scores=self.scores[part],
            decisions=self.decisions[part],
            times=self.times[part],
        )

    def outcomes(self, part: slice | NDArray[Any] = slice(None)) -> detector.LabelSummary:
        """The labels of some of the rows."""
        return detector.LabelSummary.of(
            REFERENCE,
            times=self.times[part],
            labels=self.labels[part],
            decisions=self.decisions[part],
            amounts=self.frame["Amount"].to_numpy()[part],
        )

    def verdict(self, rules: Rules = RULES, *, as_of: datetime = LATER) -> detector.DriftVerdict:
        """The verdict on all rows with their labels."""
        return verdict_on(self.summary(), self.outcomes(), rules, as_of=as_of)


def verdict_on(
    summary: detector.WindowSummary,
    labels: detector.LabelSummary | None = None,
    rules: Rules = RULES,
    *,
    start: datetime = START,
    end: datetime = END,
    as_of: datetime = LATER,
) -> detector.DriftVerdict:
    """The verdict on a summary, by default of the two days."""
    return detector.evaluate(REFERENCE, summary, labels, rules, start=start, end=end, as_of=as_of, reference="a" * 64)


def window(n: int = 6000, seed: int = 1) -> Window:
    """Traffic without drift."""
    frame, labels = rows(n, seed=seed)
    return Window(frame=frame, labels=labels)


def _baseline() -> dict[str, Any]:
    made, tested = window(20_000, 100), window(10_000, 101)
    started = start_reference(COLUMNS, made.frame, made.labels, times=made.times)
    return complete_reference(
        started,
        COLUMNS,
        tested.frame,
        tested.labels,
        scores=tested.scores,
        decisions=tested.decisions,
        times=tested.times,
        windows={"test": {}},
    )


BASELINE = _baseline()
REFERENCE = detector.Reference.of(BASELINE)
