"""`fraudops teardown`: removes from an account what `bootstrap` and the workflows have created, the buckets last.

A person runs it on a laptop, after the prompt of the command line. It is idempotent: what is gone already is skipped,
so an interrupted removal can be repeated. It never deletes what other stacks may use, nor the registry's packages and
the logs, which are the record of what was served; the result lists them with the command that would.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.aws import bucket_removal, serving_removal
from ml.aws import platform_stack as platform
from ml.aws.cloudformation import platform_source, stack, stack_history, staging_role, workflow_roles
from ml.console import stage

if TYPE_CHECKING:
    from ml.gitops.github_client import GitHub

_LEFT = {
    "AWS::SageMaker::ModelPackageGroup": (
        "model package group {0}",
        "its packages are the record of which models were approved; delete the packages with `aws sagemaker "
        "delete-model-package`, then the group with `aws sagemaker delete-model-package-group`",
    ),
    "AWS::Logs::LogGroup": (
        "log group {0}",
        "the log of jobs, requests and deployments; if nobody needs it: aws logs delete-log-group --log-group-name {0}",
    ),
    "AWS::KMS::Key": (
        "key {0}",
        "what a key encrypted cannot be read without it, and approvals that a key signed cannot be deployed without "
        "it; if neither is needed again: aws kms schedule-key-deletion --key-id {0}",
    ),
    "AWS::IAM::OIDCProvider": (
        "identity provider {0}",
        "an account has one for GitHub, and other stacks may use it; if none does: aws iam "
        "delete-open-id-connect-provider --open-id-connect-provider-arn {0}",
    ),
}
"""By resource type, what is left and why; {0} is the physical id."""
_BUCKET = "AWS::S3::Bucket"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What exists and would be removed, in the order of its removal."""

    stack: str
    variables: tuple[str, ...]
    pipelines: tuple[str, ...]
    serving: serving_removal.Serving
    stacks: tuple[str, ...]
    buckets: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    """What is left in any case, each with the reason."""

    def lines(self) -> list[str]:
        """One line for each thing that would be removed, but for the buckets."""
        return [
            *(f"variable {name}" for name in self.variables),
            *(f"pipeline {name} and its executions" for name in self.pipelines),
            *([f"endpoint {self.serving.endpoint} and its automatic scaling"] if self.serving.endpoint else []),
            *(f"endpoint configuration {name}" for name in self.serving.configurations),
            *(f"model {name}" for name in self.serving.models),
            *(f"stack {name}" for name in self.stacks),
        ]


@dataclass(frozen=True, kw_only=True)
class TornDown:
    """What was removed, and what was left with the reason, one line each."""

    removed: tuple[str, ...]
    left: tuple[str, ...]


def survey(*, repository: str | None = None) -> Found:
    """What `teardown` would remove of the stack FRAUDOPS_STACK; changes nothing.

    Args:
        repository: OWNER/NAME, whose Actions variables are removed, with the token GITHUB_TOKEN; None leaves them.

    Raises:
        Refused: the caller is the account's root user.
        CloudError: AWS cannot be reached, or refuses to list something.
        GitHubError: the variables cannot be read.
    """
    platform.refuse_root()
    name, roles = platform.stack_name(), workflow_roles.stack_name()
    history = stack_history.contents(name)
    both = [*history, *stack_history.contents(roles)]
    resources = list(dict.fromkeys(item for content in both for item in content.resources))
    endpoints = {content.parameters["EndpointName"] for content in history if "EndpointName" in content.parameters}
    serving = [serving_removal.find(endpoint) for endpoint in sorted(endpoints)]
    buckets = [identifier for kind, identifier in resources if kind == _BUCKET]
    buckets.append(platform_source.code_bucket(name))
    return Found(
        stack=name,
        variables=tuple(_variables(repository)) if repository is not None else (),
        pipelines=serving_removal.pipelines(),
        serving=serving_removal.Serving(
            endpoint=next((each.endpoint for each in serving if each.endpoint), None),
            configurations=tuple(item for each in serving for item in each.configurations),
            models=tuple(item for each in serving for item in each.models),
        ),
        # The platform's roles have a permissions boundary that the other stack holds, so they go first.
        stacks=tuple(each for each in (name, roles) if platform.describe_stack(each) is not None),
        buckets=tuple(bucket for bucket in dict.fromkeys(buckets) if bucket_removal.exists(bucket)),
        kept=tuple(
            (_LEFT[kind][0].format(identifier), _LEFT[kind][1].format(identifier))
            for kind, identifier in resources
            if kind in _LEFT
        ),
    )


def teardown(found: Found, *, buckets: bool, repository: str | None = None) -> TornDown:
    """Removes what `survey` found: the variables first, so that no workflow starts; the buckets last.

    Args:
        buckets: also delete the buckets with all data, versions and delete markers, which cannot be restored.
        repository: as for `survey`.

    Raises:
        Refused: the caller is the account's root user; nothing was changed.
        CloudError: something cannot be deleted; the message names it, and a rerun continues.
        GitHubError: the variables cannot be deleted; nothing else was.
    """
    platform.refuse_root()
    if found.variables and repository is not None:
        with stage(f"Variables of {repository}"):
            _delete_variables(repository, found.variables)
    for name in found.pipelines:
        with stage(f"Pipeline {name}"):
            serving_removal.remove_pipeline(name)
    if found.serving.endpoint or found.serving.configurations or found.serving.models:
        with stage("Endpoint, configurations and models"):
            serving_removal.remove(found.serving)
    for name in found.stacks:
        with stage(f"Stack {name}"):
            stack.delete(name)
    removed = found.lines()
    if buckets:
        for bucket in found.buckets:
            with stage(f"Bucket {bucket}"):
                count = bucket_removal.remove(bucket)
            removed.append(f"bucket {bucket} with {count} versions and delete markers")
    return TornDown(removed=tuple(removed), left=tuple(_left(found, buckets=buckets, repository=repository)))


def _left(found: Found, *, buckets: bool, repository: str | None) -> list[str]:
    lines = [f"{what}: {why}" for what, why in found.kept]
    if not buckets:
        lines += [f"bucket {name}: it holds data; delete it with --delete-buckets" for name in found.buckets]
    if repository is None:
        lines.append(
            "the repository's variables FRAUDOPS_…: no repository was named; run this again with --repository "
            "OWNER/NAME, or its workflows go on and fail"
        )
    lines.append(
        "the repository's environments, rules and secrets: they protect its history, and give no access to AWS"
    )
    lines.append("log groups /aws/sagemaker/…: every SageMaker job and endpoint of the account writes there")
    if found.kept:
        lines.append(
            f"before a new stack {found.stack}: the model package group and the log group of the deploy function have "
            "fixed names and must be gone, or FRAUDOPS_STACK another name"
        )
    return lines


def _variables(repository: str) -> list[str]:
    from ml.gitops import actions_variables

    found = actions_variables.read(_github(repository))
    return [name for name in _names() if name in found]


def _delete_variables(repository: str, names: Iterable[str]) -> None:
    from ml.gitops import actions_variables

    actions_variables.delete_variables(_github(repository), names)


def _names() -> list[str]:
    """The variables of the stack that is removed; production's workflows go on without staging."""
    if platform.is_staging(platform.stack_name()):
        return [staging_role.VARIABLE]
    return [*workflow_roles.ROLES.values(), workflow_roles.ENVIRONMENTS_VARIABLE, "FRAUDOPS_REGION", "FRAUDOPS_STACK"]


def _github(repository: str) -> GitHub:
    from ml.gitops.github_client import GitHub

    return GitHub.from_environment(repository=repository)
