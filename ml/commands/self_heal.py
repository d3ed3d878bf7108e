"""`fraudops self-heal`: starts deploy.yml for differences that `fraudops status` has handed over, once. Calls no AWS.

drift.yml runs it in a job of its own, which has neither an AWS role nor the bot's App. The hand-over is untrusted: it
is parsed strictly, and whether anything is started is decided from main and GitHub. The worst document starts a
deployment of what main says, and is quoted in one issue.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml import config
from ml.config.hand_over import Differences
from ml.console import command
from ml.errors import ConfigError
from ml.gitops import comments, issues, labels, pull_requests, serving_pointer, workflow_runs
from ml.gitops.github_client import GitHub
from ml.gitops.markdown_escaping import text
from ml.gitops.repository import Repository
from ml.gitops.workflow_runs import WorkflowRun
from ml.release import self_heal_hand_over, self_heal_page, self_heal_policy
from ml.release.self_heal_policy import DEPLOY, Action, Attempt, Decision
from ml.workflow import runner_commands

_LEVELS: dict[Action, runner_commands.Level] = {"start": "warning", "tried": "warning", "blocked": "warning"}
_WORDS: dict[Action, str] = {
    "off": "Nothing is started",
    "equal": "Nothing is started",
    "wait": "Nothing is started now",
    "blocked": f"{DEPLOY} is not started",
    "start": f"{DEPLOY} was started",
    "tried": f"{DEPLOY} is not started again",
}


@dataclass(frozen=True, kw_only=True)
class SelfHealing:
    """What was decided, why, and the number of the issue about it."""

    action: Action
    reason: str
    subjects: tuple[str, ...]
    """What differs and is put back by deploy.yml."""
    issue: int | None


def self_heal(root: Path, *, document: str, main: str = "main") -> SelfHealing:
    """Starts deploy.yml for the differences of `document`, or says why not.

    Args:
        root: a checkout of main with full history.
        document: what `fraudops status --hand-over` wrote as its output `differences`.

    Raises:
        ConfigError: `document` is invalid, or was not made from a commit of main; nothing was started.
        GitError, GitHubError: run the job again. What was started is not started again.
    """
    comparison = self_heal_hand_over.read(document)
    repository, github = Repository.find(root), GitHub.from_environment()
    head = repository.head()
    if repository.resolve(comparison.commit) is None or not repository.is_ancestor(comparison.commit, head):
        raise ConfigError(f"{self_heal_hand_over.SOURCE}: commit must be one of {main} (got {comparison.commit})")
    runs = workflow_runs.recent(github, DEPLOY, branch=main)
    known = issues.open_texts(github, cause=self_heal_page.CAUSE, label=labels.SELF_HEAL)
    attempts = self_heal_page.attempts(known[0].number, known[1], runs) if known else []
    decision = self_heal_policy.decide(
        comparison,
        enabled=serving_pointer.read(repository, head).self_heal,
        overtaken=_overtaken(repository, comparison.commit, head),
        runs=runs,
        attempts=attempts,
    )
    issue = known[0].number if known else None
    if decision.action == "start":
        issue = _start(github, decision, comparison, main)
    elif decision.action == "blocked":
        issue = _explain(github, decision, comparison)
    elif decision.action == "tried" and issue is not None:
        comments.upsert(github, issue, "not healed", self_heal_page.not_healed(decision, _runs(attempts)))
    elif decision.action in ("off", "equal"):
        comment = self_heal_page.closing(decision)
        issues.close(github, cause=self_heal_page.CAUSE, label=labels.SELF_HEAL, comment=comment)
    _say(decision, issue)
    subjects = tuple(each.subject for each in decision.differences)
    return SelfHealing(action=decision.action, reason=decision.reason, subjects=subjects, issue=issue)


def _overtaken(repository: Repository, commit: str, head: str) -> str | None:
    """How main differs from what was compared, in what starts a deployment."""
    if not repository.changes(commit, head, config.SERVING):
        return None
    return f"{config.SERVING} was changed on main since the comparison, and that change's own deployment comes first"


def _start(github: GitHub, decision: Decision, comparison: Differences, main: str) -> int:
    """Writes the issue, starts deploy.yml, and notes that in the issue; returns the issue's number.

    In this order: a run that ends in between is known by its title, and one that was not started is started next time.
    """
    digest = self_heal_policy.digest(decision.differences)
    issue = issues.report(
        github,
        cause=self_heal_page.CAUSE,
        label=labels.SELF_HEAL,
        title=self_heal_page.TITLE,
        body=self_heal_page.body(decision, commit=comparison.commit, page=runner_commands.run_url()),
        occurrence=digest,
    )
    reason = self_heal_page.reason(issue.number, decision)
    pull_requests.dispatch(github, DEPLOY, ref=main, inputs={"reason": reason})
    page, marker = f"{github.url}/actions/workflows/{DEPLOY}", self_heal_page.dispatched(digest)
    comments.upsert(github, issue.number, marker, self_heal_page.started(issue.number, decision, page))
    return issue.number


def _explain(github: GitHub, decision: Decision, comparison: Differences) -> int:
    """Writes once for these differences why deploy.yml is not started; returns the issue's number."""
    return issues.report(
        github,
        cause=self_heal_page.CAUSE,
        label=labels.SELF_HEAL,
        title=self_heal_page.TITLE,
        body=self_heal_page.blocked(decision, commit=comparison.commit, page=runner_commands.run_url()),
        occurrence=f"blocked {self_heal_policy.digest(decision.differences)}",
    ).number


def _runs(attempts: list[Attempt]) -> list[WorkflowRun]:
    return [each.run for each in attempts if each.run is not None]


def _say(decision: Decision, issue: int | None) -> None:
    """The annotation and the step summary."""
    where = f"; see #{issue}" if issue is not None and decision.action in ("start", "tried", "blocked") else ""
    message = f"{_WORDS[decision.action]}: {decision.reason}{where}"
    command(runner_commands.annotate(_LEVELS.get(decision.action, "notice"), message))
    runner_commands.summary(f"**{text(_WORDS[decision.action])}**: {text(decision.reason)}{where}.")
