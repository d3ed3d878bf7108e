"""The AWS emulator: AWS at one URL on loopback, served by this process.

moto's backends are global to a process, so only one emulator can run in a process at a time, and stopping it discards
its whole state. Run several side by side as processes: `local-aws up --folder …` starts one in the background.
"""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local_aws import moto_patches, protocols, quotas
from local_aws.authorization import deployed_policies
from local_aws.authorization.principals import Principal, Principals
from local_aws.authorization.service import Authorization
from local_aws.clock import Clock
from local_aws.control_api import ControlApi
from local_aws.dispatcher import Dispatcher
from local_aws.errors import EmulatorError
from local_aws.faults import FaultPlan
from local_aws.processes.child_processes import INSTANCE_VARIABLE
from local_aws.sagemaker.hosting.instance import ServerCommand, model_server_command
from local_aws.service_rules import account_state
from local_aws.services import Services, Settings
from local_aws.sts.caller_identity import ACCESS_KEY, SECRET_KEY
from local_aws.sts.web_identity import WebIdentityFederation
from local_aws.validation.request_validator import RequestValidator, check_rules

ACCOUNT = "123456789012"  # the account of every caller in moto
REGION = "us-east-1"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/local-aws/user"

_running = threading.Lock()


class LocalAws:
    """AWS on loopback: a context manager, or `start()` and `stop()`. `environment()` points clients to it.

    Args:
        folder: takes logs, models and jobs; it may exist.
        port: 0 takes a free one.
        caller_arn: the administrator of the account, to whom the keys of `environment()` belong.
        double_every: delivers every n-th SageMaker event twice; 0 switches that off.
        server_command: the command that serves a model instead of the managed container.
        health_timeout_seconds: limit for the first 200 from /ping, unless the variant sets one.
        flush_seconds: how long captured traffic is buffered before it is written to S3.
        retry_seconds: the waits between the attempts of an asynchronous Lambda invocation.
        images: a file that maps images to local commands, see `sagemaker.pipelines.jobs.image_commands`.
        clock: the time of events, captured records and Lambda handlers.
        faults: which calls fail, and how; none at first.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        region: str = REGION,
        caller_arn: str = CALLER,
        double_every: int = 3,
        server_command: ServerCommand = model_server_command,
        health_timeout_seconds: float = 240.0,
        flush_seconds: float = 1.0,
        retry_seconds: tuple[float, ...] = (1.0, 3.0),
        images: Path | None = None,
        clock: Clock | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        self.folder, self.region, self.account = folder.resolve(), region, ACCOUNT
        self.clock = clock or Clock()
        self.quotas = quotas.current
        self.faults = faults or FaultPlan()
        self._port = port
        self._settings = Settings(
            folder=self.folder,
            account=self.account,
            region=region,
            caller_arn=caller_arn,
            double_every=double_every,
            server_command=server_command,
            health_timeout_seconds=health_timeout_seconds,
            flush_seconds=flush_seconds,
            retry_seconds=retry_seconds,
            images=images,
            clock=self.clock,
            faults=self.faults,
        )
        self._principals = Principals(account=self.account, caller_arn=caller_arn, access_key=ACCESS_KEY)
        self.federation = WebIdentityFederation(account=self.account, region=region, principals=self._principals)
        self._server: Any = None
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._clients_lock = threading.Lock()

    def __enter__(self) -> Self:
        """Starts the emulator."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the emulator."""
        self.stop()

    @property
    def url(self) -> str:
        """The value for AWS_ENDPOINT_URL; EmulatorError before `start()`."""
        if self._server is None:
            raise EmulatorError("the AWS emulator is not running: call start() first")
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self) -> dict[str, str]:
        """The environment variables that point boto3, and every library that uses it, to this emulator."""
        return client_environment(self.url, self.region)

    def client(self, service: str) -> Any:
        """A boto3 client of this emulator as the administrator, independent of the caller's environment."""
        return self._client(service, ACCESS_KEY)

    def _internal_client(self, service: str) -> Any:
        """A client for the emulator's own work, which no policy restricts."""
        return self._client(service, self._authorization.internal_key)

    def _client(self, service: str, access_key: str) -> Any:
        with self._clients_lock:
            if (service, access_key) not in self._clients:
                import boto3.session
                from botocore.config import Config

                if self._session is None:  # one for all clients: each session parses botocore's data again
                    self._session = boto3.session.Session(region_name=self.region)
                self._clients[service, access_key] = self._session.client(
                    service,
                    endpoint_url=self.url,
                    aws_access_key_id=access_key,
                    aws_secret_access_key=SECRET_KEY,
                    config=Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 3}),
                )
            return self._clients[service, access_key]

    def start(self) -> None:
        """Starts to serve; EmulatorError if another emulator runs in this process or the port is taken."""
        if not _running.acquire(blocking=False):
            raise EmulatorError(
                "an AWS emulator runs in this process already; stop it first, or start another with `local-aws up`"
            )
        try:
            self._start()
        except BaseException:
            _running.release()
            raise

    def _start(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        from local_aws import http_server
        from local_aws.fault_layer import FaultLayer

        server, logs = http_server.listen(self._port), self._settings.logs
        logs.mkdir(parents=True, exist_ok=True)
        moto_patches.install()
        _reset_moto()
        self.quotas.reset()
        account_state.region, account_state.clock = self.region, self.clock
        self._authorization = Authorization(
            self._principals,
            account=self.account,
            region=self.region,
            log=logs / "decisions.jsonl",
            clock=self.clock,
            environment=lambda: {**self.environment(), INSTANCE_VARIABLE: str(self.folder)},
        )
        self.federation.log = self._authorization.log
        self._services = Services(
            self._settings,
            authorization=self._authorization,
            principals=self._principals,
            federation=self.federation,
            client=self._internal_client,
        )
        self._dispatcher = Dispatcher(
            DomainDispatcherApplication(create_backend_app),
            paths=[*self._services.paths(), *self._control_api().paths()],
            operations=self._services.operations(),
            prepare={"cloudformation": moto_patches.install_stacks},  # importing it takes longer than starting
            admit=self._admit,
            log=logs / "calls.jsonl",
        )
        self._server = server
        self._fault_layer = FaultLayer(
            RequestValidator(self._dispatcher), self.faults, internal_key=lambda: self._authorization.internal_key
        )
        http_server.serve(server, self._fault_layer)
        self._dispatcher.add(self._services.start())

    def stop(self) -> None:
        """Ends every process and discards all state; does nothing if the emulator does not run."""
        if self._server is None:
            return
        server = self._server
        self._services.close()
        server.shutdown()
        server.server_close()
        self._server = None
        self._dispatcher.close()
        self._authorization.log.close()
        deployed_policies.save(
            self._principals, self.folder, account=self.account, region=self.region, stacks=self._stacks().values()
        )
        self._clients.clear()
        _reset_moto()
        _running.release()

    def flush(self, timeout_seconds: float = 60.0) -> bool:
        """Writes captured traffic to S3 and waits for events and their deliveries; False after the timeout."""
        idle = self._services.flush(timeout_seconds)
        self._authorization.log.flush()
        return idle

    def settle(self, timeout_seconds: float = 600.0) -> None:
        """Waits until no execution, change of an endpoint, event or delivery is under way.

        Raises:
            TimeoutError: something still is, after `timeout_seconds`.
        """
        self._services.settle(timeout_seconds)

    def forget_runs(self, *, cached_step: str = "") -> None:
        """Forgets executions, request tokens, numbers of deleted packages, and the answers that stale ones repeat.

        Cached results of steps stay, except those of steps called `cached_step`, whose jobs run again.
        """
        self._services.forget_runs(cached_step)
        self._fault_layer.forget()

    def _admit(self, environ: dict[str, Any], request: protocols.Request, service: str) -> Principal | None:
        """The caller of a request that is authorized and that no service rule refuses, in AWS's order."""
        caller = self._authorization.gate.admit(environ, request, service)
        check_rules(environ, request)
        return caller

    def _control_api(self) -> ControlApi:
        return ControlApi(
            description={"folder": str(self.folder), "region": self.region, "account": self.account},
            flush=self.flush,
            stacks=self._stacks,
            clock=self.clock,
            quotas=self.quotas,
            faults=self.faults,
        )

    def _stacks(self) -> dict[str, Any]:
        """moto's records of the stacks that exist, by id."""
        if not moto_patches.stacks_installed():  # importing moto's CloudFormation takes a second
            return {}
        from moto.cloudformation.models import cloudformation_backends

        stacks: dict[str, Any] = cloudformation_backends[self.account][self.region].stacks
        return stacks


def client_environment(url: str, region: str) -> dict[str, str]:
    """The environment variables that point boto3 to the emulator at `url`."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _reset_moto() -> None:
    """Discards moto's state."""
    from moto.moto_api._internal.models import moto_api_backend

    moto_api_backend.reset()
