"""Schemas of the sections `compute` of model.yaml and drift.yaml: the instances of SageMaker jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ml.config.yaml_models import File

_Instances = Annotated[int, Field(ge=1, le=100)]
_InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9]+\.[a-z0-9]+$")]
_VolumeGb = Annotated[int, Field(ge=1, le=16_384)]
_Minutes = Annotated[int, Field(ge=1, le=7_200)]


class Compute(File):
    """The instances that the steps of the pipeline run on.

    With `spark`, Prepare and Train run on a cluster of `instances`; Evaluate runs on one.
    """

    engine: Literal["single", "spark"] = "single"
    instances: _Instances = 1
    instance_type: _InstanceType
    volume_gb: _VolumeGb
    max_runtime_minutes: _Minutes

    @model_validator(mode="after")
    def _several_instances_are_a_cluster(self) -> Compute:
        if self.engine == "single" and self.instances > 1:
            raise ValueError(
                f"must have 1 instance with the engine single (got {self.instances}); spark takes several: the fit "
                "needs the prepared rows on one machine, or machines that exchange sums, which Spark's do"
            )
        return self


@dataclass(frozen=True, kw_only=True)
class JobInstances:
    """The instances of a job that counts for a drift check, and whether they are a Spark cluster."""

    engine: Literal["single", "spark"]
    instances: int
    instance_type: str
    volume_gb: int
    max_runtime_minutes: int


DRIFT_RUNTIME_MINUTES = 35
"""The longest a job of a drift check may run: drift.yml's job has 60 minutes, the start of instances takes up to 20,
and what comes before and after it 5."""


class DriftCompute(File):
    """Where the traffic and labels of a window are counted.

    Without instances: in the workflow's job. With them: in a processing job, whose instances each count some of the
    captured objects (`single`) or are a Spark cluster (`spark`).
    """

    engine: Literal["single", "spark"] = "single"
    instances: _Instances | None = None
    instance_type: _InstanceType | None = None
    volume_gb: _VolumeGb | None = None
    max_runtime_minutes: _Minutes | None = None

    @model_validator(mode="after")
    def _instances_are_complete(self) -> DriftCompute:
        given = self.model_dump(exclude={"engine"})
        missing = [name for name, value in given.items() if value is None]
        if self.engine == "spark" and missing:
            raise ValueError(f"must have {', '.join(missing)} with the engine spark")
        if missing and len(missing) < len(given):
            raise ValueError(
                f"must have {', '.join(missing)} beside {', '.join(name for name in given if name not in missing)}; "
                "without any of them the engine single counts in the workflow's job"
            )
        if self.max_runtime_minutes is not None and self.max_runtime_minutes > DRIFT_RUNTIME_MINUTES:
            raise ValueError(
                f"must have max_runtime_minutes of at most {DRIFT_RUNTIME_MINUTES} (got {self.max_runtime_minutes}): "
                "drift.yml waits 60 minutes, and the start of the instances takes up to 20 of them"
            )
        return self

    def job(self) -> JobInstances | None:
        """The instances of the job; None if the workflow's job counts."""
        if (
            self.instances is None
            or self.instance_type is None
            or self.volume_gb is None
            or self.max_runtime_minutes is None
        ):
            return None
        return JobInstances(
            engine=self.engine,
            instances=self.instances,
            instance_type=self.instance_type,
            volume_gb=self.volume_gb,
            max_runtime_minutes=self.max_runtime_minutes,
        )
