"""An approval record that is not what package, archive and evaluation say is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import registry
from ml.aws.session import client
from ml.errors import Refused
from ml.records import approval_verification
from ml.records.package_proposal import propose_package
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """A repository and a registry, both empty."""
    return served.on_moto(server, tmp_path, monkeypatch)


def record(env: ServedPlatform) -> config.ApprovalRecord:
    """The record that `fraudops propose` writes of a new package, read back from its file."""
    proposed = propose_package(env.workspace.repository, env.register(-1.0)).record
    return config.parse(config.dump(proposed), config.approval_path(proposed.approval), config.ApprovalRecord)


def test_proposed_record_is_accepted(env: ServedPlatform) -> None:
    """A first model, and a challenger that was compared with it."""
    first = record(env)
    assert approval_verification.against_registry(first, env.where).arn == first.model_package_arn
    env.approve(first.model_package_arn)
    second = propose_package(env.workspace.repository, env.register(1.0)).record
    approval_verification.against_registry(second, env.where)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"metrics": {"recall": config.Interval(value=0.999, low=0.99, high=1.0, count=20, of=20)}},
            r"metrics\.recall\.value is 0\.999, and the registry has 0\.9",
        ),
        ({"metrics": {}}, r"metrics\.recall\.value is absent, and the registry has 0\.9"),
        (
            {"verdict": config.Verdict(status="passed", reason="Recall 1.00 > 0.60.")},
            r"verdict\.reason is Recall 1\.00",
        ),
        ({"threshold": 0.01}, r"threshold is 0\.01, and the registry has 0\.5"),
        ({"commit": "b" * 40}, "commit is b{40}"),
        ({"requests": ("20260301T060000Z-manual",)}, "requests is"),
        (
            {"evaluation": config.Evaluation(uri="s3://lake/executions/x/evaluation.json", sha256="e" * 64)},
            "says evaluation e{64}, but .* was registered with",
        ),
        (
            {
                "champion": config.Champion(
                    approval=1,
                    model_package_arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/fraudops-model/1",
                    artifact_sha256="a" * 64,
                    comparison="compared",
                    reason="Much better.",
                )
            },
            r"champion\.artifact_sha256 is a{64}, and the evaluation has None",
        ),
    ],
    ids=["metric", "metrics left out", "verdict", "threshold", "commit", "requests", "evaluation", "champion"],
)
def test_changed_field_is_refused_by_name(env: ServedPlatform, changes: dict[str, Any], message: str) -> None:
    """The refusal names field, value and what the registry has."""
    forged = record(env).model_copy(update=changes)
    with pytest.raises(Refused, match=message):
        approval_verification.against_registry(forged, env.where)


def test_replaced_evaluation_is_refused(env: ServedPlatform) -> None:
    """An evaluation.json that was overwritten after the registration does not have the registered digest."""
    honest = record(env)
    package = registry.package(honest.model_package_arn)
    evaluation = registry.evaluation(package)
    evaluation["metrics"]["recall"]["value"] = 0.999
    key = package.evaluation_uri.removeprefix(f"s3://{env.where.bucket}/")
    client("s3").put_object(Bucket=env.where.bucket, Key=key, Body=json.dumps(evaluation).encode())
    with pytest.raises(Refused, match=r"is not the evaluation of .*: its sha256 is"):
        approval_verification.against_registry(honest, env.where)


def test_package_without_evaluation_digest_is_not_proposed(env: ServedPlatform) -> None:
    """A package that was registered by something else than the pipeline cannot be approved."""
    arn = env.register(-1.0, evaluation_sha256=None)
    with pytest.raises(Refused, match="was registered with none"):
        propose_package(env.workspace.repository, arn)
