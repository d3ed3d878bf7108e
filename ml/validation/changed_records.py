"""Finds the approval records that a change adds or puts in service. Compares nothing."""

from __future__ import annotations

from pathlib import Path

from ml import config
from ml.errors import ConfigError
from ml.gitops.repository import Repository
from ml.workflow.changed_files import Change


def changed_records(repository: Repository, change: Change) -> list[config.ApprovalRecord]:
    """The valid records that `change` writes, and those that a changed serving pointer names, by number.

    Invalid and missing files are left out; the rules of `ml.validation.rules` report them.
    """
    numbers = {
        int(path.stem)
        for path in (Path(name) for name, kind in change.files.items() if kind != "D")
        if path.parent == config.APPROVALS and path.suffix == ".yaml" and path.stem.isdecimal()
    }
    for file in (config.SERVING, config.STAGING):
        if change.files.get(file.as_posix()) in (None, "D"):
            continue
        try:
            pointed = config.read(repository.root, file, config.ServingFile).approval
        except ConfigError:
            pointed = None
        numbers |= {pointed} if pointed is not None else set()
    records = []
    for number in sorted(numbers):
        try:
            records.append(config.load_approval(repository.root, number))
        except ConfigError:
            continue
    return records
