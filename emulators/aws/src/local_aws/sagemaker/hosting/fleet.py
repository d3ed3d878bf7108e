"""Manages the instances of one endpoint configuration: starts them together, ends them when no request uses them.

Knows no endpoints: `local_aws.sagemaker.hosting.endpoints` decides which fleet serves and what follows a failure.
"""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from local_aws.errors import AwsError
from local_aws.faults import FaultPlan
from local_aws.processes.child_processes import ChildProcesses
from local_aws.sagemaker.hosting.endpoint_config import ResolvedConfig
from local_aws.sagemaker.hosting.instance import Instance, InstanceUnhealthy, ServerCommand, Variant, extract
from local_aws.sagemaker.service_roles import ServiceRoles

_DRAIN_SECONDS = 65  # longer than an invocation may take
_UNHEALTHY = "The primary container did not pass the ping health check. Please check CloudWatch logs for this endpoint."
"""The reason of a fleet that a fault rule keeps unhealthy."""


class Fleet:
    """The instances of one resolved configuration, and the number of requests in flight."""

    def __init__(self, resolved: ResolvedConfig) -> None:
        self.resolved = resolved
        self.instances: dict[str, Instance] = {}
        self.failure = ""
        """Why an instance failed before the fleet served; '' if none did."""
        self._in_flight = 0
        self._closed = False
        self._idle = threading.Condition()

    def add(self, instance: Instance) -> None:
        """Adds `instance` and starts it; InstanceUnhealthy if the fleet has been closed meanwhile."""
        with self._idle:
            if self._closed:
                raise InstanceUnhealthy("the AWS emulator is stopping")
            self.instances[instance.variant.name] = instance
        instance.start()

    def acquire(self) -> None:
        """Keeps the fleet running for one request."""
        with self._idle:
            self._in_flight += 1

    def release(self) -> None:
        """Ends one request."""
        with self._idle:
            self._in_flight -= 1
            self._idle.notify_all()

    def retire(self) -> None:
        """Waits for the requests in flight, then ends the servers."""
        with self._idle:
            self._idle.wait_for(lambda: self._in_flight == 0, _DRAIN_SECONDS)
        self.close()

    def close(self) -> None:
        """Ends the servers at once, including those that are starting."""
        with self._idle:
            self._closed = True
        for instance in list(self.instances.values()):
            instance.close()


class FleetBuilder:
    """Fills fleets with healthy instances, which read their models with the roles of these."""

    def __init__(
        self,
        *,
        roles: ServiceRoles,
        folder: Path,
        processes: ChildProcesses,
        command: ServerCommand,
        health_timeout_seconds: float,
        dockerfile: Callable[[str], tuple[Path, Path] | None],
        faults: FaultPlan,
    ) -> None:
        """`dockerfile` gives an image's Dockerfile and build context; None leaves it to `command`."""
        self._dockerfile, self._faults = dockerfile, faults
        self._roles, self._folder, self._processes = roles, folder, processes
        self._command, self._health_timeout = command, health_timeout_seconds
        self._numbers = itertools.count(1)

    def fill(self, fleet: Fleet, endpoint: str, on_failure: Callable[[str], None]) -> None:
        """Starts an instance per variant and waits until all are healthy; InstanceUnhealthy with the reason if not."""
        if self._faults.take("endpoint", endpoint):
            raise InstanceUnhealthy(_UNHEALTHY)
        for variant in fleet.resolved.variants:
            folder = self._folder / endpoint / f"{next(self._numbers):04d}-{variant.name}"
            shutil.rmtree(folder, ignore_errors=True)  # left by an earlier emulator in this folder
            folder.mkdir(parents=True)
            extract(self._download(variant), folder / "model")
            instance = Instance(
                variant,
                processes=self._processes,
                folder=folder,
                environment=self._roles.environment(variant.role_arn),
                command=self._command,
                health_timeout_seconds=self._health_timeout,
                on_failure=on_failure,
                image=self._dockerfile(variant.image),
            )
            fleet.add(instance)

    def _download(self, variant: Variant) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        url = variant.model_data_url
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            data: bytes = self._roles.client(variant.role_arn, "s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        except (AwsError, BotoCoreError, ClientError) as error:
            raise InstanceUnhealthy(
                f'Failed to download model data for variant {variant.name} from URL: "{url}". Please ensure that there '
                "is an object located at the URL and that the role passed to CreateModel has permissions to download "
                f"the object. ({error})"
            ) from error
        return data
