"""`fraudops status`: compares Git with the cloud and names every difference. Changes nothing in either.

What Git says is what is committed: the serving file, the approval that it names, and the templates of infra/.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from ml import clock, config, console
from ml.audit.disagreement import Disagreement
from ml.config.hand_over import DEPLOYED
from ml.diagnosis import last_deployment, monitoring, policies, schedule, served_model, stacks
from ml.diagnosis.check import CannotTell, Check, Remedy
from ml.diagnosis.subjects import Subjects
from ml.errors import CloudError, FraudopsError, GitError, Refused
from ml.gitops import issues, labels
from ml.gitops.github_client import GitHub
from ml.gitops.markdown_escaping import code, table, text
from ml.gitops.repository import Repository
from ml.release import self_heal_hand_over, self_heal_page
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
    remedy: Remedy | None
    """What puts a difference back; None if there is none."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """The comparisons in their order, of the commit that is checked out."""

    commit: str
    compared: datetime
    """When the comparison began."""
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


def status(root: Path, *, repository: str | None = None, staging: bool = False) -> Status:
    """Compares the checkout with the account.

    Args:
        staging: compare staging's serving file, endpoint, group and stacks in place of production's, without a
            schedule.
        repository: OWNER/NAME on GitHub, for the schedule; None takes GITHUB_REPOSITORY, or the repository that the
            roles' stack trusts.

    Raises:
        Refused: `staging`, and there is no serving/staging.yaml.
        GitError: model-config/ or infra/ has uncommitted changes.
        ConfigError: model-config/ or infra/ of the checkout cannot be read.
    """
    checkout = Repository.find(root)
    dirty = checkout.dirty(*_COMPARED)
    if dirty:
        raise GitError(
            f"{', '.join(dirty)}: uncommitted changes, and status compares what is committed; commit or stash them"
        )
    if staging and config.load_staging(root) is None:
        raise Refused(f"{config.STAGING} is not in this checkout: there is no staging to compare")
    subjects, began = Subjects(root, repository, staging=staging), clock.now()
    parts = _PARTS[:-1] if staging else _PARTS
    found = tuple(_comparison(check, staging=staging) for part in parts for check in part(subjects))
    return Status(
        commit=checkout.head(),
        compared=began,
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
    shown = [(text(item.subject), item.state, text(item.detail), text(item.remedy or "")) for item in named]
    parts = [f"### {found.differs} of {len(found.comparisons)} subjects differ from Git" if found.differs else _EQUAL]
    parts += [table(("subject", "state", "detail", "put back by"), shown)] if shown else []
    parts.append(f"{equal} subjects are equal at {code(found.commit[:12])}. Nothing was changed.")
    runner_commands.summary("\n\n".join(parts))


def hand_over(root: Path, found: Status, *, repository: str | None = None) -> None:
    """Sets the step's output `differences` for `fraudops self-heal`; empty if there is nothing for it to do.

    That is so with `self_heal: false`, and without a difference that deploy.yml puts back, unless an issue about one is
    open.

    Raises:
        GitHubError: whether there is such an issue cannot be read.
    """
    subjects, github = Subjects(root, repository), GitHub.from_environment(repository=repository)
    due = subjects.serving.self_heal and any(item.remedy == served_model.DEPLOY for item in found.comparisons)
    document = ""
    if due or issues.find(github, cause=self_heal_page.CAUSE, label=labels.SELF_HEAL) is not None:
        document = self_heal_hand_over.write(
            commit=found.commit,
            compared=found.compared,
            found=[
                self_heal_hand_over.difference(item.subject, item.detail, item.remedy)
                for item in found.comparisons
                if item.remedy is not None
            ],
            unsettled=_unsettled(found),
            undeployed=_undeployed(subjects) if due else None,
        )
    runner_commands.output(differences=document)


def _unsettled(found: Status) -> str | None:
    """Why what serves could not be compared; None if it could."""
    unread = (item for item in found.comparisons if item.subject in DEPLOYED and item.state == "cannot tell")
    endpoint = next((item for item in found.comparisons if item.subject == "endpoint"), None)
    if endpoint is not None and endpoint.state == "differs":
        # Without an endpoint, or with one that failed, its parts cannot be read.
        return None
    return next((f"{item.subject} could not be compared: {item.detail}" for item in unread), None)


def _undeployed(subjects: Subjects) -> str | None:
    try:
        return last_deployment.why_not_again(subjects)
    except (CannotTell, CloudError) as error:
        return f"the deployments cannot be read: {error}"


_MAX_NAMED = 5
_EQUAL = "### Nothing differs from Git"


def _comparison(check: Check, *, staging: bool) -> Comparison:
    state = _STATES[check.state]
    remedy: Remedy | None = "deploy-staging.yml" if staging and check.remedy == served_model.DEPLOY else check.remedy
    return Comparison(
        subject=check.subject,
        state=state,
        detail=check.detail,
        pending=check.pending,
        remedy=remedy if state == "differs" else None,
    )


def _not_compared(subjects: list[str], every: int) -> CloudError:
    more = f" and {len(subjects) - _MAX_NAMED} more" if len(subjects) > _MAX_NAMED else ""
    named = f"{', '.join(subjects[:_MAX_NAMED])}{more}"
    return CloudError(f"{len(subjects)} of {every} subjects could not be compared with Git: {named}; see their lines")


_PARTS = (served_model.checks, monitoring.checks, policies.checks, stacks.comparisons, schedule.checks)
"""Staging has no schedule, the last."""
