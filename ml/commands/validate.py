"""`fraudops validate`: checks each file of model-config/, the references between them, and the change against main.

In a workflow it also compares new approval records, and the record that a moved pointer names, with the registry.
Changes nothing. Reports all problems at once, as annotations of the lines.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ml import config
from ml.aws import oidc_credentials, platform_stack
from ml.errors import ConfigError, FraudopsError
from ml.gitops import markdown_escaping as markdown
from ml.gitops.repository import Repository
from ml.records import approval_verification
from ml.validation import gate_rules, promotion_rules, rules
from ml.validation.changed_records import changed_records
from ml.validation.problem import Problem
from ml.workflow import changed_files as workflow_change
from ml.workflow import runner_commands


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The result of a validation that found no problem."""

    files: int
    compared_with: str | None
    """The commit that append-only folders were compared with; None if everything is new."""
    pull_request: int | None
    records: tuple[int, ...]
    """The approvals whose records were compared with the registry."""


def validate(root: Path, *, pull_request: int | None = None, registry: bool | None = None) -> Validation:
    """Checks model-config/ below `root` and reports every problem, in a workflow as annotations.

    Args:
        pull_request: the number that a dispatched run is for; None for the event's.
        registry: whether approval records are compared with the registry; None in workflows alone, where a record
            that cannot be compared is a problem.

    Raises:
        ConfigError: a rule is violated; each problem was reported before.
        GitError: the history that the checks need is missing.
    """
    repository = Repository.find(root)
    change, pull = workflow_change.of(repository), workflow_change.pull_request(pull_request)
    files = _files(repository.root)
    changed = changed_records(repository, change)
    compared = registry if registry is not None else runner_commands.running()
    problems = [
        *_unknown(files),
        *rules.broken(repository.root, files),
        *rules.contradictions(repository, change),
        *rules.rewritten(repository, change),
        *rules.foreign(repository, change, pull),
        *rules.superseded(repository, change),
        *gate_rules.judged_by_another_gate(repository, change),
        *promotion_rules.of_staging(repository),
        *promotion_rules.of_promotion(repository, change),
        *(_unlike_registry(changed, required=registry is None) if compared else ()),
    ]
    _report(problems, len(files))
    if problems:
        raise ConfigError(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in model-config/, each named above; "
            f"the first: {problems[0].message}"
        )
    return Validation(
        files=len(files),
        compared_with=change.base,
        pull_request=pull.number if pull is not None else None,
        records=tuple(record.approval for record in changed) if compared else (),
    )


def _unlike_registry(records: Iterable[config.ApprovalRecord], *, required: bool) -> Iterator[Problem]:
    """The records that are not what the registry holds, and those that cannot be compared with it."""
    for record in records:
        path = config.approval_path(record.approval)
        if required and not oidc_credentials.wanted():
            yield Problem(
                path=path,
                message=f"{path}: cannot be compared with the registry, because this run has no role in AWS. A fork's "
                "pull request gets none; in this repository, set the variable FRAUDOPS_ROLE_PLAN, as "
                "`fraudops bootstrap` prints it",
            )
            continue
        try:
            approval_verification.against_registry(record, platform_stack.read())
        except FraudopsError as error:
            yield Problem(path=path, message=str(error))


def _files(root: Path) -> list[Path]:
    """All files below model-config/, relative to `root`. A link counts as a file."""
    found = (root / workflow_change.STATE).rglob("*")
    return sorted(path.relative_to(root) for path in found if path.is_symlink() or not path.is_dir())


def _unknown(files: Iterable[Path]) -> Iterable[Problem]:
    for path in files:
        if not rules.known(path):
            yield Problem(
                path=path,
                message=f"{path}: nothing reads this file; model-config/README.md lists the files that are read. "
                "Remove it, or move it elsewhere",
            )


def _report(problems: list[Problem], files: int) -> None:
    for problem in problems:
        line = runner_commands.annotate("error", problem.message, file=problem.path, line=problem.line)
        sys.stderr.write(f"{line}\n")  # not through rich, which would wrap and colour the annotation
    if not problems:
        runner_commands.summary(
            f"### model-config is valid\n\n{files} files, each checked alone and against the others."
        )
        return
    rows = [
        [markdown.code(f"{problem.path}{f':{problem.line}' if problem.line else ''}"), markdown.text(problem.message)]
        for problem in problems
    ]
    runner_commands.summary(f"### model-config is invalid\n\n{markdown.table(['where', 'problem'], rows)}")
