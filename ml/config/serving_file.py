"""Schema of production.yaml and staging.yaml in model-config/serving/: which approval serves, on what, and how."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ml.config.yaml_models import Endpoint, File, OpenShare, Ratio


class Instance(File):
    """The endpoint's instances."""

    type: Annotated[str, Field(pattern=r"^ml\.[a-z0-9]+\.[a-z0-9]+$")]
    count: Annotated[int, Field(ge=1, le=100)]


class Autoscaling(File):
    """The bounds of the number of instances, and the invocations of one instance a minute that AWS scales towards."""

    min: Annotated[int, Field(ge=1, le=100)]
    max: Annotated[int, Field(ge=1, le=100)]
    invocations_per_instance: Annotated[int, Field(ge=1, le=1_000_000)]

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.max < self.min:
            raise ValueError(f"must have max at least min (got min: {self.min}, max: {self.max})")
        return self


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


class Shadow(File):
    """For how long the challenger scores a copy of production's traffic in staging, and of how many rows.

    If fewer were captured, all are scored; else whole requests, chosen at random, until there are so many rows.
    """

    hours: Annotated[int, Field(ge=1, le=720)]
    max_rows: Annotated[int, Field(ge=100, le=100_000)]


class Rollout(File):
    """How a model is rolled out: a shadow in staging before it is promoted, how traffic shifts, and its timeouts.

    With the traffic `shadow` it shifts at once, after the shadow; a canary may have a shadow before it too.
    """

    traffic: Literal["all_at_once", "canary", "shadow"] = "all_at_once"
    canary: Canary | None = None
    shadow: Shadow | None = None
    termination_wait_seconds: Annotated[int, Field(ge=0, le=3_600)]
    timeout_minutes: Annotated[int, Field(ge=1, le=240)]

    @model_validator(mode="after")
    def _traffic_fits(self) -> Self:
        if (self.canary is not None) != (self.traffic == "canary"):
            raise ValueError(f"must have canary if traffic is canary, and only then (got traffic: {self.traffic})")
        if self.traffic != "canary" and (self.shadow is not None) != (self.traffic == "shadow"):
            raise ValueError(
                "must have shadow if traffic is shadow, and else only before a canary, with traffic: canary (got "
                f"traffic: {self.traffic})"
            )
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
    """model-config/serving/production.yaml, or staging.yaml: which approval serves, and how.

    `image` is the serving image; without it SageMaker's managed scikit-learn image serves. With `autoscaling` the
    number of instances is AWS's between its bounds, and `instance.count` is what the endpoint starts with. With
    `self_heal`, which is production's alone, drift.yml starts deploy.yml where the account differs from this file.
    """

    approval: Annotated[int, Field(ge=1)] | None
    endpoint: Endpoint
    image: ServingImage | None = None
    instance: Instance
    autoscaling: Autoscaling | None = None
    capture: Capture
    rollout: Rollout
    self_heal: bool = False

    @model_validator(mode="before")
    @classmethod
    def _has_instances(cls, document: Any) -> Any:
        if isinstance(document, dict) and "serverless" in document:
            raise ValueError(
                "must have instance and not serverless: SageMaker captures no traffic of a serverless endpoint, so "
                "drift could not be checked and a canary not compared, and isolates no network of it; see "
                "docs/serving.md"
            )
        return document

    @model_validator(mode="after")
    def _autoscaling_fits_instance(self) -> Self:
        scaling, instance = self.autoscaling, self.instance
        if scaling is None:
            return self
        if instance.type.startswith("ml.t"):
            raise ValueError(
                "must have an instance.type that is not burstable with autoscaling, which AWS does not support for it "
                f"(got {instance.type})"
            )
        if not scaling.min <= instance.count <= scaling.max:
            raise ValueError(
                "must have instance.count, with which the endpoint starts, between autoscaling.min and autoscaling.max "
                f"(got {instance.count}, and {scaling.min} to {scaling.max})"
            )
        return self

    @model_validator(mode="after")
    def _canary_fits_fleet_and_capture(self) -> Self:
        canary = self.rollout.canary
        if canary is not None and self.autoscaling is not None and canary.instances * 2 > self.autoscaling.min:
            raise ValueError(
                "must have rollout.canary.instances at most half of autoscaling.min, since SageMaker requires half of "
                f"the instances that serve (got {canary.instances} of {self.autoscaling.min})"
            )
        if canary is not None and canary.instances * 2 > self.instance.count:
            raise ValueError(
                "must have rollout.canary.instances at most half of instance.count, as SageMaker requires "
                f"(got {canary.instances} of {self.instance.count})"
            )
        if canary is not None and not self.capture.sampling_percentage:
            raise ValueError(
                "must have capture.sampling_percentage above 0 with a canary, whose captured answers are compared"
            )
        if self.rollout.shadow is not None and not self.capture.sampling_percentage:
            raise ValueError(
                "must have capture.sampling_percentage above 0 with rollout.shadow, which copies captured requests"
            )
        return self
