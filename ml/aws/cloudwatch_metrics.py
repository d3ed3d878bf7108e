"""Publishes the metrics of drift checks and canaries to CloudWatch. Reads none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from ml.aws.session import client, explained

NAMESPACE = "Fraudops/Drift"
ROLLOUT = "Fraudops/Rollout"
"""Of a canary, with which a deployment is rolled back: a namespace that only the role of deploy.yml may write to."""
_BATCH_POINTS = 500  # CloudWatch takes 1,000, and a megabyte


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value of one metric; dimensions beside the endpoint."""

    name: str
    value: float
    dimensions: Mapping[str, str] = field(default_factory=dict)
    unit: str = "None"


def publish(endpoint: str, points: Iterable[Point], *, at: datetime, namespace: str = NAMESPACE) -> int:
    """Publishes the finite `points` with time `at` and dimension Endpoint, and returns their number.

    CloudWatch rejects infinity and drops points older than two weeks: `at` is the time of the check, not of the
    traffic.

    Raises:
        CloudError: CloudWatch refuses or cannot be reached.
    """
    data = [
        {
            "MetricName": point.name,
            "Dimensions": [
                {"Name": "Endpoint", "Value": endpoint},
                *({"Name": name, "Value": value} for name, value in point.dimensions.items()),
            ],
            "Timestamp": at,
            "Value": point.value,
            "Unit": point.unit,
        }
        for point in points
        if math.isfinite(point.value)
    ]
    with explained(f"publishing metrics to {namespace}"):
        for first in range(0, len(data), _BATCH_POINTS):
            client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data[first : first + _BATCH_POINTS])
    return len(data)
