"""Starts train.yml for a retrain request that is on main. Creates no request.

A push with the token of a GitHub App triggers train.yml itself; a push with GITHUB_TOKEN triggers nothing, so the
workflow is dispatched.
"""

from __future__ import annotations

from ml.gitops import pull_requests
from ml.gitops.github_client import GitHub
from ml.gitops.remote import Remote
from ml.model.run_kinds import RunKind
from ml.records import bot_pull_requests

TRAINING_WORKFLOW = "train.yml"


class TrainingDispatch:
    """Dispatches train.yml on `main`, unless a push of the request triggers it.

    Raises (each method):
        GitHubError: runs cannot be read, or the workflow cannot be dispatched.
    """

    def __init__(self, github: GitHub, remote: Remote, *, main: str) -> None:
        self._github, self._remote, self._main = github, remote, main

    def start(self, name: str, kind: RunKind) -> bool:
        """Dispatches the training for a request that was just pushed. False if the push triggers it."""
        if bot_pull_requests.push_triggers_workflows():
            return False
        inputs = {"reason": f"{_cause(name)}, {kind} (request {name})"}
        pull_requests.dispatch(self._github, TRAINING_WORKFLOW, ref=self._main, inputs=inputs)
        return True

    def start_if_missing(self, name: str, kind: RunKind, *, commit: str | None) -> bool:
        """Dispatches the training for an open request if none ran since `commit` added it.

        An earlier check may have ended after the push and before the dispatch. False if nothing was dispatched.
        """
        if bot_pull_requests.push_triggers_workflows() or commit is None or self._ran_on(commit):
            return False
        return self.start(name, kind)

    def _ran_on(self, commit: str) -> bool:
        """Whether a training ran on `commit` or on a later one."""
        started = pull_requests.list_run_commits(self._github, TRAINING_WORKFLOW, branch=self._main)
        known = [sha for sha in started if self._remote.resolve(sha) is not None]
        return any(self._remote.is_ancestor(commit, sha) for sha in known)


def _cause(name: str) -> str:
    """What the request `name` is about, e.g. "concept drift found on 2026-07-18"; the run's title shows it."""
    stamp, _, cause = name.partition("-")
    return f"{cause.replace('-', ' ')} found on {stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"
