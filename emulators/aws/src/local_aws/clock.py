"""The clock of events, captured records and Lambda handlers. Requests are signed with the real time."""

from __future__ import annotations

from datetime import UTC, datetime


class Clock:
    """Real time, until a simulated time is set."""

    def __init__(self) -> None:
        self._simulated: datetime | None = None

    @property
    def simulated(self) -> datetime | None:
        """The simulated time, which does not advance by itself; None while the clock shows real time."""
        return self._simulated

    def set(self, moment: datetime | None) -> None:
        """Sets the simulated time; None returns to real time."""
        self._simulated = moment

    def now(self) -> datetime:
        """The simulated time if one is set, else the current time, in UTC."""
        return self.simulated or datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """`moment` as YYYY-MM-DDTHH:MM:SSZ."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
