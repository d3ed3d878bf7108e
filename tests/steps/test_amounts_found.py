"""Tests of the share of the frauds' amounts that each model finds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ml.model.threshold_evidence import ALERT_SHARES
from ml.steps import amounts_found

LABELS = np.array([1, 1, 1, 0] + [0] * 396)
AMOUNTS = np.array([60.0, 30.0, 10.0, 500.0] + [5.0] * 396)
RANKED = np.linspace(0.9, 0.1, 400)


def test_each_model_has_its_share_at_its_threshold() -> None:
    """Weighted by amount; alerts that are no frauds add nothing."""
    first, last = (RANKED >= 0.9).astype(int), np.ones(400, dtype=int)
    found = amounts_found.measure(LABELS, AMOUNTS, {"challenger": (RANKED, first), "champion": (RANKED, last)})
    assert found is not None
    assert (found["rows"], found["positives"], found["amount"]) == (400, 3, 100.0)
    assert found["models"]["challenger"]["value_recall"] == pytest.approx(0.6)
    assert found["models"]["champion"]["value_recall"] == 1.0


def test_each_model_has_its_share_at_other_alert_rates() -> None:
    """0.25 % of 400 rows is the first fraud alone, 0.5 % two, 1 % all three."""
    found = amounts_found.measure(LABELS, AMOUNTS, {"challenger": (RANKED, np.zeros(400))})
    assert found is not None
    options = found["models"]["challenger"]["options"]
    assert [option["alert_share"] for option in options] == list(ALERT_SHARES)
    assert [option["value_recall"] for option in options[:3]] == pytest.approx([0.6, 0.9, 1.0])
    assert [option["alerts"] for option in options[:3]] == [1, 2, 4]


@pytest.mark.parametrize("amounts", [None, np.zeros(400), np.full(400, -1.0)])
def test_nothing_is_measured_without_amounts(amounts: NDArray[np.float64] | None) -> None:
    """No column, or no money at stake."""
    assert amounts_found.measure(LABELS, amounts, {"challenger": (RANKED, np.zeros(400))}) is None
