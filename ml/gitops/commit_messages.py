"""Writes the messages of the bot's commits and the titles of its pull requests: subject, evidence, run link.

All are in one module, so that they are consistent and can be tested.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

from ml.clock import stamp
from ml.config import ApprovalRecord, GateFailureRecord, RetrainRequest, RunKind
from ml.gitops import gate_words

KINDS: Mapping[RunKind, str] = MappingProxyType(
    {
        "fit": "fit (all coefficients fitted to these rows)",
        "adapt": "adapt (the champion for known patterns, and a part for new ones)",
        "drop": "drop (the champion without its part for new patterns, new threshold)",
        "threshold": "threshold (the champion's coefficients, new threshold)",
    }
)
"""What each kind of run makes, for people."""
_MAX_SUBJECT = 72
"""Characters of a subject that git's own tools and GitHub show in one line."""


def record(approval: ApprovalRecord) -> str:
    """The first commit of an approval: the training data and the gate's verdict."""
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
        gate_words.readable(approval.verdict.reason),
        "\n".join(
            [
                f"Kind:     {KINDS[approval.kind]}",
                f"Package:  {approval.model_package_arn}",
                f"Artifact: sha256:{approval.artifact.sha256}",
                f"Trained:  {approval.commit}, on {data.rows} rows with {data.frauds} frauds, from {start} to {end}",
                f"Champion: {champion}",
                *(f"Resolves: {request}" for request in approval.requests),
            ]
        ),
    )


def pointer(approval: int, former: int | None, *, staging: bool = False) -> str:
    """The second commit of an approval: what will serve, what it replaces, and how to undo it."""
    instead = f"in place of {number(former)}" if former is not None else "as the first model"
    if staging:
        return _message(
            f"Serve approval {number(approval)} in staging",
            f"Serves it {instead} in staging when this is merged and deployed. Production stays as it is until a "
            "promotion is merged.",
        )
    return _message(
        f"Serve approval {number(approval)}",
        f"Serves it {instead} when this is merged and deployed. "
        "To roll back, revert only this commit (`fraudops rollback`): the record stays.",
    )


def promotion(approval: ApprovalRecord, former: int | None) -> str:
    """The commit of a promotion: which digest moves to production, what it replaces, and how to undo it."""
    instead = f"in place of {number(former)}" if former is not None else "as the first model"
    return _message(
        f"Serve approval {number(approval.approval)}",
        f"Promotes it from staging: production serves it {instead} when this is merged and deployed. Nothing is "
        "rebuilt. To roll back, revert only this commit (`fraudops rollback`): the record stays.",
        f"Artifact: sha256:{approval.artifact.sha256}",
    )


def merge_promotion(approval: int, branch: str) -> str:
    """The merge commit that promotes."""
    return _message(f"Merge {branch}: promote approval {number(approval)} to production")


def merge(approval: ApprovalRecord, branch: str) -> str:
    """The merge commit that approves."""
    return _message(
        f"Merge {branch}: serve approval {number(approval.approval)}",
        f"Approves exactly {approval.model_package_arn}, sha256:{approval.artifact.sha256}.",
    )


def rollback(approval: int, current: int, *, reverted: str, subject: str) -> str:
    """The commit that reverts a pointer's commit, in the format of `git revert`."""
    return _message(
        f'Revert "{subject}"',
        f"This reverts commit {reverted}.",
        f"Serves approval {number(approval)} again, which served before {number(current)}, "
        "when this is merged and deployed.",
    )


def return_to(approval: int, current: int, *, staging: bool = False) -> str:
    """The commit that moves the pointer to an approval older than the previous one."""
    return _message(
        f"Serve approval {number(approval)} again{_in_staging(staging)}",
        f"Serves it in place of {number(current)} when this is merged and deployed. It has served before.",
    )


def merge_rollback(approval: int, branch: str, *, staging: bool = False) -> str:
    """The merge commit that rolls back."""
    return _message(f"Merge {branch}: serve approval {number(approval)} again{_in_staging(staging)}")


def restore(approval: int, *, staging: bool = False) -> str:
    """The commit that restores the settings with which the same approval was deployed last."""
    return _message(
        f"Serve approval {number(approval)} as before{_in_staging(staging)}",
        "Restores the serving file of the last deployment when this is merged and deployed.",
    )


def gate_failure(record: GateFailureRecord, name: str) -> str:
    """The commit that records a gate failure."""
    return _message(
        f"Record gate failure {name}",
        gate_words.readable(record.verdict.reason),
        "\n".join(
            [
                f"Kind:       {KINDS[record.kind]}",
                f"Execution:  {record.execution_arn}",
                f"Evaluation: {record.evaluation_uri}",
                f"Trained:    {record.commit}",
                *(f"Resolves:   {request}" for request in record.requests),
            ]
        ),
    )


def request(retrain: RetrainRequest, name: str) -> str:
    """The commit that opens a retrain request. Its subject is the title of the run that it starts."""
    window = retrain.window
    subject = f"Train: {retrain.cause.replace('-', ' ')} (request {name})"
    start, end = (stamp(moment) if moment else "open" for moment in (window.start, window.end))
    links = [f"{key.capitalize()}: {retrain.evidence[key]}" for key in ("check", "report") if key in retrain.evidence]
    return _message(
        subject if len(subject) <= _MAX_SUBJECT else f"Open retrain request {name}",
        retrain.reason,
        "\n".join([f"Kind: {KINDS[retrain.kind]}", f"Data: {start} to {end}", *links]),
    )


def superseded(by: str, reason: str) -> str:
    """The comment on a pull request that is closed because another replaced it."""
    return f"Superseded by {by}: {reason} Closed without merging."


def evidence(subject: str) -> str:
    """The commit that adds images to the branch `evidence`."""
    return _message(
        f"Add evidence: {subject}",
        "Images for a pull request, which links them at this commit. Nothing reads this branch.",
    )


def rollback_title(approval: int, *, failed: int | None, staging: bool = False) -> str:
    """The title of a rollback's pull request; `failed` is the approval whose deployment failed, if one did."""
    because = f"Deployment of approval {number(failed)} failed: " if failed is not None else ""
    again = "as before" if failed == approval else "again"
    first = "serve" if because else "Serve"
    return f"{because}{first} approval {number(approval)} {again}{_in_staging(staging)}"


def _in_staging(staging: bool) -> str:
    return " in staging" if staging else ""


def number(approval: int) -> str:
    """An approval's number as in file names: 0007."""
    return f"{approval:04d}"


def _message(*paragraphs: str) -> str:
    return "\n\n".join([*paragraphs, *_run()]) + "\n"


def _run() -> list[str]:
    # GitHub sets all three in every run; a shell on a laptop has none, and then there is no run to link.
    server, repository, run = (os.environ.get(f"GITHUB_{key}") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return [f"Run: {server}/{repository}/actions/runs/{run}"] if server and repository and run else []
