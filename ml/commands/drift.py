"""`fraudops drift check`: whether there is captured traffic to judge, and in which window.

Whether it has drifted is not judged by this version, and it never says that it has not: "no data" is neither drift nor
its absence, and traffic that was not judged is said to be just that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from ml import clock, config
from ml.aws import capture, platform
from ml.commands import actions
from ml.errors import ConfigError
from ml.gitops import markdown

Verdict = Literal["no data", "not judged"]
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class DriftCheck:
    """What was found in a window."""

    verdict: Verdict
    reason: str
    endpoint: str
    start: datetime
    end: datetime
    objects: int
    bytes: int
    hours: int
    hours_with_traffic: int


def check(root: Path, *, window: str | None = None) -> DriftCheck:
    """Looks for captured traffic of the endpoint that serving/production.yaml below `root` names.

    Args:
        window: `START/END`, two ISO 8601 times; the last whole day in UTC if it is None or empty.

    Raises:
        ConfigError: `window` is not that.
        CloudError: there is no platform, or S3 cannot be reached.
    """
    start, end = interval(window)
    endpoint = config.load_serving(root).endpoint
    found = capture.listing(platform.read().bucket, endpoint, start, end)
    verdict: Verdict = "not judged" if found.objects else "no data"
    if found.objects:
        reason = (
            f"{found.objects:,} captured objects ({found.bytes:,} bytes) in {found.hours_with_traffic} of "
            f"{found.hours} hours; this version reports them and does not judge whether they drift"
        )
    else:
        reason = (
            f"no traffic was captured in {found.hours} hours, so nothing can be said: this is neither drift nor its "
            "absence. If the endpoint was called, look at capture.sampling_percentage"
        )
    result = DriftCheck(
        verdict=verdict,
        reason=reason,
        endpoint=endpoint,
        start=start,
        end=end,
        objects=found.objects,
        bytes=found.bytes,
        hours=found.hours,
        hours_with_traffic=found.hours_with_traffic,
    )
    actions.output(verdict=verdict)
    actions.summary(
        f"### Drift: {verdict}\n\n{markdown.code(endpoint)}, {clock.stamp(start)} to {clock.stamp(end)}: "
        f"{markdown.text(reason)}."
    )
    return result


def interval(window: str | None) -> tuple[datetime, datetime]:
    """The start and the end that `window` names; the last whole day in UTC where it names none."""
    if not window:
        end = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return end - _DAY, end
    start_text, separator, end_text = window.partition("/")
    try:
        start, end = datetime.fromisoformat(start_text.strip()), datetime.fromisoformat(end_text.strip())
    except ValueError:
        start = end = datetime.min
    if not separator or start.tzinfo is None or end.tzinfo is None:
        raise ConfigError(
            f"window must be START/END, two times with an offset, as 2026-03-01T00:00:00Z/2026-03-02T00:00:00Z "
            f"(got {window!r})"
        )
    if start >= end:
        raise ConfigError(f"window must end after it starts (got {window!r})")
    return start, end
