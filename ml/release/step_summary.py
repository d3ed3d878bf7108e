"""Renders deployments, rollbacks and promotions as Markdown for the step summary. Decides nothing.

Text from files, people or AWS is escaped (ml.gitops.markdown_escaping).
"""

from __future__ import annotations

from collections.abc import Sequence

from ml.gitops import commit_messages
from ml.gitops.markdown_escaping import code, link, table, text
from ml.release.result import DeploymentResult


def deployed(result: DeploymentResult, closed: Sequence[int] = ()) -> str:
    """The result of a deployment."""
    if result.approval is None:
        return f"### Nothing to deploy\n\n{code(result.commit)} says `approval: null`: no model has been approved yet."
    checked = (
        f"{result.smoke.rows:,} known transactions scored as the approved model scores them, "
        f"{result.smoke.alerts:,} alerts"
        if result.smoke
        else "not done"
    )
    rows = [
        ("endpoint", f"{code(result.endpoint)}, {text(result.state)}"),
        ("configuration", code(result.endpoint_config)),
        ("package", code(result.model_package_arn)),
        ("artifact", code(f"sha256:{result.artifact_sha256}")),
        ("provenance", "signed statement verified" if result.signed else "no signed statement"),
        ("smoke test", checked),
        *([("canary", text(result.canary))] if result.canary else []),
        *([("warning", text(result.canary_warning))] if result.canary_warning else []),
        ("rejected as superseded", ", ".join(map(code, result.superseded)) or "none"),
        *([("pull requests closed as superseded", ", ".join(f"#{each}" for each in closed))] if closed else []),
        ("commit", code(result.commit)),
        ("took", f"{result.seconds:,.0f} s" if result.seconds is not None else "–"),
        ("recorded in", code(result.history_uri)),
    ]
    return f"### Approval {commit_messages.number(result.approval)} serves\n\n{table(('deployment', ''), rows)}"


def not_deployed(approval: int, commit: str, reason: str) -> str:
    """A deployment that failed or was refused."""
    rows = [("commit", code(commit)), ("approval", commit_messages.number(approval))]
    return (
        f"### Approval {commit_messages.number(approval)} was not deployed\n\n{text(reason)}\n\n{table(('', ''), rows)}"
    )


def promotion(says: str, number: int, url: str) -> str:
    """A promotion's pull request."""
    return f"### Promotion prepared: {link(f'#{number}', url)}\n\n{text(says)}"


def rollback(says: str, number: int, url: str) -> str:
    """A rollback pull request."""
    return f"### Rollback prepared: {link(f'#{number}', url)}\n\n{text(says)}"
