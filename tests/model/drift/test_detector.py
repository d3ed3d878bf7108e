"""The verdict on a window: each kind of drift with its evidence, and missing evidence."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ml.model.drift import detector
from ml.model.drift.reference import Summary
from ml.model.drift.settings import KOfN
from ml.playground.template_state import FOLDER as SHIPPED
from tests.model.drift_samples import BASELINE, END, REFERENCE, RULES, START, Window, verdict_on, window
from tests.model.training_samples import COLUMNS

ROOT = Path(__file__).resolve().parents[3]


def moved(column: str, by: float) -> Window:
    """Traffic in which one column is shifted by `by` standard deviations of the reference."""
    usual = window()
    std = next(item["std"] for item in BASELINE["inputs"] if item["name"] == column)
    return dataclasses.replace(usual, frame=usual.frame.assign(**{column: usual.frame[column] + by * std}))


@pytest.mark.parametrize("seed", range(20, 40))
def test_traffic_like_the_reference_has_no_drift(seed: int) -> None:
    """Twenty windows of other seeds: all kinds are tested, nothing fires, and the estimate is near the recall."""
    found = window(seed=seed).verdict()
    assert found.verdicts == ("none",)
    assert found.evaluated == ("concept", "data", "prediction")
    assert found.reasons == ()
    assert not any(finding.fired for finding in found.findings)
    assert len(found.top_features) == 5
    assert found.estimated is not None
    recall = next(finding.value for finding in found.findings if finding.statistic == "recall")
    assert recall is not None
    assert abs(recall - found.estimated.recall[0]) < 0.12


def test_shifted_feature_is_data_drift() -> None:
    """Each finding has value, threshold, p-value and corrected alpha; the feature is first in the list."""
    found = moved("V3", 0.3).verdict()
    assert found.verdicts == ("data",)
    assert {finding.subject for finding in found.fired("data")} == {"V3"}
    assert {"ks", "mean_shift"} <= {finding.statistic for finding in found.fired("data")}
    assert found.top_features[0].name == "V3"
    assert found.top_features[0].mean_shift == pytest.approx(0.3, abs=0.05)
    for finding in found.fired("data"):
        assert finding.value is not None
        assert finding.p_value is not None
        assert finding.alpha == RULES.data.alpha / (5 * 5 * RULES.looks)
        assert abs(finding.value) >= finding.threshold
        assert finding.p_value < finding.alpha
    assert [feature.name for feature in found.features if feature.fired] == ["V3"]


def test_significance_without_size_is_no_drift() -> None:
    """A shift of 0.08 standard deviations in 200,000 rows is significant but too small."""
    usual = moved("V3", 0.08)
    many = sum([usual.summary()] * 33, detector.WindowSummary.empty(REFERENCE))
    found = verdict_on(many)
    shift = next(f for f in found.findings if (f.statistic, f.subject) == ("mean_shift", "V3"))
    assert shift.p_value is not None
    assert shift.alpha is not None
    assert shift.p_value < shift.alpha
    assert found.verdicts == ("none", "labels immature")


def test_size_without_significance_is_no_drift() -> None:
    """With few rows large distances occur by chance."""
    rules = dataclasses.replace(RULES, min_rows=10)
    found = verdict_on(window(60).summary(), rules=rules)
    assert any(abs(f.value or 0) >= f.threshold for f in found.findings if f.kind == "data")
    assert "data" not in found.verdicts


def test_shifted_scores_are_prediction_drift() -> None:
    """The score distribution and the alert rate fire, with their counts."""
    usual = window()
    inputs = {name: usual.frame[name].to_numpy() for name in COLUMNS.inputs}
    scores = np.minimum(usual.scores * 4, 1)
    summary = detector.WindowSummary.of(
        REFERENCE, inputs, scores=scores, decisions=(scores >= 0.3).astype(int), times=usual.times
    )
    found = verdict_on(summary)
    assert found.verdicts == ("prediction", "labels immature")
    rate = next(finding for finding in found.fired("prediction") if finding.statistic == "alert_rate")
    assert rate.reference == BASELINE["alerts"]["count"] / BASELINE["alerts"]["of"]
    assert f"{summary.alerts:,} alerts of 6,000 rows" in rate.detail
    assert found.scores is not None
    assert found.scores.fired


def test_too_few_scores_are_not_tested() -> None:
    """A model that served only the last hours of a window: inputs are tested, scores are not."""
    usual = window()
    scores = np.where(np.arange(len(usual.scores)) < RULES.min_rows - 1, usual.scores, np.nan)
    inputs = {name: usual.frame[name].to_numpy() for name in COLUMNS.inputs}
    found = verdict_on(detector.WindowSummary.of(REFERENCE, inputs, scores=scores, times=usual.times))
    assert (found.evaluated, found.scores) == (("data",), None)


def test_flipped_labels_are_concept_drift_without_a_change_of_the_estimate() -> None:
    """Recall and the fraud rate of the top band fire; the estimate from scores is unchanged."""
    usual = window()
    dear = (usual.frame["Amount"] > usual.frame["Amount"].quantile(0.98)).to_numpy()
    flipped = usual.with_labels(np.where(dear, 1, usual.labels))
    found = flipped.verdict()
    assert found.verdicts == ("concept",)
    assert {"recall", "fraud_rate"} <= {finding.statistic for finding in found.fired("concept")}
    bands = [finding.subject for finding in found.fired("concept") if finding.statistic == "fraud_rate"]
    assert bands[-1] is not None
    assert bands[-1].startswith("amount >= ")
    recall = next(finding for finding in found.fired("concept") if finding.statistic == "recall")
    assert found.estimated is not None
    assert found.estimated == usual.verdict().estimated
    assert recall.value is not None
    assert recall.value < found.estimated.recall[1]
    assert "concept drift can break it" in found.estimated.caution


def test_missing_labels_are_immature() -> None:
    """No labels, too few or too young ones: concept drift is not tested, and the reason has the figures."""
    usual = window()
    assert verdict_on(usual.summary()).verdicts == ("none", "labels immature")
    for found in (
        usual.with_labels(np.where(np.arange(6000) % 20 == 0, -1, usual.labels)).verdict(),
        usual.verdict(as_of=END + timedelta(days=6)),
    ):
        assert found.verdicts == ("none", "labels immature")
        assert "concept" not in found.evaluated
        assert not any(finding.kind == "concept" for finding in found.findings)
        assert "of 2 days have mature labels" in found.reasons[0]
        assert found.labels is not None
        assert "confusion" not in found.labels


def test_too_little_traffic_is_no_data() -> None:
    """With too few rows nothing else is tested."""
    found = verdict_on(window(300).summary())
    assert found.verdicts == ("no data", "labels immature")
    assert (found.evaluated, found.features, found.scores, found.estimated) == ((), (), None, None)
    assert "300 rows, where 500 are needed" in found.reasons[0]
    empty = verdict_on(detector.WindowSummary.empty(REFERENCE))
    assert empty.verdicts[0] == "no data"
    assert "48 consecutive hours without a row" in empty.reasons[1]


def test_day_without_capture_is_no_data() -> None:
    """Rows on the first day only: the verdict has 'no data', and the rows are still tested."""
    usual = window()
    first = usual.summary(usual.frame["Time"].to_numpy() < 86_400)
    found = verdict_on(first)
    assert found.verdicts == ("no data", "labels immature")
    assert "consecutive hours without a row" in found.reasons[0]
    assert "data" in found.evaluated
    late = verdict_on(usual.summary(), start=START - timedelta(days=1))
    assert "no data" in late.verdicts


def test_faulty_client_gives_a_schema_verdict() -> None:
    """Missing, unexpected and out-of-range fields are findings with their share of rows."""
    usual = window()
    inputs = {name: usual.frame[name].to_numpy() for name in COLUMNS.inputs if name != "V3"}
    inputs["Amount"] = inputs["Amount"] * 1e4
    summary = detector.WindowSummary.of(REFERENCE, inputs | {"V9": inputs["V1"]}, times=usual.times)
    found = verdict_on(summary)
    assert found.verdicts[0] == "schema"
    fired = {(finding.statistic, finding.subject): finding.value for finding in found.fired("schema")}
    assert fired["missing", "V3"] == 1.0
    assert fired["unexpected_field", "V9"] == 1.0
    mistake = dataclasses.replace(usual.summary(), unexpected={"V9": 1, "V8": 60, "V7": 61})  # of 6,000 rows
    assert {finding.subject for finding in verdict_on(mistake).fired("schema")} == {"V7"}
    assert fired["out_of_range", "Amount"] is not None
    assert fired["out_of_range", "Amount"] > 0.05


def test_value_not_in_the_reference_is_unseen() -> None:
    """The reference lists the values of an input with few distinct values."""
    items = [item | {"values": [0.0, 1.0]} if item["name"] == "V3" else item for item in BASELINE["inputs"]]
    known = detector.Reference.of(BASELINE | {"inputs": items})
    rows = np.tile([0.0, 0, 0, 1, 1], (1000, 1))
    rows[:30, 3] = 2
    summary = detector.WindowSummary.of(known, rows)
    assert summary.columns["V3"].unseen == 30
    found = detector.evaluate(known, summary, None, RULES, start=START, end=END)
    assert next(f.value for f in found.fired("schema") if f.statistic == "unseen") == 0.03


@pytest.mark.parametrize(("value", "fired"), [(0.1, False), (0.3, True)])
def test_constant_input_drifts_only_if_its_value_changes(value: float, fired: bool) -> None:
    """The rounding error in the mean of many 0.1 is not drift."""
    same = Summary.reference(np.full(5000, 0.1)).to_dict()
    items = [item | same if item["name"] == "V3" else item for item in BASELINE["inputs"]]
    known = detector.Reference.of(BASELINE | {"inputs": items})
    rows = window().frame.assign(V3=value).to_numpy()
    found = detector.evaluate(known, detector.WindowSummary.of(known, rows), None, RULES, start=START, end=END)
    assert {finding.subject for finding in found.fired("data")} == ({"V3"} if fired else set())


def test_reference_of_an_older_model_has_no_estimate() -> None:
    """Without calibration and value lists all tests run, but there is no estimate."""
    items = [{key: value for key, value in item.items() if key != "values"} for item in BASELINE["inputs"]]
    older = {key: value for key, value in BASELINE.items() if key != "calibration"} | {"inputs": items}
    usual = window()
    scores, times = usual.scores, usual.times
    summary = detector.WindowSummary.of(
        older, usual.frame.to_numpy(), scores=scores, decisions=usual.decisions, times=times
    )
    found = detector.evaluate(older, summary + summary, None, RULES, start=START, end=END)
    assert found.verdicts == ("none", "labels immature")
    assert found.estimated is None


def test_verdict_round_trips_through_json() -> None:
    """The read verdict equals the written one, and the JSON has no NaN."""
    for found in (moved("V1", 1.0).verdict(), verdict_on(detector.WindowSummary.empty(REFERENCE))):
        document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert detector.DriftVerdict.from_dict(document) == found
        assert document["top_features"] == [feature.name for feature in found.top_features]


def test_shipped_rules_are_complete() -> None:
    """The shipped monitoring/drift.yaml has every rule; k of n is checked."""
    yaml = pytest.importorskip("yaml")  # which SageMaker's container does not have
    rules = detector.Rules.from_dict(yaml.safe_load((SHIPPED / "model-config/monitoring/drift.yaml").read_text()))
    assert (rules.decide.data, rules.decide.concept) == (KOfN(windows=2, of=3), KOfN(windows=1, of=1))
    with pytest.raises(ValueError, match="between 1 and of"):
        KOfN(windows=3, of=2)
