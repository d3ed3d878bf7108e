"""Says in an approval's pull request what merging and reverting it do, with and without a staging."""

from __future__ import annotations

from ml import config
from ml.gitops import commit_messages
from ml.gitops.markdown_escaping import code


def summary(record: config.ApprovalRecord, serving: config.ServingFile, staging: config.ServingFile | None) -> str:
    """What merging does, as one sentence.

    Args:
        serving: production.yaml on the base branch.
        staging: staging.yaml on the base branch; None without a staging.
    """
    this = commit_messages.number(record.approval)
    if staging is not None:
        return (
            f"**Merging this serves approval {this} in staging, on {code(staging.endpoint)}. Production stays as it is "
            "until its promotion is merged.**"
        )
    former = serving.approval
    instead = f"in place of approval {commit_messages.number(former)}" if former is not None else "as the first model"
    return f"**Merging this serves approval {this} on {code(serving.endpoint)} {instead}.**"


def sections(record: config.ApprovalRecord, serving: config.ServingFile, staging: config.ServingFile | None) -> str:
    """What merging and reverting do, as two sections; the arguments are those of `summary`."""
    return _in_production(record, serving) if staging is None else _in_staging(record, staging, serving)


def _in_production(record: config.ApprovalRecord, serving: config.ServingFile) -> str:
    this = commit_messages.number(record.approval)
    former = commit_messages.number(serving.approval) if serving.approval is not None else None
    fleet = f"{serving.instance.count} × {code(serving.instance.type)}"
    fallback = f"approval {former} keeps serving" if former else "nothing serves, as before"
    rollback = (
        f"A rollback serves approval {former} again: {code('fraudops rollback')} opens a pull request that reverts "
        f"only the commit {code(f'Serve approval {this}')}. GitHub's Revert button would also delete the record; "
        "records are never deleted, so the check fails."
        if former
        else "A rollback is not possible yet: no model served before this one."
    )
    return "\n".join(
        [
            "## What merging does",
            "",
            f"1. {code('deploy.yml')} verifies the package and the digest above against the registry and approves only "
            f"that package; pending ones are rejected as superseded by {this}.",
            f"2. The endpoint {code(serving.endpoint)} {'is updated blue/green' if former else 'is created'} on "
            f"{fleet}, capturing {serving.capture.sampling_percentage} % of the requests.",
            f"3. A smoke test scores known transactions, and the deployment is recorded. If a step fails, the run "
            f"fails and {fallback}.",
            "",
            "Use a merge commit, do not squash: a rollback reverts one of the two commits. If another model is merged "
            "first, this comparison is outdated; the check fails and a new pull request replaces this one.",
            "",
            "## What reverting does",
            "",
            rollback,
        ]
    )


def _in_staging(record: config.ApprovalRecord, staging: config.ServingFile, production: config.ServingFile) -> str:
    this = commit_messages.number(record.approval)
    serves = commit_messages.number(production.approval) if production.approval is not None else "nothing"
    return "\n".join(
        [
            "## What merging does",
            "",
            f"1. {code('fraudops deploy --staging')} verifies the package and the digest above against the registry, "
            "and registers the same archive in staging's package group.",
            f"2. Staging's endpoint {code(staging.endpoint)} serves it on {staging.instance.count} × "
            f"{code(staging.instance.type)}, and known transactions are scored there.",
            f"3. {code('fraudops promote --propose')} opens the pull request that moves the same digest to production, "
            f"which serves {serves} until then. Nothing is trained or packed again.",
            "",
            "Use a merge commit, do not squash: the record and the pointer are two commits. If another model is "
            "promoted first, this comparison is outdated, and the promotion is refused.",
            "",
            "## What reverting does",
            "",
            f"Revert only the commit {code(f'Serve approval {this} in staging')}: staging then serves what it served "
            "before. GitHub's Revert button would also delete the record; records are never deleted, so the check "
            "fails.",
        ]
    )
