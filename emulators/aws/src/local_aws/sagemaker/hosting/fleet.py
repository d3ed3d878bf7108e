"""The servers of one endpoint configuration, brought up together and ended when nobody uses them any more.

Knows no endpoints: `local_aws.sagemaker.hosting.endpoints` decides which fleet serves and what happens when one fails.
"""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local_aws.child_processes import Processes
from local_aws.sagemaker.hosting.endpoint_config import Resolved
from local_aws.sagemaker.hosting.instance import Command, Host, Unhealthy, Variant, extract

_DRAIN_SECONDS = 65  # longer than an invocation may take


class Fleet:
    """The hosts of one resolved configuration, and a count of the requests that they are answering."""

    def __init__(self, resolved: Resolved) -> None:
        self.resolved = resolved
        self.hosts: dict[str, Host] = {}
        self.broken = ""
        """Why one of its hosts gave up before the fleet served; '' while none has."""
        self._busy = 0
        self._closed = False
        self._idle = threading.Condition()

    def add(self, host: Host) -> None:
        """Takes `host` in, and starts it unless the fleet has been closed meanwhile."""
        with self._idle:
            if self._closed:
                raise Unhealthy("the local cloud is stopping")
            self.hosts[host.variant.name] = host
        host.start()

    def enter(self) -> None:
        """Holds the fleet for one request."""
        with self._idle:
            self._busy += 1

    def leave(self) -> None:
        """Lets go of the fleet."""
        with self._idle:
            self._busy -= 1
            self._idle.notify_all()

    def retire(self) -> None:
        """Waits for the requests in flight, then ends the servers."""
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0, _DRAIN_SECONDS)
        self.close()

    def close(self) -> None:
        """Ends the servers at once, those that are starting too."""
        with self._idle:
            self._closed = True
        for host in list(self.hosts.values()):
            host.close()


class Builder:
    """Fills fleets with healthy hosts."""

    def __init__(
        self,
        *,
        client: Callable[[str], Any],
        folder: Path,
        processes: Processes,
        environment: Callable[[], Mapping[str, str]],
        command: Command,
        health_timeout_seconds: float,
    ) -> None:
        self._client, self._folder, self._processes = client, folder, processes
        self._environment, self._command, self._health_timeout = environment, command, health_timeout_seconds
        self._numbers = itertools.count(1)

    def fill(self, fleet: Fleet, endpoint: str, gave_up: Callable[[str], None]) -> None:
        """Starts a host per variant and waits until all are healthy; Unhealthy, with the reason, where one is not."""
        for variant in fleet.resolved.variants:
            folder = self._folder / endpoint / f"{next(self._numbers):04d}-{variant.name}"
            shutil.rmtree(folder, ignore_errors=True)  # of a cloud that ran here before
            folder.mkdir(parents=True)
            extract(self._download(variant), folder / "model")
            host = Host(
                variant,
                processes=self._processes,
                folder=folder,
                environment=self._environment(),
                command=self._command,
                health_timeout_seconds=self._health_timeout,
                gave_up=gave_up,
            )
            fleet.add(host)

    def _download(self, variant: Variant) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        url = variant.model_data_url
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            data: bytes = self._client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        except (BotoCoreError, ClientError) as error:
            raise Unhealthy(
                f'Failed to download model data for variant {variant.name} from URL: "{url}". Please ensure that there '
                "is an object located at the URL and that the role passed to CreateModel has permissions to download "
                f"the object. ({error})"
            ) from error
        return data
