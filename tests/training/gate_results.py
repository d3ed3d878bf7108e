"""Gate results for tests."""

from __future__ import annotations

import json
from dataclasses import replace

from ml.training.gate_result import GateResult
from tests.report.evaluations import evaluation


def passed(**changes: object) -> GateResult:
    """The result of a run that passed the gate, with `changes` to its fields."""
    result = GateResult(
        verdict="passed",
        reason="Recall 0.90 > 0.60.",
        execution_arn="arn:aws:sagemaker:eu-west-1:123456789012:pipeline/fraudops-training/execution/abc",
        package_arn="arn:aws:sagemaker:eu-west-1:123456789012:model-package/fraudops-model/7",
        version=7,
        kind="fit",
        commit="b" * 40,
        requests=("20260301T060000Z-data-drift",),
        asked="",
        evaluation=json.loads(json.dumps(evaluation())),
        evaluation_uri="s3://lake/evaluation.json",
    )
    return replace(result, **changes)  # type: ignore[arg-type]  # the fields of a test
