"""Tests of shares in percent."""

from __future__ import annotations

import pytest

from ml.gitops.percent import percent, setting


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0 %"),
        (0.0000012, "0.0001 %"),
        (0.00173, "0.17 %"),
        (0.01, "1 %"),
        (0.0108, "1.1 %"),
        (0.0998, "10 %"),
        (0.943, "94 %"),
        (0.996, "99.6 %"),
        (0.9996, "more than 99.9 %"),
        (1.0, "100 %"),
    ],
)
def test_percent_has_two_significant_digits(share: float, words: str) -> None:
    """Small shares are not shown as 0, and nearly all not as all."""
    assert percent(share) == words


def test_settings_are_not_rounded() -> None:
    """What a person chose is shown as it is."""
    assert [setting(share) for share in (0.0125, 0.01, 0.0312, 0.05)] == ["1.25 %", "1 %", "3.12 %", "5 %"]
