"""Finds what a removed platform stack has left under names that a new stack of the same name needs. Deletes nothing.

infra/platform.yaml retains the model package group and the deploy function's log group when a stack is deleted, because
they are the record of what was approved and deployed. Both have names that derive from the stack's, and CloudFormation
cannot create a resource that exists. SageMaker's log groups are no part of this: `ml.aws.log_groups` leaves them out.
"""

from __future__ import annotations

from dataclasses import dataclass

from ml.aws import session


@dataclass(frozen=True, kw_only=True)
class Retained:
    """A resource in the way of a new stack, and the commands that delete it."""

    what: str
    command: str


def find(stack_name: str) -> list[Retained]:
    """The retained resources of a removed stack `stack_name`, those with most content first.

    Raises:
        CloudError: SageMaker or CloudWatch Logs cannot be read.
    """
    return [*_package_group(f"{stack_name}-model"), *_log_group(f"/aws/lambda/{stack_name}-deploy")]


def _package_group(name: str) -> list[Retained]:
    from botocore.exceptions import ClientError

    sagemaker = session.client("sagemaker")
    with session.explained(f"reading the model package group {name}"):
        try:
            sagemaker.describe_model_package_group(ModelPackageGroupName=name)
        except ClientError as error:
            if session.code(error) != "ValidationException":  # SageMaker's answer for a group that does not exist
                raise
            return []
        pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=name)
        packages = sum(len(page["ModelPackageSummaryList"]) for page in pages)
    each = "aws sagemaker delete-model-package --model-package-name ARN, for each of aws sagemaker list-model-packages "
    return [
        Retained(
            what=f"the model package group {name} with {packages} {'package' if packages == 1 else 'packages'}",
            command=(f"{each}--model-package-group-name {name}; " if packages else "")
            + f"aws sagemaker delete-model-package-group --model-package-group-name {name}",
        )
    ]


def _log_group(name: str) -> list[Retained]:
    with session.explained(f"reading the log group {name}"):
        pages = session.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
        found = any(group["logGroupName"] == name for page in pages for group in page["logGroups"])
    command = f"aws logs delete-log-group --log-group-name {name}"
    return [Retained(what=f"the log group {name}", command=command)] if found else []
