"""The repository's training settings as a few thousand rows need them; not a test itself."""

from __future__ import annotations

import re

_SETTINGS = {
    "split": "{train: 0.3, validation: 0.2, test: 0.5}",
    "binning": "{amount_bins: 10, amount_tail: [], hour_bins: 8}",
    "resampling": "{minority_ratio: 0.02, neighbours: 5}",
    "regression": "{l2_penalty: 0.5, max_iterations: 1000, tolerance: 1.0e-6}",
    "out_of_fold": "{below_alerts: 0, blocks: 5}",
    "threshold": "{policy: max_recall_at_fpr, value: 0.008}",
}


def settled(model: str) -> str:
    """`model`, the text of model.yaml, with fixed settings for small data: those of the repository may change."""
    for key, value in _SETTINGS.items():
        model, found = re.subn(rf"^{key}: .*$", f"{key}: {value}", model, flags=re.M)
        assert found == 1, key
    return model
