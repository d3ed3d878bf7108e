"""Deletes what the deploy function and the training pipeline have created outside any stack. Deletes no data.

That is the endpoint with its automatic scaling, configurations and models, and the pipeline with its executions. What
does not exist is skipped, so that an interrupted removal can be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from ml.aws import autoscaling, endpoint, executions, platform_stack, session
from ml.errors import CloudError

_SETTLE_SECONDS = 1_800
_STOP_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What exists of one endpoint: itself, and the configurations and models of its deployments."""

    endpoint: str | None
    configurations: tuple[str, ...]
    models: tuple[str, ...]


def find(name: str) -> Serving:
    """What exists of the endpoint `name`."""
    return Serving(
        endpoint=name if endpoint.describe(name) is not None else None,
        configurations=_names(name, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        models=_names(name, "list_models", "Models", "ModelName"),
    )


def _names(prefix: str, operation: str, key: str, field: str) -> tuple[str, ...]:
    """The names that the deploy function gives: another endpoint may have a name that begins with this one's."""
    ours = re.compile(re.escape(prefix) + r"-\d{4,}-[0-9a-f]{12}")
    with session.explained(f"listing what belongs to endpoint {prefix}"):
        pages = session.client("sagemaker").get_paginator(operation).paginate(NameContains=prefix)
        return tuple(item[field] for page in pages for item in page[key] if ours.fullmatch(item[field]))


def remove(found: Serving) -> None:
    """Deletes the endpoint, waits until it is gone, and deletes its configurations and models.

    Its role must exist until then: SageMaker releases the endpoint's resources with it.

    Raises:
        CloudError: the endpoint is still there after half an hour, or something cannot be deleted.
    """
    sagemaker = session.client("sagemaker")
    if found.endpoint is not None:
        autoscaling.remove(found.endpoint)
        endpoint.settled(found.endpoint, timeout_seconds=_SETTLE_SECONDS)  # one that is being created cannot be deleted
        _delete(f"endpoint {found.endpoint}", partial(sagemaker.delete_endpoint, EndpointName=found.endpoint))
        after = endpoint.settled(found.endpoint, timeout_seconds=_SETTLE_SECONDS)
        if after is not None:
            raise CloudError(f"endpoint {found.endpoint} is {after.status} and not deleted; run this again")
    for name in found.configurations:
        _delete(f"configuration {name}", partial(sagemaker.delete_endpoint_config, EndpointConfigName=name))
    for name in found.models:
        _delete(f"model {name}", partial(sagemaker.delete_model, ModelName=name))


def pipelines() -> tuple[str, ...]:
    """Those of the training pipeline and the one of `reproduce` that exist, by name."""
    names = (platform_stack.pipeline_name(), platform_stack.reproduction_pipeline_name())
    return tuple(name for name in names if _exists(name))


def remove_pipeline(name: str) -> None:
    """Stops the running executions of the pipeline `name` with their jobs, and deletes it."""
    for arn in executions.running(name):
        try:
            executions.stop(arn, timeout_seconds=_STOP_SECONDS)
        except TimeoutError as error:
            raise CloudError(f"execution {arn} has not stopped after {_STOP_SECONDS // 60} minutes") from error
    with session.explained(f"deleting pipeline {name}"):
        session.client("sagemaker").delete_pipeline(PipelineName=name)


def _exists(pipeline: str) -> bool:
    from botocore.exceptions import ClientError

    with session.explained(f"looking for pipeline {pipeline}"):
        try:
            session.client("sagemaker").describe_pipeline(PipelineName=pipeline)
        except ClientError as error:
            # AWS has a code of its own for this operation; others of SageMaker have none for what does not exist.
            if session.code(error) == "ResourceNotFound" or "could not find" in str(error).lower():
                return False
            raise
    return True


def _delete(what: str, call: Callable[[], Any]) -> None:
    from botocore.exceptions import ClientError

    with session.explained(f"deleting {what}"):
        try:
            call()
        except ClientError as error:
            # SageMaker has no error code for what does not exist.
            if "could not find" not in str(error).lower():
                raise
