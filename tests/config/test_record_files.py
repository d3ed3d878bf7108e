"""Records round-trip through YAML, and a record that contradicts itself is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ml import config


def approval(number: int = 7) -> config.ApprovalRecord:
    """An approval as `fraudops approve` writes it."""
    return config.ApprovalRecord(
        approval=number,
        kind="fit",
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
        evaluation=config.Evaluation(uri="s3://lake/executions/x/evaluation/evaluation.json", sha256="e" * 64),
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


def test_window_has_a_start_before_its_end() -> None:
    """A window that ends before it starts is refused."""
    with pytest.raises(ValueError, match="start before end"):
        config.Window(start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 2, 1, tzinfo=UTC))


@pytest.mark.parametrize("kind", ["adapt", "drop", "threshold"])
def test_kind_that_starts_from_the_champion_names_one(kind: config.RunKind) -> None:
    """An approval of such a kind without a champion contradicts itself; so does a request without a start."""
    with pytest.raises(ValueError, match=f"must have a champion if kind is '{kind}'"):
        config.ApprovalRecord(**(approval().model_dump() | {"kind": kind}))
    fields: dict[str, Any] = {"kind": kind, "cause": "manual", "reason": "r", "evidence": {}}
    with pytest.raises(ValueError, match=f"must have window.start if kind is '{kind}'"):
        config.RetrainRequest(**fields, window=config.Window(start=None, end=None))
    bounded = config.Window(start=datetime(2026, 3, 1, tzinfo=UTC), end=None)
    assert config.RetrainRequest(**fields, window=bounded).kind == kind


def test_unknown_kind_is_an_error_of_its_field() -> None:
    """The error names the file, the field and the kinds."""
    text = config.dump(approval()).replace("kind: fit", "kind: refit")
    with pytest.raises(
        config.FileInvalid, match=r"0007\.yaml: kind must be 'threshold', 'drop', 'adapt' or 'fit' \(got 'refit'\)"
    ):
        config.parse(text, config.approval_path(7), config.ApprovalRecord)
