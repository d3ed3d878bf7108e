"""Compares the gate that judged a proposed model with the gate on main.

A model is trained, judged and proposed under the gate.yaml of its commit. If main's gate changes before the pull
request is merged, the verdict in it is about limits that no longer hold, so nobody may approve by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml import config
from ml.errors import ConfigError
from ml.gitops import commit_messages, serving_pointer, settings_changes
from ml.gitops.repository import Repository


def differences(repository: Repository, record: config.ApprovalRecord, revision: str) -> str | None:
    """The settings in which the gate at `revision` differs from the one that judged the model; None if in none.

    Raises:
        GitError: the record's commit is not in this repository.
        ConfigError: gate.yaml cannot be read at one of them.
    """
    former, new = (_gate(repository, each) for each in (record.commit, revision))
    words = [each.words for each in settings_changes.changes([former], [new])]
    return ", ".join(words) or None


def of_merge(repository: Repository, record: config.ApprovalRecord, revision: str, file: Path) -> str | None:
    """Why no model may be served for the first time that a merge approved after main's gate had changed; else None.

    Moves of the pointer in `file` to a model that was approved earlier (rollbacks, promotions) approve nothing.
    """
    brought = repository.log(revision, config.approval_path(record.approval), first_parent=True)
    moves = serving_pointer.moves(repository, revision, file)
    if not brought or not moves or brought[-1].sha != moves[-1].landed.sha:
        return None
    if repository.resolve(record.commit) is None:
        return None  # its settings and its provenance are compared elsewhere, and are refused there
    changed = differences(repository, record, brought[-1].sha)
    if changed is None:
        return None
    back = f"Revert {brought[-1].sha[:12]}"
    if moves[-1].before is not None:
        back = f"Move the pointer back with `fraudops rollback{' --staging' if file == config.STAGING else ''}`"
    return (
        f"approval {commit_messages.number(record.approval)} was judged by another gate than main had when it was "
        f"merged ({changed}); nothing was changed. {back}, and approve what train.yml proposes under the gate of main"
    )


def _gate(repository: Repository, revision: str) -> Mapping[str, Any]:
    """The limits of gate.yaml at `revision`; ConfigError if it is no YAML mapping there. {} if there is none."""
    content = repository.show(revision, config.GATE)
    document = config.load_bytes(content, config.GATE) if content is not None else {}
    if not isinstance(document, dict):
        raise ConfigError(f"{config.GATE} at {revision[:12]}: must be a mapping")
    return document
