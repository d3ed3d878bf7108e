"""Derives an approval record from a model package and its evaluation. Reads nothing and verifies nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ml import config
from ml.aws import registry


def record_of(
    package: registry.Package,
    evaluation: Mapping[str, Any],
    *,
    execution_arn: str,
    champion: config.Champion | None,
    not_reproducible: str | None,
    created: datetime,
) -> config.ApprovalRecord:
    """The approval record of a package, from its evaluation; nothing is computed again."""
    windows = evaluation["windows"].values()
    return config.ApprovalRecord(
        approval=package.version,
        kind=package.kind,
        model_package_arn=package.arn,
        artifact=config.Artifact(uri=package.model_data_url, sha256=package.artifact_sha256),
        container=container(package),
        commit=package.metadata["commit"],
        config_sha256=package.metadata["config_sha256"],
        data=config.TrainingData(
            sha256=package.metadata["data_sha256"],
            window=config.Window(
                start=_moment(package.metadata.get("window_start", "")),
                end=_moment(package.metadata.get("window_end", "")),
            ),
            rows=sum(window["rows"] for window in windows),
            frauds=sum(window["frauds"] for window in windows),
        ),
        requests=tuple(package.metadata.get("requests", "").split()),
        execution_arn=execution_arn,
        evaluation=config.Evaluation(uri=package.evaluation_uri, sha256=package.evaluation_sha256),
        # A metric that does not exist (precision without alerts) is left out; evaluation.json has the reason.
        metrics={
            name: config.Interval(**{key: figure[key] for key in ("value", "low", "high", "count", "of")})
            for name, figure in evaluation["metrics"].items()
            if None not in (figure["value"], figure["low"], figure["high"])
        },
        threshold=float(evaluation["threshold"]["score"]),
        verdict=config.Verdict(status=evaluation["verdict"]["status"], reason=evaluation["verdict"]["reason"]),
        champion=champion,
        not_reproducible=not_reproducible,
        created=created,
    )


def container(package: registry.Package) -> config.Container:
    """The inference container of `package`, as the registry describes it."""
    return config.Container(image=package.image, environment=dict(package.environment))


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
