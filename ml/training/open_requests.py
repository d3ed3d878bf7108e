"""Chooses the open retrain requests that a training run resolves, and their training window.

Which requests are open is decided by `ml.records.retrain_requests`. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ml import config
from ml.errors import ConfigError, Refused
from ml.model import run_kinds
from ml.model.run_kinds import RunKind
from ml.records import retrain_requests
from ml.records.retrain_requests import Resolutions

METADATA_LIMIT = 255
"""Characters for all ids of one run: a value of a model package's metadata holds 256, the first of which marks it."""


def open_requests(root: Path) -> dict[str, config.RetrainRequest]:
    """The requests below `root` that neither an approval nor a recorded gate failure names, by id, oldest first."""
    return _open(root, _resolutions(root))


def choose(root: Path, wanted: Sequence[str] | None) -> dict[str, config.RetrainRequest]:
    """The open requests named in `wanted`; if None, the oldest open ones, as many as one package can name.

    Raises:
        ConfigError: `wanted` names a request that does not exist.
        Refused: it names a resolved one, or more than one package can name.
    """
    resolutions = _resolutions(root)
    available = _open(root, resolutions)
    if wanted is None:
        return {name: available[name] for name in _fitting(available)}
    chosen = sorted(set(wanted))
    for name in chosen:
        resolution = resolutions.of(name)
        if resolution is not None:
            raise Refused(
                f"{config.REQUESTS}/{name}.yaml: {resolution.record} has resolved it; nothing was started. "
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


def window(requests: Mapping[str, config.RetrainRequest], kind: RunKind) -> config.Window:
    """The training window of a run of `kind` for all of `requests`: from their latest start to their latest end.

    The latest start, because rows from before an onset teach the former concept. If any request has no end, the window
    has none: newer rows are never worse. A request for a run that fits nothing limits only a run of its own kind: its
    window is as long as a threshold needs.
    """
    counted = [
        request for request in requests.values() if request.kind == kind or run_kinds.fits_coefficients(request.kind)
    ]
    starts = [request.window.start for request in counted if request.window.start is not None]
    ends = [request.window.end for request in counted]
    closed = [end for end in ends if end is not None]
    return config.Window(
        start=max(starts, default=None), end=max(closed, default=None) if len(closed) == len(ends) else None
    )


def _resolutions(root: Path) -> Resolutions:
    return retrain_requests.resolutions(retrain_requests.WorkTree(root))


def _open(root: Path, resolutions: Resolutions) -> dict[str, config.RetrainRequest]:
    requests = config.load_requests(root)
    return {name: requests[name] for name in resolutions.open(requests)}


def _fitting(names: Collection[str]) -> list[str]:
    taken: list[str] = []
    for name in names:
        if len(" ".join([*taken, name])) > METADATA_LIMIT:
            break
        taken.append(name)
    return taken
