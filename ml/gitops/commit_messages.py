"""Commit messages of the bot and the verbs: subject, evidence, run link.

Kept in one place so that `git log` reads as one voice, and so that what a message promises can be tested.
"""

from __future__ import annotations

import os

from ml.clock import stamp
from ml.config import ApprovalRecord, GateFailureRecord, RetrainRequest


def record(approval: ApprovalRecord) -> str:
    """The first commit of an approval: what was trained, and what the gate said."""
    data, window = approval.data, approval.data.window
    start = window.start.date().isoformat() if window.start else "the first row"
    end = window.end.date().isoformat() if window.end else "the last row"
    champion = (
        f"compared with approval {number(approval.champion.approval)}: {approval.champion.reason}"
        if approval.champion
        else "none served when it was tested"
    )
    return _message(
        f"Record approval {number(approval.approval)}",
        approval.verdict.reason,
        "\n".join(
            [
                f"Package:  {approval.model_package_arn}",
                f"Artifact: sha256:{approval.artifact.sha256}",
                f"Trained:  {approval.commit}, on {data.rows} rows with {data.frauds} frauds, from {start} to {end}",
                f"Champion: {champion}",
                *(f"Resolves: {request}" for request in approval.requests),
            ]
        ),
    )


def pointer(approval: int, former: int | None) -> str:
    """The second commit of an approval: what will serve, in place of what, and how to undo it."""
    instead = f"in place of {number(former)}" if former is not None else "where nothing served"
    return _message(
        f"Serve approval {number(approval)}",
        f"Serves it {instead}, as soon as this is merged and deployed. "
        "To roll back, revert this commit alone (`fraudops rollback`): the record before it stays.",
    )


def merge(approval: ApprovalRecord, branch: str) -> str:
    """The merge that approves."""
    return _message(
        f"Merge {branch}: serve approval {number(approval.approval)}",
        f"Approves exactly {approval.model_package_arn}, sha256:{approval.artifact.sha256}.",
    )


def rollback(approval: int, current: int, *, reverted: str, subject: str) -> str:
    """The commit that takes a pointer's commit back, in the words of `git revert`."""
    return _message(
        f'Revert "{subject}"',
        f"This reverts commit {reverted}.",
        f"Serves approval {number(approval)} again, which served before {number(current)}, "
        "as soon as this is merged and deployed.",
    )


def return_to(approval: int, current: int) -> str:
    """The commit that moves the pointer to an approval that served earlier than the one before."""
    return _message(
        f"Serve approval {number(approval)} again",
        f"Serves it in place of {number(current)}, as soon as this is merged and deployed. It served before.",
    )


def merge_rollback(approval: int, branch: str) -> str:
    """The merge that rolls back."""
    return _message(f"Merge {branch}: serve approval {number(approval)} again")


def restore(approval: int) -> str:
    """The commit that takes settings back to those under which the same approval served last."""
    return _message(
        f"Serve approval {number(approval)} as before",
        "Takes the serving file back to what it was when it was last deployed, as soon as this is merged and deployed.",
    )


def gate_failure(record: GateFailureRecord, name: str) -> str:
    """The commit that records that a model was not good enough."""
    return _message(
        f"Record gate failure {name}",
        record.verdict.reason,
        "\n".join(
            [
                f"Execution:  {record.execution_arn}",
                f"Evaluation: {record.evaluation_uri}",
                f"Trained:    {record.commit}",
                *(f"Closes:     {request}" for request in record.requests),
            ]
        ),
    )


def request(asked: RetrainRequest, name: str) -> str:
    """The commit that asks for a new model."""
    window = asked.window
    start, end = (stamp(moment) if moment else "open" for moment in (window.start, window.end))
    told = [f"{key.capitalize()}: {asked.evidence[key]}" for key in ("check", "report") if key in asked.evidence]
    return _message(f"Ask for a new model: {name}", asked.reason, "\n".join([f"Data: {start} to {end}", *told]))


def superseded(by: str, reason: str) -> str:
    """The comment on a pull request that is closed because another took its place."""
    return f"Superseded by {by}: {reason} Closed without merging."


def evidence(subject: str) -> str:
    """The commit that adds pictures to the branch `evidence`."""
    return _message(
        f"Add evidence: {subject}",
        "Pictures for a pull request, which links them at this commit. Nothing reads this branch.",
    )


def approval_title(approval: ApprovalRecord) -> str:
    """The title of an approval's pull request."""
    recall = approval.metrics.get("recall")
    figures = f": recall {recall.value:.2f} ({recall.low:.2f} to {recall.high:.2f})" if recall else ""
    return f"Serve approval {number(approval.approval)}{figures}"


def rollback_title(approval: int, *, failed: int | None) -> str:
    """The title of a rollback's pull request; `failed` is the approval whose deployment has just failed, if one has."""
    because = f"Deployment of approval {number(failed)} failed: " if failed is not None else ""
    again = "as before" if failed == approval else "again"
    first = "serve" if because else "Serve"
    return f"{because}{first} approval {number(approval)} {again}"


def number(approval: int) -> str:
    """An approval's number as people and file names write it: 0007."""
    return f"{approval:04d}"


def _message(*paragraphs: str) -> str:
    return "\n\n".join([*paragraphs, *_run()]) + "\n"


def _run() -> list[str]:
    # GitHub sets the three in every run; a person's shell has none of them, and then there is no run to name.
    server, repository, run = (os.environ.get(f"GITHUB_{key}") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return [f"Run: {server}/{repository}/actions/runs/{run}"] if server and repository and run else []
