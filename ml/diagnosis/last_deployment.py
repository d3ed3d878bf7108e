"""Whether what Git says has been deployed before, so that deploying it again only puts something back. Changes nothing.

A pointer or a setting that was never deployed, or whose deployment failed, is a person's matter: the deployment was
rejected by its reviewer, or the canary rolled it back, and another attempt would show the same model to callers again.
"""

from __future__ import annotations

from ml import config
from ml.aws import deployment_records, platform_stack
from ml.diagnosis.subjects import Subjects
from ml.errors import ConfigError
from ml.gitops import serving_pointer
from ml.gitops.repository import Repository


def why_not_again(subjects: Subjects) -> str | None:
    """Why deploy.yml must not be started by itself; None if the last deployment brought what Git says.

    Raises:
        CloudError, CannotTell: the deployments cannot be read.
    """
    file = subjects.serving
    subjects.usable(platform_stack.stack_name())
    every = deployment_records.history(platform_stack.read().bucket)
    own = [item for item in every if item.endpoint == file.endpoint]
    if not own:
        return f"nothing was deployed to {file.endpoint} yet"
    last = own[-1]
    if last.status != "succeeded":
        return f"the last deployment, of approval {last.approval:04d} on {last.finished}, failed: {last.reason}"
    repository = Repository.find(subjects.root)
    try:
        deployed = serving_pointer.read(repository, last.commit) if repository.resolve(last.commit) else None
    except ConfigError:
        deployed = None
    if deployed is None:
        return f"the last deployment was of commit {last.commit[:12]}, whose {config.SERVING} cannot be read here"
    # Whether differences are put back is no part of a deployment.
    if deployed.model_copy(update={"self_heal": file.self_heal}) != file:
        return (
            f"{config.SERVING} was changed since the last deployment, of commit {last.commit[:12]}, and its own "
            "deployment has not succeeded"
        )
    return None
