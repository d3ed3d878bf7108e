"""What a comparison means for the promotion: one of four words, and the reason with figures. Decides no promotion.

`wait` until the stated time is over; afterwards `reject` if requests were refused that production answers, if nothing
could be compared, or if fewer frauds are found beyond chance; else `no objection`, or `no objection yet` while labels
are not mature. `wait` is said only of what more time changes: refusals are final, so they come before server errors,
which may pass. Those are `wait` for a day after the time, or after the first run that found them if that came later,
and `reject` only if the requests still fail then.
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
"""For how long requests are sent again before their server errors count, from the end of the stated time or later."""
_SERVER_ERROR = 500


def decide(document: Mapping[str, Any]) -> tuple[str, str]:
    """The word and the reason, a clause, for a comparison's document."""
    window, failed = document["window"], server_errors(document["errors"])
    refused = {status: count for status, count in document["errors"].items() if status not in failed}
    failing = f"{_requests(document, failed)} were answered with a server error ({_statuses(failed)})"
    again = f"{failing}, and are sent again by the next run"
    if not window["over"]:
        so_far = f"{window['compared_hours']:.1f} of {window['hours']} hours are compared; {_agreement(document)}"
        return WAIT, f"{so_far}; {again}" if failed else so_far
    if refused:
        return REJECT, f"{_requests(document, refused)} were refused ({_statuses(refused)})"
    if failed:
        until = retried_until(document)
        if datetime.fromisoformat(document["at"]) < until:
            return WAIT, f"{again}; they count against the challenger if they still fail at {clock.stamp(until)}"
        first = until - _RETRIED
        after = (
            "the end of its time" if first == _end(document) else f"the first failure after it, {clock.stamp(first)}"
        )
        return REJECT, f"{failing}, still {_RETRIED // _HOUR} hours after {after}"
    return _by_rows(document)


def server_errors(errors: Mapping[str, int]) -> dict[str, int]:
    """The 5xx statuses among `errors`, requests by HTTP status: those that may pass."""
    return {status: count for status, count in errors.items() if int(status) >= _SERVER_ERROR}


def retried_until(document: Mapping[str, Any]) -> datetime:
    """When server errors begin to count: a day after the end of the time, or after they were first found if later."""
    first = datetime.fromisoformat(document.get("failing_since") or document["at"])
    return max(_end(document), first) + _RETRIED


def _end(document: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(document["window"]["end"])


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


def _requests(document: Mapping[str, Any], errors: Mapping[str, int]) -> str:
    sampled = document["traffic"]["sampled_requests"]
    return f"{sum(errors.values()):,} of {sampled:,} requests that production answered"


def _statuses(errors: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} with {status}" for status, count in sorted(errors.items()))
