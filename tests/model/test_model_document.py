"""A model document is parsed strictly: anything else than its schema is ArtifactInvalid."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.model.scorer import ArtifactInvalid, Scorer
from tests.model.scoring_samples import ADAPTED, CATEGORIES, DOCUMENT, changed, scorer


def test_version_depends_on_content_not_on_text() -> None:
    """Key order and spaces do not change the version; any number does."""
    spaced = json.dumps(dict(reversed(DOCUMENT.items())), indent=3)
    assert Scorer.from_json(spaced).version == scorer().version
    assert scorer(changed("parts.0.intercept", -1.0000001)).version != scorer().version
    assert len(scorer().version) == 12


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", 1, r"schema must be 3 or 4, the versions this code reads \(got 1; schema 1 had no parts: train"),
        ("schema", 2, r"schema must be 3 or 4, .*\(got 2; schema 2 did not state the unit of the time: train"),
        ("schema", 5, r"schema must be 3 or 4, the versions this code reads \(got 5\)"),
        ("schema", True, r"schema must be 3 or 4, the versions this code reads \(got True\)"),
        ("schema", ..., "schema is missing"),
        ("surprise", 1, "surprise is not a known key"),
        ("parts.0.features.1.surprise", 1, r"parts\[0\].features\[1\].surprise is not a known key"),
        ("parts.0.features.1.scale", ..., r"parts\[0\].features\[1\].scale is missing"),
        ("parts.0.features.1.scale", 0.0, r"parts\[0\].features\[1\].scale must be greater than 0 \(got 0.0\)"),
        ("parts.0.features.1.scale", -1, r"parts\[0\].features\[1\].scale must be greater than 0"),
        ("parts.0.features.0.mean", "0.5", r"parts\[0\].features\[0\].mean must be a number \(got '0.5'\)"),
        ("parts.0.features.0.mean", True, r"parts\[0\].features\[0\].mean must be a number"),
        ("parts.0.features.0.mean", 10**400, r"parts\[0\].features\[0\].mean must be finite"),
        ("parts.0.features.1.coefficient", 1e150, r"parts\[0\].features\[1\].coefficient must be at most"),
        ("parts.0.features.0.name", "V9", r"parts\[0\].features\[0\].name must be one of inputs"),
        ("parts.0.features.0.transform", "sqrt", r"parts\[0\].features\[0\].transform must be identity or log1p"),
        ("parts.0.features.1.name", "V1", r"parts\[0\].features must hold one term per input and transform"),
        ("parts.0.features", {}, r"parts\[0\].features must be a list"),
        (
            "parts.0.bins.0.edges",
            [50.0, 5.0],
            r"parts\[0\].bins\[0\].edges\[1\] must be greater than the edge before it",
        ),
        ("parts.0.bins.0.edges", [5.0, 5.0], r"parts\[0\].bins\[0\].edges\[1\] must be greater"),
        (
            "parts.0.bins.0.coefficients",
            [1.0],
            r"parts\[0\].bins\[0\].coefficients must hold one more number than edges, 3 \(got 1\)",
        ),
        ("parts.0.bins.0.kind", "weekday", r"parts\[0\].bins\[0\].kind must be value or hour_of_day"),
        ("parts.0.bins.1", DOCUMENT["parts"][0]["bins"][0], r"parts\[0\].bins must hold one table per input and kind"),
        (
            "parts.0.features.0.limits",
            [1.0, 1.0],
            r"features\[0\].limits\[1\] must be greater than the limit before it",
        ),
        ("parts.0.features.0.limits", [1.0], r"features\[0\].limits must be null or two numbers"),
        ("parts.0.features.0.limits", "none", r"features\[0\].limits must be a list"),
        ("parts", [], "parts must be one part for the pattern known, or one for known and one for new"),
        ("parts", [DOCUMENT["parts"][0]] * 2, "parts must be one part for the pattern known, or one"),
        ("parts", [*ADAPTED["parts"], ADAPTED["parts"][1]], "parts must be one part for the pattern known, or one"),
        ("parts", ADAPTED["parts"][1:], "parts must be one part for the pattern known, or one"),
        ("parts.0.pattern", "odd", r"parts\[0\].pattern must be known or new"),
        ("parts.0.recalibration", {"slope": 0, "intercept": 0}, r"parts\[0\].recalibration.slope must be between"),
        ("parts.0.recalibration", {"slope": 1}, r"parts\[0\].recalibration.intercept is missing"),
        ("parts", [{**ADAPTED["parts"][1], "recalibration": {"slope": 1, "intercept": 0}}], "must be null in the part"),
        ("history", None, "history must be an object"),
        ("history.slope", -1, r"history.slope must be between 0.001 and 1000"),
        ("inputs", [], "inputs must hold 1 to"),
        ("inputs.1", "Time", "inputs must hold each name once"),
        ("inputs.1", "", r"inputs\[1\] must be text"),
        ("time.column", "When", "time.column must be one of inputs"),
        ("time.unit", "minutes", "time.unit must be iso, epoch_seconds, epoch_milliseconds or seconds_since_start"),
        ("time.zone", "Nowhere/Else", "time.zone must be a time zone that this system knows"),
        ("time", "Time", "time must be an object"),
        ("time", None, "parts must have the hour of the day of the time column only"),
        ("amount", "When", "amount must be null or one of inputs"),
        ("amount", "Time", "amount must be another input than time"),
        ("parts.0.intercept", None, r"parts\[0\].intercept must be a number"),
        ("threshold.score", 1.5, "threshold.score must be a probability"),
        ("threshold.value", 0, "threshold.value must be between 0 and 1"),
        ("threshold.policy", "vibes", "threshold.policy must be max_recall_at_fpr, alert_budget, min_cost or fixed"),
        ("provenance", {"commit": "x"}, "provenance.config_sha256 is missing"),
    ],
)
def test_parse_rejects_invalid_field(path: str, value: Any, message: str) -> None:
    """A wrong, missing or unknown field is named with the expected and the actual value."""
    with pytest.raises(ArtifactInvalid, match=message):
        scorer(changed(path, value))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[]", "must be an object"),
        ('{"schema": 3, "schema": 3}', "'schema' is given twice"),
        (json.dumps(DOCUMENT).replace("-1.0", "NaN", 1), "finite numbers only"),
        (json.dumps(DOCUMENT).replace("-1.0", "1e999", 1), "must be finite"),
        ("[" * 100_000, "not readable JSON|not valid JSON"),
        ('{"schema": ' + "1" * 5000 + "}", "not readable JSON"),
        (b"\xff\xfe", "must be UTF-8"),
        (" " * (4 * 1024 * 1024 + 1), "at most"),
    ],
)
def test_parse_rejects_invalid_text(text: str | bytes, message: str) -> None:
    """Broken JSON, repeated keys, NaN, deep nesting and oversized text raise ArtifactInvalid only."""
    with pytest.raises(ArtifactInvalid, match=message):
        Scorer.from_json(text)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
PATHS = [
    "schema",
    "inputs",
    "inputs.0",
    "time",
    "time.unit",
    "time.zone",
    "amount",
    "parts",
    "parts.0",
    "parts.1.pattern",
    "parts.0.recalibration",
    "parts.0.recalibration.slope",
    "parts.1.recalibration",
    "parts.0.features",
    "parts.1.features.0",
    "parts.0.features.2.scale",
    "parts.1.features.1.limits",
    "parts.0.bins",
    "parts.1.bins.0",
    "parts.0.bins.0.edges",
    "parts.1.bins.1.coefficients",
    "parts.0.intercept",
    "history",
    "history.slope",
    "threshold",
    "threshold.score",
    "provenance",
]


@given(st.sampled_from(PATHS), JSONS)
@settings(deadline=None)
def test_parse_raises_only_artifact_invalid(path: str, value: Any) -> None:
    """Any JSON in any field gives a scorer or ArtifactInvalid."""
    try:
        model = scorer(changed(path, value, ADAPTED))
    except ArtifactInvalid:
        return
    assert np.isfinite(model.score(np.zeros((1, len(model.inputs))))).all()


def test_levels_of_parts_share_places() -> None:
    """A row has one place for a category, whichever parts list its level."""
    model = scorer(CATEGORIES)
    assert model.document.levels["shop"].levels == ("", "crypto", "food")
    frame = pd.DataFrame(
        [[0.0, 1.0, 2.0, 3.0, shop] for shop in ("food", "crypto", "", "unseen")], columns=list(model.inputs)
    )
    by_hand = [(-0.5, -1.0), (0.75, 3.0), (0.25, 0.125), (0.75, 0.125)]
    base = scorer(DOCUMENT).log_odds([[0.0, 1.0, 2.0, 3.0]])[0, 0]
    assert model.log_odds(model.matrix(frame)).tolist() == [pytest.approx([base + a, base + b]) for a, b in by_hand]
    with pytest.raises(ValueError, match="shop must be the place of a level, a whole number from 0 to 3"):
        model.score([[0.0, 1.0, 2.0, 3.0, 4.0]])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", 3, "categories is not a known key"),
        ("categories", [], "categories must be the last inputs"),
        ("categories", ["V1"], "categories must be the last inputs"),
        ("amount", "shop", "amount must be null or one of inputs"),
        ("time.column", "shop", "time.column must be one of inputs"),
        ("parts.0.features.0.name", "shop", r"parts\[0\].features\[0\].name must be one of inputs"),
        ("parts.0.bins.0.input", "shop", r"parts\[0\].bins\[0\].input must be one of inputs"),
        ("parts.0.levels", [CATEGORIES["parts"][0]["levels"][0]] * 2, "one table per category"),
        ("parts.0.levels.0.input", "V1", r"levels\[0\].input must be one of categories"),
        ("parts.0.levels.0.levels", ["food", ""], "must be sorted and hold each level once"),
        ("parts.0.levels.0.levels", ["food", "food"], "must be sorted and hold each level once"),
        ("parts.0.levels.0.levels", [" a", "b"], "must be text of at most 128 characters without outer spaces"),
        ("parts.0.levels.0.levels", [1, 2], "must be text of at most 128 characters"),
        ("parts.0.levels.0.coefficients", [0.0], "must hold one number for each of 2 levels"),
        ("parts.0.levels.0.other", None, r"levels\[0\].other must be a number"),
    ],
)
def test_parse_rejects_invalid_categories(path: str, value: Any, message: str) -> None:
    """A category is no number, and its levels are distinct texts with a number each."""
    with pytest.raises(ArtifactInvalid, match=message):
        scorer(changed(path, value, CATEGORIES))
