"""Computes the due times of `schedule:` expressions: POSIX cron's five fields in UTC, evaluated by cronsim.

cronsim also accepts seconds, `L`, `LW`, `#` and 7 for Sunday, which GitHub refuses; these are refused here first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from local_github.actions.workflow_file import WorkflowInvalid

_VALUE = r"(?:\d{1,2}|[A-Za-z]{3})"
_TERM = rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/\d+)?"
_FIELD = re.compile(rf"{_TERM}(?:,{_TERM})*")
_SUNDAY_AS_7 = re.compile(r"(?<![/\d])7")
_FIELDS = 5


def due_times(expression: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The minutes after `after` and up to `until` in which `expression` is due, in UTC.

    Raises:
        WorkflowInvalid: GitHub would refuse the expression.
    """
    for moment in _parse(expression, after.astimezone(UTC)):
        if moment > until:
            return
        yield moment


def is_due(expression: str, moment: datetime) -> bool:
    """Whether `expression` is due in the minute of `moment`; WorkflowInvalid if GitHub would refuse it."""
    minute = moment.astimezone(UTC).replace(second=0, microsecond=0)
    return minute in due_times(expression, minute - timedelta(seconds=1), minute)


def _parse(expression: str, after: datetime) -> CronSim:
    fields = expression.split()
    if len(fields) != _FIELDS:
        raise WorkflowInvalid(f"cron {expression!r}: must have five fields (got {len(fields)})")
    for field in fields:
        if not _FIELD.fullmatch(field):
            raise WorkflowInvalid(f"cron {expression!r}: {field!r} is not a number, name, range, step or *")
    if _SUNDAY_AS_7.search(fields[-1]):
        raise WorkflowInvalid(f"cron {expression!r}: day of the week must be 0-6 or SUN-SAT")
    try:
        return CronSim(expression, after)
    except CronSimError as error:
        raise WorkflowInvalid(f"cron {expression!r}: {error}") from error
