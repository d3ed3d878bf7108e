"""What a comparison means for the promotion: one of four words, and the reason with figures. Decides no promotion.

`wait` until the stated time is over; afterwards `reject` if requests were refused that production answers, if nothing
could be compared, or if fewer frauds are found beyond chance; else `no objection`, or `no objection yet` while labels
are not mature. `wait` is said only of what more time changes. Server errors may pass and say little of the challenger:
for a day after the time they are `wait`, and `reject` only if the requests still fail then.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ml import clock
from ml.release.shadow_comparison import SIGNIFICANCE

WAIT, REJECT, NO_OBJECTION, NO_OBJECTION_YET = "wait", "reject", "no objection", "no objection yet"
_HOUR = timedelta(hours=1)
_RETRIED = 24 * _HOUR
"""For how long after the end of the stated time requests are sent again before their server errors count."""


def decide(document: Mapping[str, Any]) -> tuple[str, str]:
    """The word and the reason, a clause, for a comparison's document."""
    window, errors = document["window"], document["errors"]
    missing = sum(count for status, count in errors.items() if int(status) >= 500)
    failed = (
        f"{missing:,} of {document['traffic']['sampled_requests']:,} requests that production answered were answered "
        f"with a server error ({_statuses(errors)})"
    )
    again = f"{failed}, and are sent again by the next run"
    if not window["over"]:
        so_far = f"{window['compared_hours']:.1f} of {window['hours']} hours are compared; {_agreement(document)}"
        return WAIT, f"{so_far}; {again}" if missing else so_far
    ended = datetime.fromisoformat(window["end"])
    if missing and datetime.fromisoformat(document["at"]) < ended + _RETRIED:
        return WAIT, f"{again}; they count against the challenger if they still fail at {clock.stamp(ended + _RETRIED)}"
    if missing:
        return REJECT, f"{failed}, still {_RETRIED // _HOUR} hours after the end of its time"
    if errors:
        return REJECT, (
            f"{sum(errors.values()):,} of {document['traffic']['sampled_requests']:,} requests that production "
            f"answered were refused ({_statuses(errors)})"
        )
    return _by_rows(document)


def _by_rows(document: Mapping[str, Any]) -> tuple[str, str]:
    """The word and the reason of a comparison whose time is over and whose requests were all scored."""
    if not document["rows"]:
        return REJECT, "no transaction has an answer of both, so nothing was compared"
    found = document["labels"]
    if not found["mature"]:
        return NO_OBJECTION_YET, f"{_agreement(document)}; labels are not mature ({found['immature_because']})"
    cells = found["cells"]
    gained, lost = cells["challenger_only"]["frauds"], cells["champion_only"]["frauds"]
    frauds = sum(cell["frauds"] for cell in cells.values())
    said = (
        f"of {frauds:,} known frauds the challenger alerts on {found['challenger']['recall']['count']:,} and the model "
        f"in production on {found['champion']['recall']['count']:,}"
    )
    if found["p_value"] is not None and found["p_value"] < SIGNIFICANCE and lost > gained:
        return REJECT, f"{said}, which is fewer beyond chance (p = {found['p_value']:.2g})"
    return NO_OBJECTION, f"{said}; {_agreement(document)}"


def _agreement(document: Mapping[str, Any]) -> str:
    found = document["agreement"]
    if not document["rows"]:
        return "no transaction has an answer of both"
    return (
        f"both decide alike on {found['same_decision']['value']:.2%} of {document['rows']:,} transactions, the "
        f"challenger alone alerts on {found['challenger_only']['count']:,} and production alone on "
        f"{found['champion_only']['count']:,}"
    )


def _statuses(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} with {status}" for status, count in sorted(errors.items()))
