"""Finds out which of SageMaker's log groups a new stack can own. Creates and changes none.

SageMaker creates the groups at the first line, with names of its own and without retention. A stack that creates one
first sets retention and key; a group that exists cannot be created again.
"""

from __future__ import annotations

from ml.aws import session

_PREFIX = "/aws/sagemaker/"
_OF_JOBS = (f"{_PREFIX}ProcessingJobs", f"{_PREFIX}TrainingJobs")


def ownership(endpoint: str) -> dict[str, str]:
    """The parameters EndpointLogGroup and JobLogGroups of infra/platform.yaml for a new stack.

    `create` where no group of that name exists, else `existing`.

    Raises:
        CloudError: the groups cannot be listed.
    """
    found: set[str] = set()
    with session.explained(f"listing the log groups below {_PREFIX}"):
        pages = session.client("logs").get_paginator("describe_log_groups").paginate(logGroupNamePrefix=_PREFIX)
        for page in pages:
            found |= {group["logGroupName"] for group in page["logGroups"]}
    return {
        "EndpointLogGroup": "existing" if f"{_PREFIX}Endpoints/{endpoint}" in found else "create",
        "JobLogGroups": "existing" if found & set(_OF_JOBS) else "create",
    }
