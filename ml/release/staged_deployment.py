"""Finds the deployment with which staging serves an approval, or says why it does not. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ml import config
from ml.aws import deployment_records, endpoint, platform_stack
from ml.aws.deployment_records import Deployment
from ml.console import stage
from ml.errors import Refused
from ml.gitops import commit_messages


@dataclass(frozen=True, kw_only=True)
class StagedDeployment:
    """What staging serves: its platform, the latest deployment, and when the archive was first deployed there."""

    where: platform_stack.Platform
    latest: Deployment
    since: datetime


def find(record: config.ApprovalRecord, staging: config.ServingFile) -> StagedDeployment:
    """The deployment with which staging serves `record` now.

    Raises:
        Refused: the latest deployment there is of another approval or digest, or failed, or the endpoint has another
            configuration.
        CloudError: staging cannot be read.
    """
    number = commit_messages.number(record.approval)
    with stage(f"Checking that staging serves approval {number}"):
        where = platform_stack.read(platform_stack.staging_stack_name())
        past = [each for each in deployment_records.history(where.bucket) if each.endpoint == staging.endpoint]
        last, state = (past[-1] if past else None), endpoint.describe(staging.endpoint)
    if last is None or last.approval != record.approval or last.status != "succeeded":
        found = f"approval {last.approval:04d}, which {last.status}" if last else "none"
        raise Refused(
            f"staging has not served approval {number} yet: the latest deployment there is {found}. Run `fraudops "
            "deploy --staging` first"
        )
    if last.artifact_sha256 != record.artifact.sha256:
        raise Refused(
            f"staging serves sha256:{last.artifact_sha256}, and {config.approval_path(record.approval)} approved "
            f"sha256:{record.artifact.sha256}: one of them was changed"
        )
    if state is None or state.status != "InService" or state.configuration != last.endpoint_config:
        raise Refused(
            f"{endpoint.serving(staging.endpoint)}, and not what was deployed last ({last.endpoint_config}). Run "
            "`fraudops deploy --staging` again"
        )
    first = next(
        each
        for each in past
        if each.status == "succeeded"
        and (each.approval, each.artifact_sha256) == (record.approval, record.artifact.sha256)
    )
    return StagedDeployment(where=where, latest=last, since=datetime.fromisoformat(first.finished))
