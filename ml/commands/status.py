"""`fraudops status`: compares Git with the cloud and names every difference. Changes nothing in either.

What Git says is what is committed: the serving file, the approval that it names, and the templates of infra/.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml import console
from ml.audit.disagreement import Disagreement
from ml.diagnosis import monitoring, policies, schedule, served_model, stacks
from ml.diagnosis.check import Check
from ml.diagnosis.subjects import Subjects
from ml.errors import CloudError, FraudopsError, GitError
from ml.gitops.markdown_escaping import code, table, text
from ml.gitops.repository import Repository
from ml.workflow import runner_commands

State = Literal["equal", "differs", "cannot tell"]
_STATES: dict[str, State] = {"ok": "equal", "will fail": "differs", "cannot tell": "cannot tell"}
_COMPARED = ("model-config", "infra")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One subject: whether the cloud has what Git says, and the evidence or the difference."""

    subject: str
    state: State
    detail: str
    pending: bool
    """Whether there is no answer yet and nothing failed: a deployment runs, or a schedule has not run."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """The comparisons in their order, of the commit that is checked out."""

    commit: str
    comparisons: tuple[Comparison, ...]
    differs: int
    cannot_tell: int

    @property
    def text(self) -> str:
        """What differs and what has no answer, one line each, and how many are equal."""
        shown = [item for item in self.comparisons if item.state != "equal"]
        width = max((len(item.subject) for item in shown), default=0)
        lines = [f"{item.state:<11}  {item.subject:<{width}}  {item.detail}" for item in shown]
        equal = len(self.comparisons) - len(shown)
        return "\n".join([*lines, f"equal        {equal} of {len(self.comparisons)} subjects, at {self.commit[:12]}"])

    @property
    def error(self) -> FraudopsError | None:
        """The error with which the verb ends; None if nothing differs and everything could be read.

        What has no answer yet is no error.
        """
        unread = [item.subject for item in self.comparisons if item.state == "cannot tell" and not item.pending]
        if not self.differs:
            return _not_compared(unread, len(self.comparisons)) if unread else None
        named = ", ".join(item.subject for item in self.comparisons if item.state == "differs")
        return Disagreement(
            f"{self.differs} of {len(self.comparisons)} subjects differ from Git: {named}; see their lines"
        )


def status(root: Path, *, repository: str | None = None) -> Status:
    """Compares the checkout with the account.

    Args:
        repository: OWNER/NAME on GitHub, for the schedule; None takes GITHUB_REPOSITORY, or the repository that the
            roles' stack trusts.

    Raises:
        GitError: model-config/ or infra/ has uncommitted changes.
        ConfigError: model-config/ or infra/ of the checkout cannot be read.
    """
    checkout = Repository.find(root)
    dirty = checkout.dirty(*_COMPARED)
    if dirty:
        raise GitError(
            f"{', '.join(dirty)}: uncommitted changes, and status compares what is committed; commit or stash them"
        )
    subjects = Subjects(root, repository)
    found = tuple(_comparison(check) for part in _PARTS for check in part(subjects))
    return Status(
        commit=checkout.head(),
        comparisons=found,
        differs=sum(item.state == "differs" for item in found),
        cannot_tell=sum(item.state == "cannot tell" for item in found),
    )


def report(found: Status) -> None:
    """Publishes the comparisons as the summary and the warnings of a workflow's step; outside a workflow nothing."""
    named = [item for item in found.comparisons if item.state == "differs"]
    named += [item for item in found.comparisons if item.state == "cannot tell" and not item.pending]
    for item in named:
        console.command(runner_commands.annotate("warning", f"{item.subject} {item.state}: {item.detail}"))
    equal = sum(item.state == "equal" for item in found.comparisons)
    shown = [(text(item.subject), item.state, text(item.detail)) for item in named]
    parts = [f"### {found.differs} of {len(found.comparisons)} subjects differ from Git" if found.differs else _EQUAL]
    parts += [table(("subject", "state", "detail"), shown)] if shown else []
    parts.append(f"{equal} subjects are equal at {code(found.commit[:12])}. Nothing was changed.")
    runner_commands.summary("\n\n".join(parts))


_MAX_NAMED = 5
_EQUAL = "### Nothing differs from Git"


def _comparison(check: Check) -> Comparison:
    return Comparison(subject=check.subject, state=_STATES[check.state], detail=check.detail, pending=check.pending)


def _not_compared(subjects: list[str], every: int) -> CloudError:
    more = f" and {len(subjects) - _MAX_NAMED} more" if len(subjects) > _MAX_NAMED else ""
    named = f"{', '.join(subjects[:_MAX_NAMED])}{more}"
    return CloudError(f"{len(subjects)} of {every} subjects could not be compared with Git: {named}; see their lines")


_PARTS = (served_model.checks, monitoring.checks, policies.checks, stacks.comparisons, schedule.checks)
