"""Which retrain requests a training run answers, and on what stretch of data.

A request is open until an approval names its id. Nothing here writes: a request's fate is written by the approval.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ml import config
from ml.errors import ConfigError, Refused

METADATA_LIMIT = 255
"""Characters for all ids of one run: a value of a model package's metadata holds 256, the first of which marks it."""


def open_requests(root: Path) -> dict[str, config.RetrainRequest]:
    """The requests below `root` that no approval names, by id, oldest first."""
    resolved = _resolved(root)
    return {name: request for name, request in config.load_requests(root).items() if name not in resolved}


def choose(root: Path, wanted: Sequence[str] | None) -> dict[str, config.RetrainRequest]:
    """The open requests called `wanted`; if it is None the oldest open ones, as many as one package can name.

    Raises:
        ConfigError: `wanted` names a request that is not there.
        Refused: it names one that an approval has resolved, or more than one package can name.
    """
    available = open_requests(root)
    if wanted is None:
        return {name: available[name] for name in _fitting(available)}
    chosen = sorted(set(wanted))
    for name in chosen:
        if name in _resolved(root):
            raise Refused(f"{config.REQUESTS}/{name}.yaml: an approval has resolved it; nothing was started")
        if name not in available:
            known = ", ".join(available) or "none"
            raise ConfigError(f"{config.REQUESTS}/{name}.yaml: no such request (open: {known})")
    if len(_fitting(chosen)) < len(chosen):
        raise Refused(
            f"{len(chosen)} requests are more than one model package can name ({METADATA_LIMIT} characters); "
            "name fewer, the others stay open"
        )
    return {name: available[name] for name in chosen}


def window(requests: Mapping[str, config.RetrainRequest]) -> config.Window:
    """The stretch of data that answers all of `requests`: from the latest of their starts to the latest of their ends.

    Rows from before an onset teach what is no longer so, hence the latest start; a side that any request leaves open
    at the end stays open, for nothing says that newer rows are worse.
    """
    starts = [request.window.start for request in requests.values() if request.window.start is not None]
    ends = [request.window.end for request in requests.values()]
    closed = [end for end in ends if end is not None]
    return config.Window(
        start=max(starts, default=None), end=max(closed, default=None) if len(closed) == len(ends) else None
    )


def _resolved(root: Path) -> set[str]:
    numbers = [int(file.stem) for file in (root / config.APPROVALS).glob("*.yaml") if file.stem.isdecimal()]
    return {name for number in numbers for name in config.load_approval(root, number).requests}


def _fitting(names: Collection[str]) -> list[str]:
    taken: list[str] = []
    for name in names:
        if len(" ".join([*taken, name])) > METADATA_LIMIT:
            break
        taken.append(name)
    return taken
