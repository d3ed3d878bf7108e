"""Markdown of a deployment for the step's summary: what serves, the evidence and the next move.

Everything that came from files, people or AWS is escaped (ml.gitops.markdown). Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from ml.gitops import commit_messages
from ml.gitops.markdown import code, link, table, text
from ml.release.result import DeploymentResult


def deployed(done: DeploymentResult, closed: Sequence[int] = ()) -> str:
    """What serves now, and how that was established."""
    if done.approval is None:
        return f"### Nothing to deploy\n\n{code(done.commit)} says `approval: null`: no model has been approved yet."
    checked = (
        f"{done.smoke.rows:,} known transactions scored as the approved model scores them, {done.smoke.alerts:,} alerts"
        if done.smoke
        else "not done"
    )
    rows = [
        ("endpoint", f"{code(done.endpoint)}, {text(done.state)}"),
        ("configuration", code(done.endpoint_config)),
        ("package", code(done.model_package_arn)),
        ("artifact", code(f"sha256:{done.artifact_sha256}")),
        ("smoke test", checked),
        ("rejected as superseded", ", ".join(map(code, done.superseded)) or "none"),
        *([("pull requests closed as superseded", ", ".join(f"#{each}" for each in closed))] if closed else []),
        ("commit", code(done.commit)),
        ("took", f"{done.seconds:,.0f} s" if done.seconds is not None else "–"),
        ("recorded in", code(done.history_uri)),
    ]
    return f"### Approval {commit_messages.number(done.approval)} serves\n\n{table(('deployment', ''), rows)}"


def not_deployed(approval: int, commit: str, reason: str) -> str:
    """A deployment that failed or was refused."""
    rows = [("commit", code(commit)), ("approval", commit_messages.number(approval))]
    return (
        f"### Approval {commit_messages.number(approval)} was not deployed\n\n{text(reason)}\n\n{table(('', ''), rows)}"
    )


def rollback(says: str, number: int, url: str) -> str:
    """A pull request that goes back."""
    return f"### Rollback prepared: {link(f'#{number}', url)}\n\n{text(says)}"
