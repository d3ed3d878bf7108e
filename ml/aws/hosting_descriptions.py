"""Describes what SageMaker hosts: an endpoint's variants, an endpoint configuration, a model. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml.aws import session


def endpoint(name: str) -> Mapping[str, Any] | None:
    """DescribeEndpoint; None if there is none. Raises CloudError."""
    return _found(f"endpoint {name}", session.client("sagemaker").describe_endpoint, EndpointName=name)


def configuration(name: str) -> Mapping[str, Any] | None:
    """DescribeEndpointConfig; None if there is none. Raises CloudError."""
    describe = session.client("sagemaker").describe_endpoint_config
    return _found(f"endpoint configuration {name}", describe, EndpointConfigName=name)


def model(name: str) -> Mapping[str, Any] | None:
    """DescribeModel; None if there is none. Raises CloudError."""
    return _found(f"model {name}", session.client("sagemaker").describe_model, ModelName=name)


def _found(what: str, describe: Callable[..., Mapping[str, Any]], **name: str) -> Mapping[str, Any] | None:
    from botocore.exceptions import ClientError

    with session.explained(f"reading {what}"):
        try:
            return describe(**name)
        except ClientError as error:
            # SageMaker has no error code for what does not exist.
            if "could not find" in str(error).lower():
                return None
            raise
