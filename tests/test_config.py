"""model-config/ is read strictly: what does not hold is named by file, field, expectation and value."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from ml import config
from ml.errors import ConfigError
from ml.model.drift.settings import Rules
from ml.model.training_settings import Settings

ROOT = Path(__file__).resolve().parents[1]
GATE = (ROOT / config.GATE).read_text()
MODEL = (ROOT / config.MODEL).read_text()
SERVING = (ROOT / config.SERVING).read_text()
DRIFT = (ROOT / config.DRIFT).read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "min_recall: 0.60",
            "min_recall: 1.2",
            "model-config/training/gate.yaml: min_recall must be at most 1 (got 1.2)",
        ),
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
        ("amount: Amount", "amount: V1", "data must name each column once (twice: V1)"),
        ("time: Time", "time: null", "must set binning.hour_bins to 0 if data.time is null"),
        (
            "policy: max_recall_at_fpr",
            "policy: guess",
            "threshold.policy must be 'max_recall_at_fpr', 'alert_budget' or 'fixed'",
        ),
        ("instance_type: ml.m5.xlarge", "instance_type: big", "compute.instance_type must match"),
    ],
)
def test_invalid_model_is_explained(old: str, new: str, message: str) -> None:
    """Rules that span fields are explained like those of one field."""
    assert old in MODEL
    with pytest.raises(ConfigError) as caught:
        config.parse(MODEL.replace(old, new, 1), config.MODEL, config.ModelFile)
    assert message in str(caught.value)


def test_text_that_is_no_mapping_is_refused() -> None:
    """A list, a word or nothing at all is not a configuration."""
    for text in ("", "- 1", "word"):
        with pytest.raises(ConfigError, match="must be a mapping"):
            config.parse(text, config.GATE, config.GateFile)


def test_yaml_tags_build_nothing() -> None:
    """A tag that would make a Python object is an error, not an object."""
    with pytest.raises(ConfigError, match="not valid YAML"):
        config.parse("min_recall: !!python/object/apply:os.getcwd []", config.GATE, config.GateFile)


def test_missing_file_is_named() -> None:
    """The error for a missing file says which, and what to do."""
    with pytest.raises(ConfigError, match=r"gate\.yaml: no such file"):
        config.load_gate(Path("nowhere"))


def test_settings_survive_the_way_to_the_steps() -> None:
    """Settings written as JSON and read back are equal, and so is their digest."""
    settings = config.load_settings(ROOT)
    again = Settings.from_json(settings.to_json())
    assert again == settings
    assert again.sha256 == settings.sha256


def test_change_of_any_file_changes_the_digest() -> None:
    """The configuration digest covers both training files."""
    before = config.load_settings(ROOT).sha256
    model = config.parse(MODEL.replace("seed: 20", "seed: 21"), config.MODEL, config.ModelFile)
    gate = config.parse(GATE.replace("0.60", "0.61"), config.GATE, config.GateFile)
    assert config.settings_of(model, config.load_gate(ROOT)).sha256 != before
    assert config.settings_of(config.load_model(ROOT), gate).sha256 != before


def approval(number: int = 7) -> config.ApprovalRecord:
    """An approval as `fraudops approve` writes it."""
    return config.ApprovalRecord(
        approval=number,
        model_package_arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/fraud/7",
        artifact=config.Artifact(uri="s3://lake/executions/x/artifact/model.tar.gz", sha256="a" * 64),
        container=config.Container(
            image="registry/scikit-learn:1.9-0", environment={"SAGEMAKER_PROGRAM": "inference.py"}
        ),
        commit="b" * 40,
        config_sha256="c" * 64,
        data=config.TrainingData(
            sha256="d" * 64,
            window=config.Window(start=None, end=datetime(2026, 3, 1, tzinfo=UTC)),
            rows=10,
            frauds=1,
        ),
        requests=("20260301T060000Z-data-drift",),
        execution_arn="arn:aws:sagemaker:us-east-1:123456789012:pipeline/fraudops-training/execution/x",
        metrics={"recall": config.Interval(value=0.9, low=0.8, high=0.95, count=9, of=10)},
        threshold=0.25,
        verdict=config.Verdict(status="passed", reason="all checks passed"),
        champion=None,
        created=datetime(2026, 3, 1, 6, tzinfo=UTC),
    )


def test_approval_survives_being_committed() -> None:
    """What is dumped is read back equal, and dumping it again gives the same bytes."""
    text = config.dump(approval())
    again = config.parse(text, config.approval_path(7), config.ApprovalRecord)
    assert again == approval()
    assert config.dump(again) == text


def test_approval_is_numbered_as_its_package() -> None:
    """The approval's number is the model package's version."""
    with pytest.raises(ValueError, match="approval be the package's version"):
        approval(8)


def test_request_is_named_for_its_time_and_cause(tmp_path: Path) -> None:
    """A request file whose name does not hold its time and cause is refused."""
    folder = tmp_path / config.REQUESTS
    folder.mkdir(parents=True)
    body = "cause: data-drift\nreason: V3 moved\nwindow: {start: null, end: null}\nevidence: {}\n"
    (folder / "20260301T060000Z-data-drift.yaml").write_text(body)
    assert list(config.load_requests(tmp_path)) == ["20260301T060000Z-data-drift"]
    (folder / "20260302T060000Z-concept-drift.yaml").write_text(body)
    with pytest.raises(ConfigError, match="cause must be the one in the file's name"):
        config.load_requests(tmp_path)
    (folder / "20260302T060000Z-concept-drift.yaml").rename(folder / "latest.yaml")
    with pytest.raises(ConfigError, match="must be named"):
        config.load_requests(tmp_path)


def test_window_has_a_start_before_its_end() -> None:
    """A window that ends before it starts is refused."""
    with pytest.raises(ValueError, match="start before end"):
        config.Window(start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 2, 1, tzinfo=UTC))


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
        ("gate_failures: 2", "gate_failures: 0", "circuit_breaker.gate_failures must be at least 1 (got 0)"),
        ("cooldown_days: {data: 21, ", "cooldown_days: {", "cooldown_days.data is missing"),
    ],
)
def test_drift_rules_that_do_not_hold_are_explained(old: str, new: str, message: str) -> None:
    """By file and field; the file as committed holds, and is what the judge takes."""
    assert old in DRIFT
    with pytest.raises(ConfigError) as caught:
        config.parse(DRIFT.replace(old, new, 1), config.DRIFT, config.DriftFile)
    assert message in str(caught.value)
    assert str(caught.value).startswith("model-config/monitoring/drift.yaml:")


def test_committed_drift_rules_match_the_detector() -> None:
    """Every value of the first part reaches the judge under its own name."""
    rules = Rules.from_dict(config.load_drift(ROOT).to_rules())
    document = yaml.safe_load(DRIFT)
    assert rules.schema.max_missing == document["schema"]["max_missing"]
    assert (rules.looks, rules.decide.data.windows) == (document["looks"], document["decide"]["data"]["windows"])
