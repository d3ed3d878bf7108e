"""The rules of statements of provenance beside approval records. Verifies no signature: `fraudops deploy` does.

A statement is named after its record and is about its model. Once an approval has one, every new one needs one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ml import config
from ml.config import statement_file
from ml.errors import ConfigError
from ml.validation.problem import Problem
from ml.workflow.changed_files import Change

_NAME = re.compile(r"(\d{4,})\.intoto\.json")


def is_statement(path: Path) -> bool:
    """Whether a file at `path` is taken for a statement."""
    return path.parent == config.APPROVALS and path.name.endswith(".intoto.json")


def read(root: Path, path: Path) -> statement_file.SignedStatement:
    """The statement at `path` below `root`. Raises ConfigError if its name or its content has another form."""
    match = _NAME.fullmatch(path.name)
    if match is None or path != config.statement_path(int(match[1])):
        raise ConfigError(f"{path}: must be named after its approval in four digits, e.g. 0007.intoto.json")
    return statement_file.parse_statement((root / path).read_bytes(), path)


def contradictions(
    root: Path, files: Iterable[Path], records: Mapping[int, config.ApprovalRecord], change: Change
) -> Iterator[Problem]:
    """Statements without a record or about another model, and new records without a statement that need one."""
    found: dict[int, Path] = {}
    for path in filter(is_statement, files):
        try:
            statement = read(root, path).statement
        except (ConfigError, OSError):
            continue  # reported by `rules.broken`
        number = int(path.name.partition(".")[0])
        found[number] = path
        record = records.get(number)
        if record is None:
            if not (root / config.approval_path(number)).exists():
                yield Problem(path=path, message=f"{path}: there is no {config.approval_path(number)} beside it")
            continue
        wrong = statement_file.differences(statement, record)
        if wrong:
            yield Problem(path=path, message=f"{path}: is about another model than its record: {'; '.join(wrong)}")
    for number in records:
        path = config.approval_path(number)
        if change.files.get(path.as_posix()) == "A" and found and number not in found:
            yield Problem(
                path=path,
                message=f"{path}: has no signed statement of provenance ({config.statement_path(number).name}), and "
                f"approval {min(found):04d} has one; deploy.yml will refuse it. Close this; run train.yml again",
            )
