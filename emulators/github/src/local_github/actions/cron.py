"""When a `schedule` is due: POSIX cron's five fields, in UTC, which is all that GitHub takes.

No `@daily`, seconds, `L`, `W` or `#`: GitHub refuses those, and so does this.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from local_github.actions.workflow_file import WorkflowInvalid

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_PART = re.compile(r"(?:(?P<all>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?\Z")


def due(expression: str, moment: datetime) -> bool:
    """Whether `expression` names the minute of `moment`.

    Where both days are restricted, either is enough: POSIX's rule.
    """
    minutes, hours, days, months, weekdays = _read(expression)
    now = moment.astimezone(UTC)
    if now.minute not in minutes or now.hour not in hours or now.month not in months:
        return False
    on_day, on_weekday = now.day in days, now.isoweekday() % 7 in weekdays
    _, _, day, _, weekday = expression.split()
    return (on_day or on_weekday) if day != "*" and weekday != "*" else (on_day and on_weekday)


def _read(expression: str) -> list[set[int]]:
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        raise WorkflowInvalid(f"cron {expression!r}: must have five fields (got {len(fields)})")
    return [
        set().union(*(_part(part, *described) for part in field.split(",")))
        for field, described in zip(fields, _FIELDS, strict=True)
    ]


def _part(text: str, what: str, lowest: int, highest: int, names: tuple[str, ...]) -> set[int]:
    found = _PART.match(text)
    if found is None:
        raise WorkflowInvalid(f"cron: {what} {text!r} is not a number, a range, a step or *")
    step = int(found["step"] or 1)
    low, high = lowest, highest
    if not found["all"]:
        low = _number(found["low"], what, lowest, names)
        high = _number(found["high"], what, lowest, names) if found["high"] else highest if found["step"] else low
    if not (lowest <= low <= high <= highest) or step < 1:
        raise WorkflowInvalid(f"cron: {what} {text!r} is outside {lowest}-{highest}")
    return set(range(low, high + 1, step))


def _number(text: str, what: str, lowest: int, names: tuple[str, ...]) -> int:
    if text.isdigit():
        return int(text)
    if text.upper() in names:
        return names.index(text.upper()) + lowest
    raise WorkflowInvalid(f"cron: {what} {text!r} is not a number")
