"""Writes the issue about differences that deploy.yml puts back, or must not, and reads from it what was tried.

Hidden lines hold the digests of the differences, so that no other record is needed. Only texts of trusted authors are
read. Text of the comparison is escaped (ml.gitops.markdown_escaping).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ml import config
from ml.config.hand_over import Difference
from ml.gitops import comments
from ml.gitops.markdown_escaping import code, link, table, text
from ml.gitops.workflow_runs import WorkflowRun
from ml.release import self_heal_policy
from ml.release.self_heal_policy import DEPLOY, Attempt, Decision

CAUSE = "self heal"
"""The hidden marker of the issue."""
TITLE = "The account differs from Git"
_TRIED = re.compile(r"^<!-- fraudops: tried (?P<digest>[0-9a-f]+)(?P<parts>( [0-9a-f]+)+) -->$", re.MULTILINE)
_REMEDIES = {
    "template": "infra.yml or `fraudops bootstrap`, where the template was changed; by hand, where the resource was",
    "autoscaling": "AWS brings the number of instances between its bounds",
    "person": "a person",
}


def reason(issue: int, decision: Decision) -> str:
    """The input `reason` of deploy.yml, which is in the title of its run and identifies it."""
    subjects = ", ".join(each.subject for each in decision.differences)
    return f"{_identified(issue, self_heal_policy.digest(decision.differences))}: {subjects} differed from Git"


def body(decision: Decision, *, commit: str, page: str | None) -> str:
    """What differed, what is started, and what is not put back."""
    parts = [self_heal_policy.digest([each]) for each in decision.differences]
    names = " ".join([self_heal_policy.digest(decision.differences), *parts])
    return "\n\n".join(
        [
            comments.marker_line(f"tried {names}"),
            f"{_found(decision, commit, page)}, although Git has "
            "not changed since the last deployment. Somebody or something else has changed the account.",
            _table(decision.differences),
            f"{code(DEPLOY)} is started on main for this, because {code(str(config.SERVING))} says "
            "`self_heal: true`. It deploys what Git says, as after a merge; if its environment has reviewers, one of "
            "them has to let it. It is started once for these differences.",
            *_others(decision.others),
            "Find out who changed it, in CloudTrail: deploying again does not stop them. The issue is closed by the "
            "first comparison without these differences. If you close it before, the next one starts a deployment "
            "again.",
        ]
    )


def blocked(decision: Decision, *, commit: str, page: str | None) -> str:
    """What differs, why deploy.yml is not started for it, and what a person can do."""
    return "\n\n".join(
        [
            f"**This needs a person.** {_found(decision, commit, page)}, and {code(DEPLOY)} is not started: "
            f"{text(decision.reason)}.",
            _table(decision.differences),
            *_others(decision.others),
            f"Remove the cause; the next comparison then starts {code(DEPLOY)} if these differences are still there. "
            f"To deploy what Git says in spite of it, start {code(DEPLOY)} by hand. This is written once for these "
            "differences. The issue is closed by the first comparison without them.",
        ]
    )


def started(issue: int, decision: Decision, page: str | None) -> str:
    """The comment after deploy.yml was started."""
    runs = link(f"the runs of {DEPLOY}", page)
    name = code(_identified(issue, self_heal_policy.digest(decision.differences)))
    return f"{code(DEPLOY)} was started; its run is the one named {name} among {runs}."


def not_healed(decision: Decision, runs: Sequence[WorkflowRun]) -> str:
    """The comment that asks a person, after a second sight of what was tried."""
    ended = [f"- {link(text(run.title), run.url)}: {text(run.conclusion or run.status)}" for run in runs]
    return "\n\n".join(
        [
            f"**This needs a person.** {text(decision.reason)}. It is not started again.",
            *(["\n".join(ended)] if ended else []),
            _table(decision.differences),
            *_others(decision.others),
            f"Read the run above: if it failed, remove the cause and start {code(DEPLOY)} by hand. If it succeeded, "
            "somebody changed the account again, or the deployment does not put this back: see docs/audit.md.",
        ]
    )


def closing(decision: Decision) -> str:
    """The comment with which the issue is closed."""
    if decision.action == "off":
        return f"{code(str(config.SERVING))} no longer says `self_heal: true`, so nothing is started."
    count = len(decision.others)
    rest = f" {count} other subject{'s differ' if count > 1 else ' differs'}; see the run." if count else ""
    return f"What {code(DEPLOY)} deploys is what Git says again.{rest}"


def attempts(issue: int, texts: Iterable[str], runs: Sequence[WorkflowRun]) -> list[Attempt]:
    """What the issue with these texts says was tried, oldest first."""
    every = [each.replace("\r\n", "\n") for each in texts]  # GitHub's editor saves what a person changes with these
    found = []
    for match in (match for each in every for match in _TRIED.finditer(each)):
        digest = match["digest"]
        name, line = f"{_identified(issue, digest)}:", comments.marker_line(dispatched(digest))
        run = next((run for run in runs if name in run.title), None)
        said = any(each.startswith(line) for each in every)
        found.append(
            Attempt(
                digest=digest, differences=frozenset(match["parts"].split()), started=said or run is not None, run=run
            )
        )
    return found


def dispatched(digest: str) -> str:
    """The marker of the comment that deploy.yml was started."""
    return f"started {digest}"


def _found(decision: Decision, commit: str, page: str | None) -> str:
    count = len(decision.differences)
    subjects = "1 subject that differs" if count == 1 else f"{count} subjects that differ"
    run = link("A run of drift.yml", page) if page else "`fraudops status`"
    return f"{run} found {subjects} from Git at {code(commit[:12])}"


def _identified(issue: int, digest: str) -> str:
    return f"self-heal #{issue} {digest}"


def _table(differences: Sequence[Difference]) -> str:
    return table(("subject", "difference"), [(text(each.subject), text(each.detail)) for each in differences])


def _others(others: Sequence[Difference]) -> list[str]:
    if not others:
        return []
    rows = [(text(each.subject), text(each.detail), _REMEDIES[each.remedy]) for each in others]
    return [
        f"{code(DEPLOY)} does not put back what else differs:",
        table(("subject", "difference", "put back by"), rows),
    ]
