"""An explanation's contributions are the model's own terms: they add up to the log-odds of each part."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.model.explanation import OTHER, explain, patterns
from tests.model.scoring_samples import ADAPTED, CATEGORIES, DOCUMENT, changed, rows, scorer

ORDINARY = st.floats(min_value=-1e6, max_value=1e6)
ROW = st.tuples(st.floats(0, 1e9), ORDINARY, ORDINARY, st.floats(0, 1e9))


@pytest.mark.parametrize("document", [DOCUMENT, ADAPTED], ids=["one part", "two parts"])
@given(ROW)
@settings(deadline=None)
def test_contributions_add_up_to_the_log_odds_of_each_part(document: dict[str, Any], row: tuple[float, ...]) -> None:
    """Intercept and contributions give the part's log-odds, and the parts' probabilities the score."""
    model = scorer(document)
    found = explain(model, row)
    assert len(found.parts) == len(document["parts"])
    for part, numbers, log_odds in zip(found.parts, document["parts"], model.log_odds([row])[0], strict=True):
        assert (part.pattern, part.log_odds) == (numbers["pattern"], log_odds)
        terms = [part.intercept, *(term.log_odds for term in part.contributions)]
        assert len(terms) == 1 + len(numbers["features"]) + len(numbers["bins"])
        assert math.fsum(terms) == pytest.approx(part.log_odds, rel=1e-9, abs=1e-9)
    neither = math.prod(1 - part.probability for part in found.parts)
    assert found.score == model.score_row(row) == pytest.approx(1 - neither, abs=1e-12)
    assert found.alert == bool(model.decide([found.score])[0])


def test_contributions_name_the_bin() -> None:
    """A table's contribution has the bin of the value: in units of the input, or in hours."""
    (part,) = explain(scorer(), [3600.0 * 9, 0.0, 0.0, 5.0]).parts
    bins = {term.input: (term.interval, term.log_odds) for term in part.contributions if term.interval}
    assert bins == {"Time": ((8.0, 16.0), 0.0), "Amount": ((5.0, 50.0), -0.2)}
    (part,) = explain(scorer(), [0.0, 0.0, 0.0, 50.0]).parts
    bins = {term.input: (term.interval, term.log_odds) for term in part.contributions if term.interval}
    assert bins == {"Time": ((0.0, 8.0), 0.3), "Amount": ((50.0, math.inf), 0.6)}


@pytest.mark.parametrize(("unit", "per_second"), [("epoch_seconds", 1), ("epoch_milliseconds", 1000)])
def test_the_hour_follows_the_unit_of_the_time(unit: str, per_second: int) -> None:
    """Times in milliseconds have the bin that the scorer takes, so that the terms still add up to the log-odds."""
    model = scorer(changed("time.unit", unit))
    row = [(3600.0 * 20 + 59.0) * per_second, 0.0, 0.0, 5.0]
    (part,) = explain(model, row).parts
    (hour,) = [term for term in part.contributions if term.input == "Time"]
    assert hour.interval == (16.0, 24.0)
    terms = [part.intercept, *(term.log_odds for term in part.contributions)]
    assert math.fsum(terms) == pytest.approx(float(model.log_odds([row])[0, 0]), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("shop", "levels", "log_odds"),
    [
        ("food", ("food", "food"), (-0.5, -1.0)),
        (" food ", ("food", "food"), (-0.5, -1.0)),
        ("crypto", (OTHER, "crypto"), (0.75, 3.0)),
        (None, ("", OTHER), (0.25, 0.125)),
        (17, (OTHER, OTHER), (0.75, 0.125)),
    ],
)
def test_contributions_name_the_level(shop: Any, levels: tuple[str, ...], log_odds: tuple[float, ...]) -> None:
    """Each part says what the value adds, or that it counts as all other values; all terms add up to the log-odds."""
    model = scorer(CATEGORIES)
    found = explain(model, [0.0, 1.0, 2.0, 3.0, shop])
    for part, level, added in zip(found.parts, levels, log_odds, strict=True):
        (term,) = [term for term in part.contributions if term.input == "shop"]
        assert (term.level, term.log_odds, term.interval) == (level, added, None)
        terms = [part.intercept, *(term.log_odds for term in part.contributions)]
        assert math.fsum(terms) == pytest.approx(part.log_odds, rel=1e-9, abs=1e-9)


def test_explanation_refuses_what_is_no_category() -> None:
    """The error names the input, the value and what it must be."""
    with pytest.raises(ValueError, match=r"shop must be text .* \(got 1.5\)"):
        explain(scorer(CATEGORIES), [0.0, 1.0, 2.0, 3.0, 1.5])
    with pytest.raises(ValueError, match="a row must have 5 values"):
        explain(scorer(CATEGORIES), [0.0, 1.0, 2.0, 3.0])


def test_contributions_are_sorted_by_magnitude() -> None:
    """The largest contribution comes first, whatever its sign."""
    for row in rows(50).tolist():
        for part in explain(scorer(ADAPTED), row).parts:
            sizes = [abs(term.log_odds) for term in part.contributions]
            assert sizes == sorted(sizes, reverse=True)


def test_pattern_is_that_of_the_more_probable_part() -> None:
    """Raising one part's intercept makes every row follow its pattern; a model of one part knows only `known`."""
    X = rows(200)
    for document, expected in (
        (changed("parts.1.intercept", 50.0, ADAPTED), {"new"}),
        (changed("parts.0.intercept", 50.0, ADAPTED), {"known"}),
        (DOCUMENT, {"known"}),
    ):
        model = scorer(document)
        assert set(patterns(model.log_odds(X)).tolist()) == expected
        assert explain(model, X[0].tolist()).pattern in expected
    found = patterns(scorer(ADAPTED).log_odds(X))
    assert set(found.tolist()) == {"known", "new"}
    log_odds = scorer(ADAPTED).log_odds(X)
    np.testing.assert_array_equal(found == "new", log_odds[:, 1] > log_odds[:, 0])


def test_explanation_of_another_width_is_refused() -> None:
    """A row must have a value for each input."""
    with pytest.raises(ValueError, match="4 values"):
        explain(scorer(), [1.0])
