"""The rule about the gate of new approvals: a model is approved by the verdict of the gate that main has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ml import config
from ml.errors import ConfigError
from ml.gitops.repository import Repository
from ml.records import approval_gate
from ml.validation.problem import Problem
from ml.workflow.changed_files import Change

_NUMBERED = re.compile(r"\d{4,}\.yaml")


def judged_by_another_gate(repository: Repository, change: Change) -> Iterator[Problem]:
    """A new approval whose model was judged by another gate.yaml than the one that main has now."""
    if change.main is None:
        return
    for path in (Path(name) for name, kind in change.files.items() if kind == "A"):
        if path.parent != config.APPROVALS or not _NUMBERED.fullmatch(path.name):
            continue
        try:
            record = config.load_approval(repository.root, int(path.stem))
        except ConfigError:
            continue  # reported by `rules.broken`
        if repository.resolve(record.commit) is None:
            continue  # reported by `rules.contradictions`
        changed = approval_gate.differences(repository, record, change.main)
        if changed is not None:
            yield Problem(
                path=path,
                message=f"{path}: is superseded: its model was judged by another gate than the one on main "
                f"({changed}). Close this pull request, and approve what train.yml proposes under the gate of main",
            )
