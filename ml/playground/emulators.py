"""Runs the AWS and GitHub emulators in one process, on loopback, with GitHub as an identity provider of AWS.

GitHub's jobs get AWS_ENDPOINT_URL but no keys: they obtain credentials with their OIDC token, whose issuer the AWS
emulator trusts. This module only starts, connects and stops the emulators.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from local_aws.errors import EmulatorError
from local_aws.processes.child_processes import INSTANCE_VARIABLE
from local_aws.server import CALLER, REGION, LocalAws
from local_github.actions.cron_scheduler import Scheduler
from local_github.actions.oidc_issuer import ISSUER
from local_github.actions.service import Actions
from local_github.client_environment import for_clients
from local_github.server import LocalGitHub

from ml import clock
from ml.errors import CloudError
from ml.playground import environment_link
from ml.playground.simulated_clock import SimulatedClock

USER = "local-user"


class Emulators:
    """AWS (`aws`), GitHub (`github`) and its workflows (`actions`).

    Args:
        folder: where they keep all their files.
        port, github_port: 0 takes free ones.
        region: the region of AWS, which `environment()` names.
        variables, tool_cache: as `Actions` takes them.
        schedules: whether workflows start by their `schedule:`; otherwise only `Actions.fire_schedule` starts them.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        github_port: int = 0,
        region: str = REGION,
        caller_arn: str = CALLER,
        images: Path | None = None,
        variables: Mapping[str, str] | None = None,
        tool_cache: Path | None = None,
        schedules: bool = False,
    ) -> None:
        self.folder = folder.resolve()
        self._variables, self._tool_cache = variables, tool_cache
        self.aws = LocalAws(
            self.folder, port=port, region=region, caller_arn=caller_arn, images=images, clock=SimulatedClock()
        )
        self.github = LocalGitHub(self.folder / "github", port=github_port, user=USER, clock=clock.now)
        self.actions: Actions
        self._schedules = schedules
        self._scheduler: Scheduler | None = None

    def start(self) -> Self:
        """Starts both servers. Raises CloudError if the AWS emulator cannot start."""
        try:
            self.aws.start()
        except EmulatorError as error:
            raise CloudError(str(error)) from error
        try:
            self.github.start()
            self.actions = Actions(
                self.folder / "actions",
                self.github.backend,
                variables=self._variables,
                environment=self._job_environment,
                tool_cache=self._tool_cache,
            )
            self.github.attach(self.actions)
            environment_link.link_environment(self.actions.tool_cache)
            self.aws.federation.trust_issuer(ISSUER, self.actions.issuer.jwks)
            self.token = self.github.token(USER)
            if self._schedules:
                self._scheduler = Scheduler(self.actions.fire_due_schedules, clock.now)
                self._scheduler.start()
        except BaseException:
            self.github.stop()
            self.aws.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops workflow runs, then both servers."""
        if self._scheduler is not None:
            self._scheduler.stop()
        self.actions.close()
        self.github.stop()
        self.aws.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """The variables that direct AWS SDKs and GitHub clients to the emulators."""
        return {
            **self.aws.environment(),
            **for_clients(self.github.url, self.token),
        }

    def _job_environment(self) -> dict[str, str]:
        """The variables of every job; Actions removes the static AWS keys."""
        now = {name: os.environ[name] for name in ("FRAUDOPS_NOW",) if os.environ.get(name)}
        return {**self.aws.environment(), INSTANCE_VARIABLE: str(self.folder), **now}
