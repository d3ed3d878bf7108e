"""Reads when drift asked for no retrain, and why, as drift checks have recorded it. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from ml.aws.drift_check_store import Checks, SuppressedRequest

_GAP = timedelta(days=7)
"""A daily check repeats what it finds; after this time without it, it is another one."""


def read(checks: Checks) -> tuple[SuppressedRequest, ...]:
    """The suppressed requests, oldest first; those that a daily check has repeated are one.

    Raises:
        CloudError, DataError: S3 refuses, or an object has another form.
    """
    return together(checks.suppressed())


def together(items: Iterable[SuppressedRequest]) -> tuple[SuppressedRequest, ...]:
    """`items` with those of one origin and model, close in time, as one with the first and the latest reason."""
    found: list[SuppressedRequest] = []
    for item in sorted(items, key=lambda each: (each.first, each.request)):
        place = next((n for n in range(len(found) - 1, -1, -1) if _is_same(found[n], item)), None)
        if place is None:
            found.append(item)
        elif item.latest >= found[place].latest:
            found[place] = replace(item, first=found[place].first, first_reason=found[place].first_reason)
    return tuple(found)


def _is_same(one: SuppressedRequest, other: SuppressedRequest) -> bool:
    same = all(getattr(one, name) == getattr(other, name) for name in ("cause", "raised_by", "approval"))
    return same and other.first - one.latest <= _GAP
