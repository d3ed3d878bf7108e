"""Makes FRAUDOPS_NOW the clock of the AWS emulator, so that the emulator and the product share one time."""

from __future__ import annotations

import os
from datetime import datetime

from local_aws.clock import Clock

from ml import clock


class SimulatedClock(Clock):
    """Reads and sets FRAUDOPS_NOW of this process."""

    @property
    def simulated(self) -> datetime | None:
        """The time in FRAUDOPS_NOW; None while it is unset."""
        return clock.now() if os.environ.get("FRAUDOPS_NOW") else None

    def set(self, moment: datetime | None) -> None:
        """Sets FRAUDOPS_NOW, or unsets it for None."""
        if moment is None:
            os.environ.pop("FRAUDOPS_NOW", None)
        else:
            os.environ["FRAUDOPS_NOW"] = clock.stamp(moment)
