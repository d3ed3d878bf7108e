"""A step of a pipeline whose API request is given, with the retries and the caching of this project's steps.

`ConfigurableRetryStep` is the SDK's extension point for steps that its own classes do not build. Calls nothing.
"""

from __future__ import annotations

from typing import Any

from sagemaker.core.workflow.properties import Properties, PropertyFile
from sagemaker.mlops.workflow.retry import (
    RetryPolicy,
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import CacheConfig, ConfigurableRetryStep, StepTypeEnum

_SHAPES = {
    StepTypeEnum.PROCESSING: "DescribeProcessingJobResponse",
    StepTypeEnum.TRAINING: "DescribeTrainingJobResponse",
    StepTypeEnum.REGISTER_MODEL: "DescribeModelPackageOutput",
}


class RequestStep(ConfigurableRetryStep):  # type: ignore[misc]  # the SDK is not type-checked (pyproject.toml)
    """A step whose API request is given; a job is cached for 30 days and waits for capacity, a registration is not."""

    def __init__(
        self, name: str, kind: StepTypeEnum, request: dict[str, Any], property_files: tuple[PropertyFile, ...] = ()
    ) -> None:
        self._job = kind is not StepTypeEnum.REGISTER_MODEL
        super().__init__(name, kind, retry_policies=_retries(job=self._job))
        self._request = request
        self._properties = Properties(step_name=name, step=self, shape_name=_SHAPES[kind])
        self.property_files = property_files

    @property
    def arguments(self) -> dict[str, Any]:
        return self._request

    @property
    def properties(self) -> Any:
        return self._properties

    def output(self, name: str) -> Any:
        """The URI of the output `name` of a processing step, resolved when the step has run."""
        return self._properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri

    def to_request(self) -> dict[str, Any]:
        request: dict[str, Any] = super().to_request()
        if self._job:
            request |= CacheConfig(enable_caching=True, expire_after="P30D").config
        if self.property_files:
            request["PropertyFiles"] = [file.expr for file in self.property_files]
        return request


def _retries(*, job: bool) -> list[RetryPolicy]:
    """Retries throttling after seconds, a shortage of instances after minutes, and no fault of the code."""
    service = StepRetryPolicy(
        exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
        interval_seconds=10,
        backoff_rate=2.0,
        max_attempts=6,
    )
    shortage = SageMakerJobStepRetryPolicy(
        exception_types=[SageMakerJobExceptionTypeEnum.RESOURCE_LIMIT],
        failure_reason_types=[
            SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
            SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
        ],
        interval_seconds=60,
        backoff_rate=2.0,
        max_attempts=5,
    )
    return [service, shortage] if job else [service]
