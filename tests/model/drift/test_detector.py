"""The verdict on a window: each kind, its evidence, and what is not said of what was not seen."""

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
from tests.model.drift_samples import BASELINE, END, REFERENCE, RULES, START, Window, judged, window
from tests.model.training_samples import COLUMNS

ROOT = Path(__file__).resolve().parents[3]


def moved(column: str, by: float) -> Window:
    """Traffic in which one column has moved by so many of the reference's standard deviations."""
    usual = window()
    std = next(item["std"] for item in BASELINE["inputs"] if item["name"] == column)
    return dataclasses.replace(usual, frame=usual.frame.assign(**{column: usual.frame[column] + by * std}))


@pytest.mark.parametrize("seed", range(20, 40))
def test_traffic_like_the_references_has_not_drifted(seed: int) -> None:
    """Twenty windows of other seeds: none, with everything judged and an estimate near the recall that came."""
    found = window(seed=seed).judged()
    assert found.verdicts == ("none",)
    assert found.judged == ("concept", "data", "prediction")
    assert found.reasons == ()
    assert not any(finding.fired for finding in found.findings)
    assert len(found.top_features) == 5
    assert found.estimated is not None
    recall = next(finding.value for finding in found.findings if finding.statistic == "recall")
    assert recall is not None
    assert abs(recall - found.estimated.recall[0]) < 0.12


def test_a_feature_that_moved_is_data_drift_and_named() -> None:
    """Value, floor, p-value and corrected alpha of each statistic that fired; the feature leads the list."""
    found = moved("V3", 0.3).judged()
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
    """A shift of 0.08 standard deviations in 200,000 rows is beyond doubt, and not worth a word."""
    usual = moved("V3", 0.08)
    many = sum([usual.summary()] * 33, detector.WindowSummary.empty(REFERENCE))
    found = judged(many)
    shift = next(f for f in found.findings if (f.statistic, f.subject) == ("mean_shift", "V3"))
    assert shift.p_value is not None
    assert shift.alpha is not None
    assert shift.p_value < shift.alpha
    assert found.verdicts == ("none", "labels immature")


def test_size_without_significance_is_no_drift() -> None:
    """In a few rows every distance is large by chance."""
    rules = dataclasses.replace(RULES, min_rows=10)
    found = judged(window(60).summary(), rules=rules)
    assert any(abs(f.value or 0) >= f.threshold for f in found.findings if f.kind == "data")
    assert "data" not in found.verdicts


def test_scores_that_moved_are_prediction_drift() -> None:
    """More alerts: the score's distribution and the alert rate, with the counts behind it."""
    usual = window()
    inputs = {name: usual.frame[name].to_numpy() for name in COLUMNS.inputs}
    scores = np.minimum(usual.scores * 4, 1)
    summary = detector.WindowSummary.of(
        REFERENCE, inputs, scores=scores, decisions=(scores >= 0.3).astype(int), times=usual.times
    )
    found = judged(summary)
    assert found.verdicts == ("prediction", "labels immature")
    rate = next(finding for finding in found.fired("prediction") if finding.statistic == "alert_rate")
    assert rate.reference == BASELINE["alerts"]["count"] / BASELINE["alerts"]["of"]
    assert f"{summary.alerts:,} alerts of 6,000 rows" in rate.detail
    assert found.scores is not None
    assert found.scores.fired


def test_a_few_scores_among_many_rows_are_not_judged() -> None:
    """A model that served for the last hours of a window: inputs of all rows, and nothing is said of its scores."""
    usual = window()
    scores = np.where(np.arange(len(usual.scores)) < RULES.min_rows - 1, usual.scores, np.nan)
    inputs = {name: usual.frame[name].to_numpy() for name in COLUMNS.inputs}
    found = judged(detector.WindowSummary.of(REFERENCE, inputs, scores=scores, times=usual.times))
    assert (found.judged, found.scores) == (("data",), None)


def test_flipped_labels_are_concept_drift_that_an_estimate_does_not_see() -> None:
    """Recall and the top band's fraud rate fire; the estimate from scores stays where it was, and says what it is."""
    usual = window()
    dear = (usual.frame["Amount"] > usual.frame["Amount"].quantile(0.98)).to_numpy()
    flipped = usual.with_labels(np.where(dear, 1, usual.labels))
    found = flipped.judged()
    assert found.verdicts == ("concept",)
    assert {"recall", "fraud_rate"} <= {finding.statistic for finding in found.fired("concept")}
    bands = [finding.subject for finding in found.fired("concept") if finding.statistic == "fraud_rate"]
    assert bands[-1] is not None
    assert bands[-1].startswith("amount >= ")
    recall = next(finding for finding in found.fired("concept") if finding.statistic == "recall")
    assert found.estimated is not None
    assert found.estimated == usual.judged().estimated
    assert recall.value is not None
    assert recall.value < found.estimated.recall[1]
    assert "concept drift can break it" in found.estimated.caution


def test_labels_that_have_not_come_are_immature() -> None:
    """None, too few, or too young: concept is not judged, no recall is reported, and the reason has the figures."""
    usual = window()
    assert judged(usual.summary()).verdicts == ("none", "labels immature")
    for found in (
        usual.with_labels(np.where(np.arange(6000) % 20 == 0, -1, usual.labels)).judged(),
        usual.judged(as_of=END + timedelta(days=6)),
    ):
        assert found.verdicts == ("none", "labels immature")
        assert "concept" not in found.judged
        assert not any(finding.kind == "concept" for finding in found.findings)
        assert "of 2 days have mature labels" in found.reasons[0]
        assert found.labels is not None
        assert "confusion" not in found.labels


def test_too_little_traffic_is_no_data() -> None:
    """Fewer rows than are needed: nothing else is said of them."""
    found = judged(window(300).summary())
    assert found.verdicts == ("no data", "labels immature")
    assert (found.judged, found.features, found.scores, found.estimated) == ((), (), None, None)
    assert "300 rows, where 500 are needed" in found.reasons[0]
    empty = judged(detector.WindowSummary.empty(REFERENCE))
    assert empty.verdicts[0] == "no data"
    assert "48 consecutive hours without a row" in empty.reasons[1]


def test_a_day_without_capture_is_no_data_not_none() -> None:
    """Enough rows on the first day, none on the second; what is there is judged all the same."""
    usual = window()
    first = usual.summary(usual.frame["Time"].to_numpy() < 86_400)
    found = judged(first)
    assert found.verdicts == ("no data", "labels immature")
    assert "consecutive hours without a row" in found.reasons[0]
    assert "data" in found.judged
    late = judged(usual.summary(), start=START - timedelta(days=1))
    assert "no data" in late.verdicts


def test_a_broken_sender_is_a_schema_verdict() -> None:
    """A field that is gone, one that is new, values out of range: each a finding with its share of rows."""
    usual = window()
    inputs = {name: usual.frame[name].to_numpy() for name in COLUMNS.inputs if name != "V3"}
    inputs["Amount"] = inputs["Amount"] * 1e4
    summary = detector.WindowSummary.of(REFERENCE, inputs | {"V9": inputs["V1"]}, times=usual.times)
    found = judged(summary)
    assert found.verdicts[0] == "schema"
    fired = {(finding.statistic, finding.subject): finding.value for finding in found.fired("schema")}
    assert fired["missing", "V3"] == 1.0
    assert fired["unexpected_field", "V9"] == 1.0
    mistake = dataclasses.replace(usual.summary(), unexpected={"V9": 1, "V8": 60, "V7": 61})  # of 6,000 rows
    assert {finding.subject for finding in judged(mistake).fired("schema")} == {"V7"}
    assert fired["out_of_range", "Amount"] is not None
    assert fired["out_of_range", "Amount"] > 0.05


def test_a_value_that_the_reference_never_had_is_unseen() -> None:
    """Where an input has few values, the baseline lists them."""
    items = [item | {"values": [0.0, 1.0]} if item["name"] == "V3" else item for item in BASELINE["inputs"]]
    known = detector.Reference.of(BASELINE | {"inputs": items})
    rows = np.tile([0.0, 0, 0, 1, 1], (1000, 1))
    rows[:30, 3] = 2
    summary = detector.WindowSummary.of(known, rows)
    assert summary.columns["V3"].unseen == 30
    found = detector.evaluate(known, summary, None, RULES, start=START, end=END)
    assert next(f.value for f in found.fired("schema") if f.statistic == "unseen") == 0.03


@pytest.mark.parametrize(("value", "fired"), [(0.1, False), (0.3, True)])
def test_an_input_that_is_always_the_same_has_drifted_only_where_it_is_another(value: float, fired: bool) -> None:
    """A tenth is no binary fraction: the mean of many is off by a rounding error, which is no drift."""
    same = Summary.reference(np.full(5000, 0.1)).to_dict()
    items = [item | same if item["name"] == "V3" else item for item in BASELINE["inputs"]]
    known = detector.Reference.of(BASELINE | {"inputs": items})
    rows = window().frame.assign(V3=value).to_numpy()
    found = detector.evaluate(known, detector.WindowSummary.of(known, rows), None, RULES, start=START, end=END)
    assert {finding.subject for finding in found.fired("data")} == ({"V3"} if fired else set())


def test_a_baseline_of_an_older_model_has_no_estimate() -> None:
    """One without a calibration or lists of values is judged as any other, without the estimate."""
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


def test_a_judgement_survives_json() -> None:
    """What is stored beside the window is what was judged; JSON has no NaN."""
    for found in (moved("V1", 1.0).judged(), judged(detector.WindowSummary.empty(REFERENCE))):
        document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert detector.DriftVerdict.from_dict(document) == found
        assert document["top_features"] == [feature.name for feature in found.top_features]


def test_the_committed_rules_are_complete() -> None:
    """model-config/monitoring/drift.yaml has every rule; k of n is checked."""
    yaml = pytest.importorskip("yaml")  # which SageMaker's container does not have
    rules = detector.Rules.from_dict(yaml.safe_load((ROOT / "model-config/monitoring/drift.yaml").read_text()))
    assert (rules.decide.data, rules.decide.concept) == (KOfN(windows=2, of=3), KOfN(windows=1, of=1))
    with pytest.raises(ValueError, match="between 1 and of"):
        KOfN(windows=3, of=2)
