"""Missing labels are a finding once a window is old, and only if no window since then has mature ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from ml.drift import missing_labels
from ml.drift.missing_labels import Labelled
from ml.model.drift.label_counts import LabelSummary, Outcomes
from ml.model.drift.verdict import CONCEPT, DriftVerdict
from ml.model.metrics import Confusion

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)


def window(number: int, *, mature: bool = False, rows: int = 100, labelled: int = 0) -> Labelled:
    """Thirty days from the first of January on; `labelled` rows have a label, three in four of them were passed."""
    start = JANUARY + number * timedelta(days=30)
    passed = labelled * 3 // 4
    counts = Confusion(
        true_positives=1, false_positives=labelled - passed - 1, true_negatives=passed - 1, false_negatives=1
    ) if labelled else Confusion(true_positives=0, false_positives=0, true_negatives=0, false_negatives=0)  # fmt: skip
    outcomes = Outcomes(rows=rows, labelled=labelled, confusion=counts, band_rows=(0,), band_frauds=(0,))
    verdict = DriftVerdict(
        start=start,
        end=start + timedelta(days=30),
        reference="a",
        rows=rows,
        verdicts=("none",),
        evaluated=(CONCEPT, "data") if mature else ("data",),
        reasons=(),
        findings=(),
        features=(),
        scores=None,
        labels=None,
        estimated=None,
        concept_onset=None,
    )
    return verdict, LabelSummary(bands=1, days={start.date(): outcomes})


def find(windows: list[Labelled], day: int) -> missing_labels.NoLabels | None:
    """The missing labels on a day after the first of January, where 60 days are allowed."""
    return missing_labels.find(windows, now=JANUARY + timedelta(days=day), days=60)


def test_young_window_may_lack_labels() -> None:
    """Its first window ends on day 30, so it is a finding from day 90 on."""
    assert find([window(0)], 89) is None
    found = find([window(0)], 90)
    assert found is not None
    assert (found.since, found.until, found.rows, found.labelled) == (JANUARY, JANUARY + timedelta(days=30), 100, 0)


def test_finding_counts_all_old_windows_since_the_last_mature_one() -> None:
    """Rows with a label that are too few to be mature are counted, and those that the model passed apart."""
    windows = [window(0, mature=True), window(1, labelled=40), window(2, rows=50), window(3)]
    assert find(windows, 119) is None
    found = find(windows, 155)
    assert found is not None
    assert (found.since, found.rows, found.labelled, found.labelled_passed) == (
        JANUARY + timedelta(days=30),
        150,
        40,
        30,
    )
    assert found.detail.startswith(
        "No mature label of 2026-01-31 to 2026-04-01 has arrived: 40 of 150 scored rows have a label of the channel "
        "chargeback, 30 of them on rows that were passed."
    )


@pytest.mark.parametrize(
    "windows", [[], [window(0, rows=0)], [window(0), window(1, mature=True)], [window(0, mature=True)]]
)
def test_no_finding_without_traffic_or_after_later_labels(windows: list[Labelled]) -> None:
    """Windows without traffic say nothing, and labels that arrive again end the finding."""
    assert find(windows, 100 + int(np.sum([verdict.rows for verdict, _ in windows]) > 0)) is None
