"""Reads from Git which retrain requests exist at a commit, and what resolved them and when.

Read from the commit and not from the checkout: a check that runs while others push must not ask for what main holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from ml import config
from ml.gitops.repository import Repository

_File = TypeVar("_File", bound=config.File)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a request: the record that names it, when that was made, and whether the model failed the gate."""

    request: str
    record: Path
    created: datetime
    gate_failed: bool


class Ledger:
    """The requests and their answers at `revision`.

    Raises (as each is read):
        ConfigError: a record does not hold; `fraudops validate` says the same.
    """

    def __init__(self, repository: Repository, revision: str) -> None:
        self._repository = repository
        self.revision = repository.commit_of(revision)

    @cached_property
    def requests(self) -> tuple[str, ...]:
        """The ids of every request, oldest first."""
        return tuple(path.stem for path in self._paths(config.REQUESTS))

    @cached_property
    def answers(self) -> tuple[Answer, ...]:
        """What answered them, in the order of time."""
        found = []
        for path, approval in self._records(config.APPROVALS, config.ApprovalRecord):
            found += [_answer(name, path, approval.created, gate_failed=False) for name in approval.requests]
        for path, failure in self._records(config.GATE_FAILURES, config.GateFailureRecord):
            found += [_answer(name, path, failure.created, gate_failed=True) for name in failure.requests]
        return tuple(sorted(found, key=lambda answer: (answer.created, answer.record)))

    def open(self, cause: str) -> list[str]:
        """The requests of a cause that nothing has answered yet."""
        answered = {answer.request for answer in self.answers}
        return [name for name in self.requests if cause_of(name) == cause and name not in answered]

    def answered(self, cause: str) -> list[Answer]:
        """The answers to a cause's requests, the latest last."""
        return [answer for answer in self.answers if cause_of(answer.request) == cause]

    def consecutive_gate_failures(self, cause: str) -> list[str]:
        """The names of the gate failures that answered a cause's requests since its last approval, the latest last."""
        row: list[str] = []
        for answer in self.answered(cause):
            if not answer.gate_failed:
                row = []
            elif answer.record.stem not in row:
                row.append(answer.record.stem)
        return row

    def made_in_month(self, moment: datetime, causes: Collection[str]) -> list[str]:
        """The requests of `causes` that came onto the branch in the month of `moment` (UTC), by their commits' time."""
        month = moment.astimezone(UTC).strftime("%Y%m")
        return [
            name for name in self.requests if cause_of(name) in causes and self._made(name).strftime("%Y%m") == month
        ]

    def commit_of(self, name: str) -> str | None:
        """The commit that added a request; None where there is no such request."""
        commits = self._repository.log(self.revision, _path(name))
        return commits[-1].sha if commits else None

    def _made(self, name: str) -> datetime:
        return self._repository.log(self.revision, _path(name))[-1].time.astimezone(UTC)

    def _records(self, folder: Path, kind: type[_File]) -> Iterator[tuple[Path, _File]]:
        parse: Callable[[str, Path, type[_File]], _File] = config.parse
        for path in self._paths(folder):
            content = self._repository.show(self.revision, path) or b""
            yield path, parse(content.decode("utf-8", "replace"), path, kind)

    def _paths(self, folder: Path) -> list[Path]:
        names = map(Path, self._repository.files(self.revision, folder))
        return sorted(path for path in names if path.suffix == ".yaml" and path.parent == folder)


def cause_of(name: str) -> str:
    """The cause in a request's id."""
    return name.partition("Z-")[2]


def _path(name: str) -> Path:
    return config.REQUESTS / f"{name}.yaml"


def _answer(name: str, path: Path, created: datetime, *, gate_failed: bool) -> Answer:
    return Answer(request=name, record=path, created=created, gate_failed=gate_failed)
