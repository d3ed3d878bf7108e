"""Writes differences from Git for the job that may start deploy.yml, and reads them as untrusted input. Starts nothing.

The job that compares has an AWS role and runs every package of the run lock. The one that starts has neither, and
takes from main whether it may.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from ml import clock, config
from ml.config.hand_over import MAX_BYTES, Difference, Differences
from ml.errors import ConfigError

SOURCE = Path("the hand-over of `fraudops status --hand-over`")
"""What messages name in place of a file."""
_TEXT_LIMIT = 1024  # characters
_MAX_DIFFERENCES = 80
"""All of this number and length fit into MAX_BYTES in ASCII."""
_CLOCK_SKEW = timedelta(minutes=5)  # between the machines of two jobs
_VALID = timedelta(hours=6)


def write(
    *,
    commit: str,
    compared: datetime,
    found: list[Difference],
    unsettled: str | None,
    undeployed: str | None,
) -> str:
    """The document of a comparison. A long text is cut, and of very many differences the last are left out.

    Raises:
        ConfigError: it is longer than MAX_BYTES.
    """
    found = sorted(found, key=lambda each: each.remedy != "deploy.yml")
    document = Differences(
        commit=commit,
        compared=compared,
        unsettled=unsettled[:_TEXT_LIMIT] if unsettled else None,
        undeployed=undeployed[:_TEXT_LIMIT] if undeployed else None,
        found=tuple(found[:_MAX_DIFFERENCES]),
    )
    text = config.dump(document)
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError(f"{SOURCE}: must have at most {MAX_BYTES:,} bytes (got {len(text.encode()):,})")
    return text


def difference(subject: str, detail: str, remedy: str) -> Difference:
    """One difference; a long text is cut."""
    return Difference.model_validate({"subject": subject, "detail": detail[:_TEXT_LIMIT], "remedy": remedy})


def read(text: str) -> Differences:
    """The comparison of `text`.

    Raises:
        ConfigError: `text` is no such document; it names the field.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ConfigError(f"{SOURCE}: must have at most {MAX_BYTES:,} bytes")
    found = config.parse(text, SOURCE, Differences)
    if found.compared > clock.now() + _CLOCK_SKEW:
        # A run of deploy.yml that ended since would not count.
        raise ConfigError(f"{SOURCE}: compared must be in the past (got {found.compared.isoformat()})")
    if found.compared < clock.now() - _VALID:
        # A job that is run again later gets what was true then.
        raise ConfigError(
            f"{SOURCE}: compared must be within {_VALID.total_seconds() / 3600:.0f} hours (got "
            f"{found.compared.isoformat()}); start drift.yml again instead of its second job"
        )
    return found
