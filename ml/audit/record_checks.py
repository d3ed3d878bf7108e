"""Compares an approval record with Git: that nobody changed it, and that its commit and its champion are what it says.

What registry and S3 say about a record is compared by `ml.records.approval_verification`. Reads only.
"""

from __future__ import annotations

from dataclasses import dataclass

from ml import config
from ml.errors import ConfigError
from ml.gitops import approvals
from ml.gitops.repository import Repository


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What disagrees, and what could not be compared and why."""

    disagreements: tuple[str, ...]
    unchecked: tuple[str, ...]


def check(repository: Repository, revision: str, record: config.ApprovalRecord) -> Findings:
    """Compares `record`, as it is at `revision`, with the history of the branch."""
    path, wrong, unchecked = config.approval_path(record.approval), list[str](), list[str]()
    *later, first = repository.log(revision, path, first_parent=True)
    if later:
        wrong.append(
            f"{path} was changed by {', '.join(commit.sha[:12] for commit in later)} after {first.sha[:12]} had "
            "brought it; records are append-only"
        )
    if repository.resolve(record.commit) is None:
        wrong.append(f"{path} says that commit {record.commit} trained it, which this repository does not have")
    else:
        try:
            found = config.parse_settings(
                lambda name: (repository.show(record.commit, name) or b"").decode("utf-8", "replace")
            ).sha256
        except ConfigError as error:
            unchecked.append(f"the settings of commit {record.commit[:12]}, which this version cannot read: {error}")
        else:
            if found != record.config_sha256:
                wrong.append(
                    f"{path} says configuration {record.config_sha256}, and its commit {record.commit[:12]} has {found}"
                )
            wrong += _reproducibility(repository, record)
    wrong += _champion(repository, revision, record)
    wrong += [
        f"{path} resolves request {name}, and {config.REQUESTS / name}.yaml is not on {revision}"
        for name in record.requests
        if repository.show(revision, config.REQUESTS / f"{name}.yaml") is None
    ]
    return Findings(disagreements=tuple(wrong), unchecked=tuple(unchecked))


def _reproducibility(repository: Repository, record: config.ApprovalRecord) -> list[str]:
    """Where the record says something else about its reproduction than the settings of its commit."""
    text = (repository.show(record.commit, config.MODEL) or b"").decode("utf-8", "replace")
    reason = config.parse(text, config.MODEL, config.ModelFile).not_reproducible
    path, named = config.approval_path(record.approval), record.not_reproducible
    if named == reason:
        return []
    if reason is None:
        return [f"{path} says that its model cannot be reproduced ({named}), and the settings of its commit do not"]
    return [f"{path} does not say that its model cannot be reproduced: {reason}"]


def _champion(repository: Repository, revision: str, record: config.ApprovalRecord) -> list[str]:
    """Where the champion that the record names is another model than the one of its own record."""
    named = record.champion
    if named is None:
        return []
    path, other = config.approval_path(record.approval), config.approval_path(named.approval)
    try:
        found = approvals.read_record(repository, revision, named.approval)
    except ConfigError as error:
        return [str(error)]
    if found is None:
        return [f"{path} was compared with approval {named.approval:04d}, and {other} is not on {revision}"]
    if found.artifact.sha256 != named.artifact_sha256:
        return [
            f"{path} was compared with sha256 {named.artifact_sha256} as approval {named.approval:04d}, and {other} "
            f"says {found.artifact.sha256}"
        ]
    return []
