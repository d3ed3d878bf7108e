"""Runs the instances of a processing job at once: each has its own /opt/ml, its share of the inputs, and its outputs.

An instance cannot reach another one. Under ShardedByS3Key the objects are divided in the order of their keys, the first
to the first instance, the second to the second, and so on; AWS documents only that each gets about the same number, and
none where there are fewer objects than instances. After the last instance has ended, each uploads its outputs, the
first instance first: of two files with one key the later one stays. AWS documents no order.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from local_aws.sagemaker.pipelines import names
from local_aws.sagemaker.pipelines.jobs.isolation import JobSpace
from local_aws.sagemaker.pipelines.jobs.runner import MESSAGE_BYTES, JobRequest, JobRunner, read_text
from local_aws.sagemaker.pipelines.jobs.storage import Item

_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"
SHARDED = "ShardedByS3Key"
"""The S3DataDistributionType of inputs that are divided."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """The objects of an input, and where they are stored."""

    path: str
    items: list[Item]
    sharded: bool = False

    def share(self, place: int, instances: int) -> list[Item]:
        """What the instance at `place` (from 0) of so many gets."""
        if not self.sharded:
            return self.items
        return sorted(self.items, key=lambda item: (item.bucket, item.key))[place::instances]


@dataclass(frozen=True, kw_only=True)
class ProcessingInstances:
    """The instances of one job. `hosts` are the names that resourceconfig.json has.

    Args:
        processes: how many of the hosts run the command; Spark's jobs have one process, which starts the workers.
        outputs: the S3Output of each output.
        words: the command, and `variables` what is added to its environment.
        config: processingjobconfig.json.
    """

    runner: JobRunner
    request: JobRequest
    hosts: Sequence[str]
    processes: int
    inputs: Sequence[Input]
    outputs: Sequence[Mapping[str, Any]]
    words: Sequence[str]
    variables: Mapping[str, str]
    config: Mapping[str, Any]
    _failures: list[tuple[JobSpace, Exception]] = field(default_factory=list)

    def run(self) -> None:
        """Runs the instances to their end. If one fails, the others are stopped.

        Raises:
            JobFailed, JobStopped, ClientFault, JobInternalError: the job did not complete; the first failure.
        """
        request = replace(self.request, stop=_FirstOf(self.request.stop))
        running = range(self.processes)
        with ThreadPoolExecutor(len(running), thread_name_prefix=f"instances-{request.name}") as pool:
            spaces = list(pool.map(lambda place: self._prepared(request, place), running))
            request.described["ProcessingStartTime"] = names.now()
            list(pool.map(lambda place: self._run(request, spaces[place], self.hosts[place]), running))
        # An instance that was stopped because of another's failure is behind it in the list.
        ended = [space for space, _ in self._failures] or spaces
        messages = [read_text(space.ml / "output/message", MESSAGE_BYTES) for space in ended]
        if any(messages):
            request.described["ExitMessage"] = next(filter(None, messages))
        if self._failures:
            raise self._failures[0][1]
        for space in spaces:
            self._upload(space)

    def _prepared(self, request: JobRequest, place: int) -> JobSpace:
        configs = {
            "config/processingjobconfig.json": self.config,
            "config/resourceconfig.json": {"current_host": self.hosts[place], "hosts": [*self.hosts]},
        }
        inputs = [(each.path, each.share(place, self.processes)) for each in self.inputs]
        space = self.runner.prepare(request, configs, inputs, host=self.hosts[place])
        for target in self.outputs:
            space.host(target["LocalPath"]).mkdir(parents=True, exist_ok=True)
        return space

    def _run(self, request: JobRequest, space: JobSpace, host: str) -> None:
        try:
            self.runner.run(request, space, self.words, self.variables, _LOG_GROUP, host=host)
        except Exception as error:  # raised by `run`, when the others have ended
            self._failures.append((space, error))
            request.stop.set()

    def _upload(self, space: JobSpace) -> None:
        storage = self.runner.storage(self.request.role, self.request.keys.get("output", ""))
        for target in self.outputs:
            storage.send(space.host(target["LocalPath"]), target["S3Uri"])


class _FirstOf(threading.Event):
    """An event that is also set while another one is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()
