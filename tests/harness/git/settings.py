"""Training settings as a few thousand rows need them; not a test itself."""

from __future__ import annotations

from typing import Any

FEW_ROWS: dict[str, Any] = {
    "split": {"train": 0.3, "validation": 0.2, "test": 0.5},
    "binning": {"amount_bins": 10, "amount_tail": [], "hour_bins": 8},
    "resampling": {"minority_ratio": 0.02, "neighbours": 5},
    "regression": {"l2_penalty": 0.5, "max_iterations": 1000, "tolerance": 1.0e-6},
    "out_of_fold": {"below_alerts": 0, "blocks": 5},
    "threshold": {"policy": "max_recall_at_fpr", "value": 0.008},
}
"""Values of model.yaml by key, fixed so that another default changes no test of a training run."""
AT_ONCE: dict[str, Any] = {"rollout.termination_wait_seconds": 0, "rollout.timeout_minutes": 1}
"""Values of production.yaml by key: a deployment on the AWS emulator waits for nothing."""
