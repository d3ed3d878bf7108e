"""Chooses the open retrain requests that a training run resolves, and their training window.

A request is open until an approval or a recorded gate failure names its id. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ml import config
from ml.errors import ConfigError, Refused

METADATA_LIMIT = 255
"""Characters for all ids of one run: a value of a model package's metadata holds 256, the first of which marks it."""


def open_requests(root: Path) -> dict[str, config.RetrainRequest]:
    """The requests below `root` that neither an approval nor a recorded gate failure names, by id, oldest first."""
    closed = _closed(root)
    return {name: request for name, request in config.load_requests(root).items() if name not in closed}


def choose(root: Path, wanted: Sequence[str] | None) -> dict[str, config.RetrainRequest]:
    """The open requests named in `wanted`; if None, the oldest open ones, as many as one package can name.

    Raises:
        ConfigError: `wanted` names a request that does not exist.
        Refused: it names a resolved one, or more than one package can name.
    """
    available = open_requests(root)
    if wanted is None:
        return {name: available[name] for name in _fitting(available)}
    chosen, closed = sorted(set(wanted)), _closed(root)
    for name in chosen:
        if name in closed:
            raise Refused(
                f"{config.REQUESTS}/{name}.yaml: {closed[name]} has resolved it; nothing was started. "
                "To train again, commit another request"
            )
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
    """The training window for all of `requests`: from the latest of their starts to the latest of their ends.

    The latest start, because rows from before an onset teach the former concept. If any request has no end, the window
    has none: newer rows are never worse.
    """
    starts = [request.window.start for request in requests.values() if request.window.start is not None]
    ends = [request.window.end for request in requests.values()]
    closed = [end for end in ends if end is not None]
    return config.Window(
        start=max(starts, default=None), end=max(closed, default=None) if len(closed) == len(ends) else None
    )


def _closed(root: Path) -> dict[str, Path]:
    """The file that resolved each request, by the request's id."""
    closed = {
        name: config.GATE_FAILURES / f"{failure}.yaml"
        for failure, record in config.load_gate_failures(root).items()
        for name in record.requests
    }
    numbers = [int(file.stem) for file in (root / config.APPROVALS).glob("*.yaml") if file.stem.isdecimal()]
    for number in numbers:
        closed |= dict.fromkeys(config.load_approval(root, number).requests, config.approval_path(number))
    return closed


def _fitting(names: Collection[str]) -> list[str]:
    taken: list[str] = []
    for name in names:
        if len(" ".join([*taken, name])) > METADATA_LIMIT:
            break
        taken.append(name)
    return taken
