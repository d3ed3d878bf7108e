"""Finished deployments for tests; not a test itself."""

from __future__ import annotations

from typing import Any

from ml.aws import deployment_records
from tests.harness.git.repositories import record


def finished(approval: int, at: str, **changes: Any) -> deployment_records.Deployment:
    """A deployment that ended at `at`."""
    fields: dict[str, Any] = {
        "approval": approval,
        "model_package_arn": record(approval).model_package_arn,
        "artifact_sha256": record(approval).artifact.sha256,
        "artifact_uri": record(approval).artifact.uri,
        "endpoint": "fraudops-production",
        "endpoint_config": f"fraudops-production-{approval:04d}-0123456789ab",
        "status": "succeeded",
        "reason": "",
        "commit": "c" * 40,
        "desired": "order-1",
        "smoke": {"rows": 3, "alerts": 1, "largest_difference": 0.0},
        "started": at,
        "finished": at,
    }
    return deployment_records.Deployment(**(fields | changes))
