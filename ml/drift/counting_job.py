"""Starts a SageMaker processing job that counts a window's traffic and labels, or finds the one of the same request.

`spark_aggregation` and `shard_aggregation` say which program it runs and read what it wrote. The job's files are below
monitoring/<endpoint>/jobs/ of the lake. The job's name has the digest of what it counts, so that the next check with
the same input continues one that was cut off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ml import config
from ml.aws import drift_check_store, platform_stack, processing_job, s3_objects, source_upload
from ml.aws.capture import reader
from ml.aws.capture.dead_letter_writer import CONTENT_TYPE, DEAD_LETTER_PREFIX
from ml.aws.capture.summary_request import REQUEST, SummaryRequest
from ml.aws.labels import join, store
from ml.aws.pipeline.entry_point import VERIFIED
from ml.aws.pipeline.instances import volume
from ml.aws.pipeline.job_environment import JOB_ENVIRONMENT
from ml.console import note
from ml.drift.calendar import Window
from ml.errors import CloudError, ConfigError

if TYPE_CHECKING:
    from ml.aws.platform_stack import Platform
    from ml.config.compute import JobInstances
    from ml.config.settings_files import LabelLimits
    from ml.drift.approved_model import Model

_PROCESSING, _MESSAGE = "/opt/ml/processing", "/opt/ml/output/message"
_START_SECONDS = 1_200
"""How long SageMaker may take to start the instances and to transfer inputs, beside the job's own limit."""
_MOST_JOBS = 99
"""Jobs of one request: a numbered one follows a job that has failed, was stopped, or whose result has expired or cannot
be used."""
_FILLED = 0.8
"""The share of a volume that downloaded inputs may fill; Spark writes the rest."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What the instances of a job run.

    `arguments` come before those that name folder and request. `sharded` inputs are divided among the instances,
    others are complete on each. `results` are the files below summary/ that a completed job of a request has.
    `problem` says why the files of a completed job that has these cannot be used; None if they can.
    """

    image: Callable[[str], str]
    counting: Literal["spark", "shards"]
    arguments: tuple[str, ...]
    sharded: bool
    results: Callable[[SummaryRequest], Sequence[str]]
    network: Mapping[str, bool] = field(default_factory=dict)
    problem: Callable[[Counted], str | None] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A job that has completed: its name, its request, and the prefix of what it wrote, which ends with a slash."""

    name: str
    request: SummaryRequest
    prefix: str


def run(
    program: Program,
    bucket: str,
    endpoint: str,
    window: Window,
    *,
    model: Model,
    limits: LabelLimits,
    now: datetime,
    instances: JobInstances,
    root: Path,
) -> Counted | None:
    """The job that has counted the window; None if nothing was captured, since a job without input cannot be created.

    If a job of the same request runs or has completed, its result is taken. Its labels may be known at an earlier time
    of the same day, or at any time once labels are old enough, as for a stored check.

    Args:
        root: the checkout whose code the job runs.

    Raises:
        CloudError, DataError: S3 cannot be read, or the job did not complete.
        ConfigError: the volumes cannot hold the window's traffic, the platform lacks the role, or `root` the code.
    """
    objects = tuple(reader.list_objects(bucket, endpoint, *window))
    if not objects:
        return None
    count = min(instances.instances, len(objects)) if program.sharded else instances.instances
    request = SummaryRequest(
        bucket=bucket,
        start=window[0],
        end=window[1],
        as_of=now,
        min_coverage=limits.min_coverage,
        min_age_days=limits.min_age_days,
        model=model.counted,
        objects=objects,
        labels=tuple(join.label_keys(bucket, window[0])),
        instances=count,
    )
    _check_volume(request, instances, sharded=program.sharded)
    platform = platform_stack.read()
    if platform.counting_role_arn is None:
        raise ConfigError(
            f"{config.DRIFT}: compute.instances needs the role of counting jobs, which this platform stack lacks: "
            "update it with `fraudops infra`, or run the workflow infra"
        )
    code = source_upload.upload_code(
        source_upload.tree(root, counting=program.counting),
        bucket,
        below=f"{drift_check_store.PREFIX}/{endpoint}/jobs/code",
    )
    job = _completed(
        _Job(program, name, platform=platform, endpoint=endpoint, request=request, instances=instances, code=code)
        for name in _names(endpoint, request, code)
    )
    return Counted(name=job.name, request=request, prefix=f"{job.prefix}/summary/")


def earlier(bucket: str, endpoint: str, name: str) -> Counted | None:
    """The job of an earlier check, by its name; None if its request has expired.

    Raises:
        CloudError: S3 cannot be read.
    """
    below = f"{drift_check_store.PREFIX}/{endpoint}/jobs/{name}"
    key = f"{below}/request/{REQUEST}"
    if key not in s3_objects.keys(bucket, key):
        return None
    request = SummaryRequest.from_json(s3_objects.read(f"s3://{bucket}/{key}").decode())
    return Counted(name=name, request=request, prefix=f"{below}/summary/")


def store_dead_letters(bucket: str, prefix: str) -> None:
    """Copies the unreadable lines that a job has written below `prefix` to where dead letters are."""
    for key in s3_objects.keys(bucket, prefix):
        target = f"s3://{bucket}/{DEAD_LETTER_PREFIX}/{key.removeprefix(prefix)}"
        s3_objects.write(target, s3_objects.read(f"s3://{bucket}/{key}"), CONTENT_TYPE)


class _Job:
    """A processing job that counts a window: its name, its files, and its CreateProcessingJob request."""

    def __init__(
        self,
        program: Program,
        name: str,
        *,
        platform: Platform,
        endpoint: str,
        request: SummaryRequest,
        instances: JobInstances,
        code: str,
    ) -> None:
        self.name, self._program, self._platform, self._request, self._code = name, program, platform, request, code
        self._instances = instances
        self.prefix = f"{drift_check_store.PREFIX}/{endpoint}/jobs/{self.name}"
        self._seconds = instances.max_runtime_minutes * 60 + _START_SECONDS

    def complete(self) -> bool:
        """Returns when the job has completed; starts it if there is none. False: it ended earlier, without a result.

        Raises:
            CloudError: S3 or SageMaker refuses, or the job did not complete.
        """
        status = processing_job.status(self.name, troubled=note)
        if status is None:
            objects, instances = len(self._request.objects), self._request.instances
            note(f"counting {objects:,} objects on {instances} instances: processing job {self.name}")
            processing_job.run(self._to_request(), timeout_seconds=self._seconds, troubled=note)
            return True
        if status == "InProgress":
            note(f"an earlier check has started the same count: waiting for the processing job {self.name}")
            processing_job.wait(self.name, timeout_seconds=self._seconds, troubled=note)
            return True
        if status == "Completed" and self._has_results():
            note(f"an earlier check has made the same count: reading the result of the processing job {self.name}")
            return True
        return False

    def _has_results(self) -> bool:
        """Whether what the job wrote is all there: it may have expired, or be incomplete."""
        bucket, below = self._request.bucket, f"{self.prefix}/summary/"
        if not all(
            below + name in s3_objects.keys(bucket, below + name) for name in self._program.results(self._request)
        ):
            return False
        problem = self._program.problem(Counted(name=self.name, request=self._request, prefix=below))
        if problem is not None:
            note(f"the result of the processing job {self.name} cannot be used: {problem}")
        return problem is None

    def _to_request(self) -> dict[str, Any]:
        """Writes the job's inputs beside its code, and returns the request.

        Raises:
            CloudError: S3 refuses.
        """
        code = self._code
        text = self._request.to_json().encode()
        s3_objects.write(self._uri(f"request/{REQUEST}"), text, "application/json")
        inputs = [
            _input("code", code),
            _input("request", self._uri("request/")),
            self._listed("capture", [item.key for item in self._request.objects]),
        ]
        if self._request.labels:
            inputs.append(self._listed("labels", self._request.labels))
        key = {"KmsKeyId": self._platform.key_arn} if self._platform.key_arn else {}
        summary = {"S3Uri": self._uri("summary"), "LocalPath": f"{_PROCESSING}/summary", "S3UploadMode": "EndOfJob"}
        instances = self._instances
        return {
            "ProcessingJobName": self.name,
            "AppSpecification": {
                "ImageUri": self._program.image(self._platform.region),
                "ContainerEntrypoint": list(VERIFIED),
                "ContainerArguments": [
                    *(f"{_PROCESSING}/code", code, _MESSAGE, *self._program.arguments, "--base-dir", _PROCESSING),
                    *("--request-sha256", hashlib.sha256(text).hexdigest()),
                ],
            },
            "Environment": dict(JOB_ENVIRONMENT),
            "ProcessingInputs": inputs,
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "summary", "S3Output": summary}]} | key,
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": instances.instance_type, "InstanceCount": self._request.instances}
                | volume(instances.instance_type, instances.volume_gb, self._platform.key_arn)
            },
            # Each installs what its image lacks: no network isolation.
            "NetworkConfig": {"EnableNetworkIsolation": False, **self._program.network},
            "StoppingCondition": {"MaxRuntimeInSeconds": instances.max_runtime_minutes * 60},
            "RoleArn": self._platform.counting_role_arn,
        }

    def _listed(self, name: str, keys: Sequence[str]) -> dict[str, Any]:
        """Writes the manifest of an input of these objects, and returns the input."""
        bucket = self._request.bucket
        uri = self._uri(f"inputs/{name}.manifest")
        manifest = json.dumps([{"prefix": f"s3://{bucket}/"}, *keys])
        s3_objects.write(uri, manifest.encode(), "application/json")
        return _input(name, uri, listed=True, sharded=self._program.sharded)

    def _uri(self, name: str) -> str:
        return f"s3://{self._request.bucket}/{self.prefix}/{name}"


def _completed(jobs: Iterator[_Job]) -> _Job:
    for job in jobs:
        if job.complete():
            return job
    raise CloudError(f"{_MOST_JOBS} processing jobs of the same request have no result, the last one is {job.name}")


def _names(endpoint: str, request: SummaryRequest, code: str) -> Iterator[str]:
    """The names of the jobs of a request, each for when those before it are of no use.

    They have at most 63 characters, as SageMaker limits them: a stack's name has at most 30.
    """
    # A day's labels mature by age, so an earlier job may have other labels, until all of them are old enough.
    mature = request.end + timedelta(days=request.min_age_days)
    day = min(request.as_of, mature).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    read = set(request.labels)
    etags = [item.etag for item in store.listed(request.bucket) if item.key in read]
    counted = json.dumps([endpoint, code, replace(request, as_of=day).to_json(), etags])
    digest = hashlib.sha256(counted.encode()).hexdigest()
    first = f"{platform_stack.stack_name()}-drift-{request.start.astimezone(UTC):%Y%m%d%H}-{digest[:12]}"
    yield first
    for number in range(2, _MOST_JOBS + 1):
        yield f"{first}-{number}"


def _input(name: str, uri: str, *, listed: bool = False, sharded: bool = False) -> dict[str, Any]:
    where = {
        "S3Uri": uri,
        "LocalPath": f"{_PROCESSING}/{name}",
        "S3DataType": "ManifestFile" if listed else "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "ShardedByS3Key" if sharded else "FullyReplicated",
    }
    return {"InputName": name, "S3Input": where}


def _check_volume(request: SummaryRequest, instances: JobInstances, *, sharded: bool) -> None:
    sizes = sorted((item.bytes for item in request.objects), reverse=True)
    if sharded:  # SageMaker divides by number and not by size: at worst, one instance has the largest objects
        sizes = sizes[: -(-len(sizes) // request.instances)]
    size = sum(sizes) / 2**30
    if size > instances.volume_gb * _FILLED:
        raise ConfigError(
            f"{config.DRIFT}: compute.volume_gb must be at least {size / _FILLED:.0f} for this window (got "
            f"{instances.volume_gb}): an instance downloads "
            + (f"up to {size:.0f} GB of the captured objects" if sharded else f"all captured objects, {size:.0f} GB")
        )
