"""The rules of retrain requests and of the records that resolve them. Calls no service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ml import config
from ml.errors import ConfigError
from ml.model import run_kinds
from ml.validation.problem import Problem, at
from ml.workflow.changed_files import Change


def without_champion(root: Path, change: Change, serving: config.ServingFile | None) -> Iterator[Problem]:
    """Added requests of a kind that starts from the serving model, while no model serves."""
    if serving is None or serving.approval is not None:
        return
    for name in sorted(change.files):
        path = Path(name)
        request = _request(root, path.stem) if change.files[name] == "A" and path.parent == config.REQUESTS else None
        if request is not None and run_kinds.needs_champion(request.kind):
            yield at(
                root,
                path,
                "kind",
                f"must be fit while no model serves (got {request.kind!r}, which starts from the serving model)",
            )


def of_record(root: Path, path: Path, record: config.ApprovalRecord | config.GateFailureRecord) -> Iterator[Problem]:
    """Requests that `record` names and that do not exist, or that ask for more than a run of its kind does."""
    known = {file.stem for file in (root / config.REQUESTS).glob("*.yaml")}
    for name in record.requests:
        if name not in known:
            yield at(root, path, "requests", f"names {name!r}, and {config.REQUESTS}/{name}.yaml does not exist")
            continue
        request = _request(root, name)
        if request is not None and not run_kinds.covers(record.kind, request.kind):
            yield at(
                root,
                path,
                "requests",
                f"names {name!r}, which requests a run of kind {request.kind}; a run of kind {record.kind} does less",
            )


def _request(root: Path, name: str) -> config.RetrainRequest | None:
    try:
        return config.load_request(root, name)
    except ConfigError:
        return None  # reported by `rules.broken`
