"""The settings files are strict: an invalid value is named by file, field, expectation and value."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ml import config
from ml.config.compute import DRIFT_RUNTIME_MINUTES
from ml.drift import counting_job
from ml.errors import ConfigError
from ml.model import estimators
from ml.model.drift.settings import Rules
from ml.playground.template_state import FOLDER as SHIPPED

ROOT = Path(__file__).resolve().parents[2]
GATE = (SHIPPED / config.GATE).read_text()
MODEL = (SHIPPED / config.MODEL).read_text()
DRIFT = (SHIPPED / config.DRIFT).read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "min_recall: 0.60",
            "min_recall: 1.2",
            "model-config/training/gate.yaml: min_recall must be less than 1 (got 1.2)",
        ),
        ("min_recall: 0.60", "min_recall: 1", "min_recall must be less than 1 (got 1"),
        ("min_recall: 0.60", "min_recall: high", "min_recall must be a number (got 'high')"),
        ("min_recall: 0.60", "minimum: 0.60", "min_recall is missing"),
        ("min_recall: 0.60", "min_recall: 0.60\nextra: 1", "extra is not a known key"),
        ("min_positives: 15 ", "min_positives: 1.5 ", "min_positives must be a whole number (got 1.5)"),
        ("resamples: 1000", "resamples: 5", "challenger.resamples must be at least 100 (got 5)"),
        ("min_recall: 0.60", "min_recall: 0.60\nmin_recall: 0.1", "key 'min_recall' is given twice"),
        ("min_recall: 0.60", "min_recall: [", "not valid YAML"),
        ("min_recall: 0.60", "[min, recall]: 0.60", "a key must be plain text"),
        ("min_recall: 0.60", "min_recall: .nan", "min_recall must be a finite number"),
    ],
)
def test_invalid_gate_is_explained(old: str, new: str, message: str) -> None:
    """The error names the file, the field, what was expected and what was found."""
    assert old in GATE
    with pytest.raises(ConfigError) as caught:
        config.parse(GATE.replace(old, new, 1), config.GATE, config.GateFile)
    assert message in str(caught.value)
    assert str(caught.value).startswith("model-config/training/gate.yaml:")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("test: 0.3", "test: 0.4", "split must have train, validation and test add up to 1 (got 1.1)"),
        ("amount_bins: 10", "amount_bins: 30", "binning must have amount_tail ascend from above 0.966667"),
        (
            "0.975, 0.99",
            "0.99, 0.975",
            "amount_tail ascend from above 0.9, the last edge of amount_bins (got 0.95, 0.99,",
        ),
        (
            "policy: max_recall_at_fpr",
            "policy: guess",
            "threshold.policy must be 'max_recall_at_fpr', 'alert_budget', 'min_cost' or 'fixed'",
        ),
        (
            "policy: max_recall_at_fpr, value: 0.0075",
            "policy: min_cost, value: 5",
            "threshold must have loss_share",
        ),
        (
            "policy: max_recall_at_fpr, value: 0.0075",
            "policy: alert_budget, value: 5",
            "threshold must have a value below 1 with the policy alert_budget (got 5)",
        ),
        ("value: 0.0075", "value: 0.0075, loss_share: 1", "threshold must have no loss_share with the policy max_"),
        ("blocks: 5", "blocks: 1", "out_of_fold.blocks must be at least 2 (got 1)"),
        (
            "estimator: logistic_regression",
            "estimator: deep_trees",
            f"training/model.yaml: estimator must be one of {', '.join(estimators.names())}, the files of ml/model/",
        ),
        ("estimator: logistic_regression", "", "model-config/training/model.yaml: estimator is missing"),
        ("instance_type: ml.m5.xlarge", "instance_type: big", "compute.instance_type must match"),
        ("instances: 1", "instances: 2", "compute must have 1 instance with the engine single (got 2)"),
        ("engine: single", "engine: dask", "compute.engine must"),
    ],
)
def test_invalid_model_is_explained(old: str, new: str, message: str) -> None:
    """Rules that span fields are explained like those of one field."""
    assert old in MODEL
    with pytest.raises(ConfigError) as caught:
        config.parse(MODEL.replace(old, new, 1), config.MODEL, config.ModelFile)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("window: month", "window: fortnight", "window must be 'day', 'week' or 'month' (got 'fortnight')"),
        (
            "data: {windows: 2, of: 3}",
            "data: {windows: 4, of: 3}",
            "decide.data must have windows be at most of (got 4 of 3)",
        ),
        (
            "min_alert_rate_ratio: 1.5",
            "min_alert_rate_ratio: 0.5",
            "prediction.min_alert_rate_ratio must be greater than 1",
        ),
        ("max_missing: 0.01, ", "", "schema.max_missing is missing"),
        ("gate_failures: 3", "gate_failures: 0", "circuit_breaker.gate_failures must be at least 1 (got 0)"),
        ("cooldown_days: {data: 21, ", "cooldown_days: {", "cooldown_days.data is missing"),
    ],
)
def test_drift_rules_that_do_not_hold_are_explained(old: str, new: str, message: str) -> None:
    """The error names the file and the field."""
    assert old in DRIFT
    with pytest.raises(ConfigError) as caught:
        config.parse(DRIFT.replace(old, new, 1), config.DRIFT, config.DriftFile)
    assert message in str(caught.value)
    assert str(caught.value).startswith("model-config/monitoring/drift.yaml:")


CLUSTER = "instances: 4, instance_type: ml.m5.xlarge, volume_gb: 100, max_runtime_minutes: 30"


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        ("{engine: dask}", "compute.engine must"),
        (
            "{engine: single, instances: 2}",
            "compute must have instance_type, volume_gb, max_runtime_minutes beside instances; without any of them the "
            "engine single counts in the workflow's job",
        ),
        ("{engine: spark, instances: 2}", "compute must have instance_type, volume_gb, max_runtime_minutes with the"),
        (f"{{engine: spark, {CLUSTER.replace('4', '0')}}}", "compute.instances must be at least 1 (got 0)"),
        (f"{{engine: spark, {CLUSTER.replace('ml.', '')}}}", "compute.instance_type must match"),
        (
            f"{{engine: spark, {CLUSTER.replace('30', '36')}}}",
            "compute must have max_runtime_minutes of at most 35 (got 36): drift.yml waits 60 minutes, and the start "
            "of the instances takes up to 20 of them",
        ),
    ],
)
def test_instances_of_a_drift_check_that_do_not_hold_are_explained(compute: str, message: str) -> None:
    """The error names the file and the field."""
    with pytest.raises(ConfigError) as caught:
        config.parse(f"{DRIFT}compute: {compute}\n", config.DRIFT, config.DriftFile)
    assert message in str(caught.value)


def test_longest_job_of_a_drift_check_ends_within_the_workflow() -> None:
    """drift.yml outlasts the start of the instances, the longest job that the file allows, and five minutes beside."""
    workflow = yaml.safe_load((ROOT / ".github/workflows/drift.yml").read_text("utf-8"))
    seconds = workflow["jobs"]["check"]["timeout-minutes"] * 60
    assert seconds >= DRIFT_RUNTIME_MINUTES * 60 + counting_job._START_SECONDS + 300


def test_instances_of_a_drift_check_change_no_rule() -> None:
    """A window's verdict stays current: the rules that it is stored with are the same. Without the key, none."""
    shipped = config.load_drift(SHIPPED)
    assert shipped.compute.job() is None
    for engine in ("single", "spark"):
        rules = config.parse(f"{DRIFT}compute: {{engine: {engine}, {CLUSTER}}}\n", config.DRIFT, config.DriftFile)
        assert Rules.from_dict(rules.to_rules()) == Rules.from_dict(shipped.to_rules())
        found = rules.compute.job()
        assert found is not None
        assert (found.engine, found.instances, found.max_runtime_minutes) == (engine, 4, 30)


def test_shipped_drift_rules_match_the_detector() -> None:
    """Every value of the first part reaches the detector under its own name."""
    rules = Rules.from_dict(config.load_drift(SHIPPED).to_rules())
    document = yaml.safe_load(DRIFT)
    assert rules.schema.max_missing == document["schema"]["max_missing"]
    assert (rules.looks, rules.decide.data.windows) == (12, document["decide"]["data"]["windows"])
    looks = [Rules.from_dict(document | {"window": unit}).looks for unit in ("day", "week", "month")]
    assert looks == [365, 52, 12]
