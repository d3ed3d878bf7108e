"""Schema of model-config/serving/production.yaml: which approval serves, on what, and how it is rolled out."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ml.config.yaml_models import Endpoint, File, OpenShare, Ratio


class Instance(File):
    """The endpoint's instances."""

    type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9]+\.[a-z0-9]+$")]
    count: Annotated[int, Field(ge=1, le=100)]


class Capture(File):
    """The share of the traffic that is captured to S3, in percent; 0 disables capture."""

    sampling_percentage: Annotated[int, Field(ge=0, le=100)]


class Canary(File):
    """The part of the new fleet that serves first, for how long, and when its answers roll it back.

    The last three are `ml.release.canary_evidence.Limits`.
    """

    instances: Annotated[int, Field(ge=1, le=50)]
    bake_minutes: Annotated[int, Field(ge=1, le=60)]
    false_alarm_rate: Annotated[float, Field(gt=0, le=0.2)]
    max_alert_rate_ratio: Ratio
    max_score_shift: OpenShare


class Rollout(File):
    """Blue/green deployment: how traffic shifts, how long the old fleet is kept, and the timeout of the deployment."""

    traffic: Literal["all_at_once", "canary"] = "all_at_once"
    canary: Canary | None = None
    termination_wait_seconds: Annotated[int, Field(ge=0, le=3_600)]
    timeout_minutes: Annotated[int, Field(ge=1, le=240)]

    @model_validator(mode="after")
    def _canary_fits(self) -> Self:
        if (self.canary is not None) != (self.traffic == "canary"):
            raise ValueError(f"must have canary if traffic is canary, and only then (got traffic: {self.traffic})")
        if self.canary is not None:
            waits = self.canary.bake_minutes * 60 + self.termination_wait_seconds
            if waits >= self.timeout_minutes * 60:
                raise ValueError(
                    "must have timeout_minutes longer than canary.bake_minutes and termination_wait_seconds together "
                    f"(got {self.timeout_minutes} minutes for {waits} s)"
                )
        return self


ServingImage = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{12}\.dkr\.ecr\.[a-z]{2,}(-[a-z]+)+-[0-9]\.amazonaws\.com(\.cn)?/[a-z0-9]+([._/-][a-z0-9]+)*"
        r"@sha256:[0-9a-f]{64}$"
    ),
]
"""An image in ECR by its digest: a tag could be moved after the review."""


class ServingFile(File):
    """model-config/serving/production.yaml: which approval serves, and how.

    `image` is the serving image; without it SageMaker's managed scikit-learn image serves.
    """

    approval: Annotated[int, Field(ge=1)] | None
    endpoint: Endpoint
    image: ServingImage | None = None
    instance: Instance
    capture: Capture
    rollout: Rollout

    @model_validator(mode="after")
    def _canary_fits_fleet_and_capture(self) -> Self:
        canary = self.rollout.canary
        if canary is not None and canary.instances * 2 > self.instance.count:
            raise ValueError(
                "must have rollout.canary.instances at most half of instance.count, as SageMaker requires "
                f"(got {canary.instances} of {self.instance.count})"
            )
        if canary is not None and not self.capture.sampling_percentage:
            raise ValueError(
                "must have capture.sampling_percentage above 0 with a canary, whose captured answers are compared"
            )
        return self
