"""Determines from the deployment records which models may have answered at a moment. Decides nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ml.aws.deployment_records import Deployment


def at(history: Sequence[Deployment], endpoint: str, moment: datetime) -> list[Deployment]:
    """The deployments to `endpoint` whose model may have answered at `moment`, oldest first.

    That is the last one that had succeeded by then, and those that had started after it: while an update runs both
    models answer, and a deployment that failed its smoke test may have changed the endpoint.

    Args:
        history: every deployment, oldest first.
    """
    begun = [item for item in history if item.endpoint == endpoint and _moment(item.started) <= moment]
    last = max(
        (place for place, item in enumerate(begun) if item.status == "succeeded" and _moment(item.finished) <= moment),
        default=0,
    )
    return begun[last:]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
