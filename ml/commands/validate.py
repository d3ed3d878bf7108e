"""`fraudops validate`: checks every file of model-config/ alone, against the others and against main.

It needs no AWS: what only the registry knows is for `deploy` to verify. It reports everything at once, beside the line
that is wrong, and changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ml.errors import ConfigError
from ml.gitops import markdown
from ml.gitops.repository import Repository
from ml.validation import rules
from ml.validation.rules import Problem
from ml.workflow import change as workflow_change
from ml.workflow import toolkit


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What was looked at, and that it holds."""

    files: int
    compared_with: str | None
    """The commit that append-only folders were compared with; None where everything is new."""
    pull_request: int | None


def validate(root: Path, *, pull_request: int | None = None) -> Validation:
    """Checks model-config/ below `root` and says every problem, as an annotation where a workflow runs this.

    Args:
        pull_request: which one a dispatched run is about; that of the event if None.

    Raises:
        ConfigError: something does not hold; the lines before said what.
        GitError: history that the checks need is not there.
    """
    repository = Repository.find(root)
    change, pull = workflow_change.of(repository), workflow_change.pull_request(pull_request)
    files = _files(repository.root)
    problems = [
        *_unknown(files),
        *rules.broken(repository.root, files),
        *rules.contradictions(repository, change),
        *rules.rewritten(repository, change),
        *rules.foreign(repository, change, pull),
        *rules.superseded(repository, change),
    ]
    _tell(problems, len(files))
    if problems:
        raise ConfigError(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in model-config/, each named above; "
            f"the first: {problems[0].message}"
        )
    return Validation(
        files=len(files), compared_with=change.base, pull_request=pull.number if pull is not None else None
    )


def _files(root: Path) -> list[Path]:
    """Everything below model-config/ that is no folder, relative to `root`; a link is a file, wherever it leads."""
    found = (root / workflow_change.STATE).rglob("*")
    return sorted(path.relative_to(root) for path in found if path.is_symlink() or not path.is_dir())


def _unknown(files: Iterable[Path]) -> Iterable[Problem]:
    for path in files:
        if not rules.known(path):
            yield Problem(
                path=path,
                message=f"{path}: nothing reads this file; model-config/README.md lists those that are read. "
                "Remove it, or put it elsewhere",
            )


def _tell(problems: list[Problem], files: int) -> None:
    for problem in problems:
        line = toolkit.annotate("error", problem.message, file=problem.path, line=problem.line)
        sys.stderr.write(f"{line}\n")  # not through rich, which would wrap and colour what GitHub reads
    if not problems:
        toolkit.summary(f"### model-config is valid\n\n{files} files, alone and against each other.")
        return
    rows = [
        [markdown.code(f"{problem.path}{f':{problem.line}' if problem.line else ''}"), markdown.text(problem.message)]
        for problem in problems
    ]
    toolkit.summary(f"### model-config does not hold\n\n{markdown.table(['where', 'what'], rows)}")
