"""Writes shares in percent: measured ones with two significant digits, settings as they are."""

from __future__ import annotations

_NEARLY_ALL = 99.95


def percent(share: float) -> str:
    """`share` in percent, e.g. `0.17 %`, `94 %`; with one decimal above 99 %, so that 99.6 % is not shown as all."""
    value = 100 * share
    if abs(value) < 10:
        return f"{value:.2g} %" if abs(value) >= 1e-3 or not value else f"{value:.1g} %"
    if 99 < value < 100:
        return f"{value:.1f} %" if value < _NEARLY_ALL else "more than 99.9 %"
    return f"{value:.0f} %"


def setting(share: float) -> str:
    """A share that a person chose, e.g. `1.25 %`, with up to four digits."""
    return f"{100 * share:.4g} %"
