"""A short sample of the soak, and what it would find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.performance import soak


@pytest.mark.long
def test_endpoint_under_load_loses_nothing(tmp_path: Path) -> None:
    """Twenty seconds at 80 % of capacity: no error, each answer captured once, and the server's memory stays."""
    found = soak.soak(tmp_path, seconds=20.0, trial_seconds=3.0)
    assert found.errors == []
    assert found.answered > 100
    assert (found.missing, found.doubled) == (0, 0)
    assert found.growth_megabytes < soak.MAX_GROWTH_MEGABYTES
