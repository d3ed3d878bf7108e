"""The AWS emulator: AWS at one URL on loopback, served by this process.

moto's backends are global to a process, so only one emulator can run in a process at a time, and stopping it discards
its whole state. Run several side by side as processes: `local-aws up --folder …` starts one in the background.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local_aws import moto_patches, quotas
from local_aws.authorization import deployed_policies, managed_policies
from local_aws.authorization.principals import Principals
from local_aws.authorization.service import Authorization
from local_aws.authorization.simulation import PolicySimulator
from local_aws.awslambda.functions import Functions
from local_aws.clock import Clock
from local_aws.cloudformation import resource_types, stack_authorization, stack_drift
from local_aws.cloudformation.stack_authorization import StackAuthorizer
from local_aws.dispatcher import Dispatcher, PathHandler
from local_aws.errors import AwsError, EmulatorError, OperationHandler
from local_aws.eventbridge import EventBus
from local_aws.processes.child_processes import INSTANCE_VARIABLE, ChildProcesses
from local_aws.protocols import Response
from local_aws.sagemaker.hosting.data_capture import DataCapture
from local_aws.sagemaker.hosting.endpoints import Endpoints
from local_aws.sagemaker.hosting.fleet import FleetBuilder
from local_aws.sagemaker.hosting.instance import ServerCommand, model_server_command
from local_aws.sagemaker.hosting.invoke_endpoint import EndpointInvoker
from local_aws.sagemaker.registry import Registry
from local_aws.service_quotas import ServiceQuotas
from local_aws.service_rules import account_state
from local_aws.sts import assume_role
from local_aws.sts.caller_identity import ACCESS_KEY, SECRET_KEY, CallerIdentity
from local_aws.sts.web_identity import WebIdentityFederation
from local_aws.validation.request_validator import RequestValidator

ACCOUNT = "123456789012"  # the account of every caller in moto
REGION = "us-east-1"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/local-aws/user"
CONTROL_PATH = "/local-aws"
_POLL_SECONDS = 0.05  # how often the server checks for `stop`

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
        health_timeout_seconds: float = 60.0,
        flush_seconds: float = 1.0,
        retry_seconds: tuple[float, ...] = (1.0, 3.0),
        images: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.folder, self.region, self.account = folder.resolve(), region, ACCOUNT
        self._port, self._caller_arn, self._double_every = port, caller_arn, double_every
        self._server_command, self._health_timeout = server_command, health_timeout_seconds
        self._flush_seconds, self._retry_seconds, self._images = flush_seconds, retry_seconds, images
        self.clock = clock or Clock()
        self.quotas = quotas.current
        self._principals = Principals(account=self.account, caller_arn=caller_arn, access_key=ACCESS_KEY)
        self.federation = WebIdentityFederation(account=self.account, region=region, principals=self._principals)
        self._server: Any = None
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

                session = boto3.session.Session(access_key, SECRET_KEY, region_name=self.region)
                config = Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 3})
                self._clients[service, access_key] = session.client(service, endpoint_url=self.url, config=config)
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

        from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
        from local_aws.sagemaker.pipelines.operations import PipelineService

        server = _listen(self._port)
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        moto_patches.install()
        _reset_moto()
        self.quotas.reset()
        account_state.region = self.region
        self._processes = ChildProcesses(self.folder)
        authorization = self._authorization = Authorization(
            self._principals,
            account=self.account,
            region=self.region,
            log=logs / "decisions.jsonl",
            clock=self.clock,
            environment=lambda: {**self.environment(), INSTANCE_VARIABLE: str(self.folder)},
        )
        self.federation.log = authorization.log
        sagemaker_roles = authorization.roles("sagemaker.amazonaws.com", "SageMaker")
        self._functions = Functions(
            client=self._internal_client,
            folder=self.folder / "functions",
            processes=self._processes,
            region=self.region,
            account=self.account,
            roles=authorization.roles("lambda.amazonaws.com", "lambda"),
            clock=self.clock,
            retry_seconds=self._retry_seconds,
        )
        self._events = EventBus(
            client=self._internal_client,
            functions=self._functions,
            authorizer=authorization.authorizer,
            log=logs / "events.jsonl",
            region=self.region,
            account=self.account,
            clock=self.clock,
            double_every=self._double_every,
        )
        self._capture = DataCapture(sagemaker_roles.client, self.clock, flush_seconds=self._flush_seconds)
        builder = FleetBuilder(
            roles=sagemaker_roles,
            folder=self.folder / "endpoints",
            processes=self._processes,
            command=self._server_command,
            health_timeout_seconds=self._health_timeout,
        )
        self._endpoints = Endpoints(
            backend=self._backend, builder=builder, capture=self._capture, emit=self._events.emit
        )
        self._dispatcher = Dispatcher(
            DomainDispatcherApplication(create_backend_app),
            paths=self._path_handlers(),
            operations=self._operation_handlers(),
            prepare={"cloudformation": moto_patches.install_stacks},  # importing it takes longer than starting
            admit=authorization.gate.admit,
            log=logs / "calls.jsonl",
        )
        self._server = server
        _serve(server, RequestValidator(self._dispatcher))
        self._pipelines = PipelineService(
            client=self._internal_client,
            roles=sagemaker_roles,
            folder=self.folder / "executions",
            emit=self._events.emit,
            region=self.region,
            account=self.account,
            images=ImageMap.load(self._images),
        )
        self._dispatcher.add({("sagemaker", name): handler for name, handler in self._pipelines.operations.items()})
        stack_authorization.authorizer = StackAuthorizer(
            authorization.authorizer,
            authorization.roles("cloudformation.amazonaws.com", "AWSCloudFormation"),
            account=self.account,
            region=self.region,
        )
        moto_patches.run_function = self._run_function
        resource_types.create_endpoint = self._endpoints.create

    def stop(self) -> None:
        """Ends every process and discards all state; does nothing if the emulator does not run."""
        if self._server is None:
            return
        server = self._server
        self._pipelines.close()
        self._endpoints.close()
        self._capture.close()
        self._events.close()
        self._functions.close()
        self._processes.close()
        server.shutdown()
        server.server_close()
        self._server = None
        self._dispatcher.close()
        self._authorization.log.close()
        deployed_policies.save(
            self._principals, self.folder, account=self.account, region=self.region, stacks=self._stacks()
        )
        self._clients.clear()
        moto_patches.run_function = resource_types.create_endpoint = None
        stack_authorization.authorizer = None
        _reset_moto()
        _running.release()

    def flush(self, timeout_seconds: float = 60.0) -> bool:
        """Writes captured traffic to S3 and waits for events and their deliveries; False after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        settled = self._events.drain(timeout_seconds)
        while not (idle := self._events.idle) and settled and time.monotonic() < deadline:
            settled = self._events.drain(max(0.0, deadline - time.monotonic()))
        self._capture.flush()
        self._authorization.log.flush()
        return idle  # as it was before the capture: a later event belongs to what happened after the call

    def _backend(self) -> Any:
        from moto.sagemaker.models import sagemaker_backends

        return sagemaker_backends[self.account][self.region]

    def _run_function(self, function: Any, event: Any) -> tuple[str, bool, str]:
        result = self._functions.invoke(function, event, wait=True)
        payload = result.payload if result.error is None else json.dumps(result.error)
        return payload or "null", result.error is not None, "\n".join(result.lines)

    def _operation_handlers(self) -> dict[tuple[str, str], OperationHandler]:
        identity = CallerIdentity(account=self.account, caller_arn=self._caller_arn)
        simulator = PolicySimulator(account=self.account, principals=self._principals)
        registry = Registry(backend=self._backend, emit=self._events.emit)
        service_quotas = ServiceQuotas(account=self.account, region=self.region)
        sagemaker: Mapping[str, OperationHandler] = {
            "CreateEndpoint": self._endpoints.create,
            "UpdateEndpoint": self._endpoints.update,
            "DescribeEndpoint": self._endpoints.describe,
            "DeleteEndpoint": self._endpoints.delete,
            "CreateModelPackage": registry.create_model_package,
            "UpdateModelPackage": registry.update_model_package,
            "DeleteModelPackage": registry.delete_model_package,
            "DeleteModelPackageGroup": registry.delete_model_package_group,
            "CreateModel": registry.create_model,
            "CreateEndpointConfig": registry.refuse_existing_configuration,
            "CreateModelPackageGroup": registry.refuse_existing_group,
        }
        return {
            **{("sagemaker", name): handler for name, handler in sagemaker.items()},
            ("sts", "GetCallerIdentity"): identity.caller_identity,
            ("sts", "AssumeRole"): assume_role.refuse_unsupported,
            ("sts", "AssumeRoleWithWebIdentity"): self.federation.assume_role_with_web_identity,
            ("iam", "SimulateCustomPolicy"): simulator.simulate_custom_policy,
            ("iam", "SimulatePrincipalPolicy"): simulator.simulate_principal_policy,
            ("events", "PutEvents"): self._events.put_events,
            ("servicequotas", "ListServiceQuotas"): service_quotas.list_service_quotas,
            ("servicequotas", "ListAWSDefaultServiceQuotas"): service_quotas.list_default_quotas,
            **{("iam", name): partial(managed_policies.handle, self.account) for name in managed_policies.OPERATIONS},
        }

    def _path_handlers(self) -> list[tuple[str, str, str, PathHandler]]:
        invoker = EndpointInvoker(
            acquire=self._endpoints.acquire, capture=self._capture, region=self.region, account=self.account
        )
        endpoint = r"^/endpoints/(?P<name>[^/]+)/invocations$"
        function = r"^/2015-03-31/functions/(?P<name>[^/]+)/invocations$"
        return [
            ("POST", endpoint, "sagemaker-runtime:InvokeEndpoint", invoker.call),
            ("POST", function, "lambda:Invoke", self._functions.handle_invoke),
            ("GET", r"^/2016-08-19/account-settings/?$", "lambda:GetAccountSettings", self._functions.account_settings),
            ("GET", f"^{CONTROL_PATH}/health$", "local:Health", self._health),
            ("POST", f"^{CONTROL_PATH}/flush$", "local:Flush", self._flush),
            ("POST", f"^{CONTROL_PATH}/clock$", "local:Clock", self._set_clock),
            ("POST", f"^{CONTROL_PATH}/quotas$", "local:Quotas", self._set_quotas),
            ("POST", f"^{CONTROL_PATH}/stack-drift$", "local:StackDrift", self._set_stack_drift),
        ]

    def _health(self, *_: Any) -> Response:
        return _json({"pid": os.getpid(), "folder": str(self.folder), "region": self.region, "account": self.account})

    def _flush(self, *_: Any) -> Response:
        return _json({"settled": self.flush()})

    def _set_clock(self, _: Any, __: Any, body: bytes) -> Response:
        """Sets the clock to `now` of the JSON body, an ISO 8601 time; without it the clock shows real time again."""
        try:
            text = json.loads(body or b"{}").get("now")
            moment = datetime.fromisoformat(text) if text else None
        except (ValueError, TypeError, AttributeError) as error:
            raise AwsError("ValidationException", f'the body must be {{"now": "<ISO 8601 time>"}}: {error}') from error
        if moment is not None and moment.tzinfo is None:
            raise AwsError("ValidationException", f"the time must have an offset (got {text!r})")
        self.clock.set(moment)
        return _json({"now": self.clock.now().isoformat()})

    def _set_stack_drift(self, _: Any, __: Any, body: bytes) -> Response:
        """Sets the result of a drift detection: a JSON body with `stack` and `status`."""
        from moto.cloudformation.models import cloudformation_backends

        try:
            wanted = json.loads(body or b"{}")
        except ValueError as error:
            raise AwsError("ValidationException", f"the body is not JSON: {error}") from error
        stacks = cloudformation_backends[self.account][self.region].stacks
        return _json(stack_drift.set_result(stacks, wanted, self.clock.now()))

    def _stacks(self) -> list[Any]:
        """moto's records of the stacks that exist."""
        from moto.cloudformation.models import cloudformation_backends

        return list(cloudformation_backends[self.account][self.region].stacks.values())

    def _set_quotas(self, _: Any, __: Any, body: bytes) -> Response:
        """Sets the quotas that the JSON body names, and returns all; an empty body changes nothing."""
        try:
            values = json.loads(body or b"{}")
        except ValueError as error:
            raise AwsError("ValidationException", f"the body is not JSON: {error}") from error
        if not isinstance(values, dict):
            raise AwsError("ValidationException", f"the body must be a JSON object (got {type(values).__name__})")
        self.quotas.set(values)
        return _json(asdict(self.quotas))


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


def _json(document: Mapping[str, Any]) -> Response:
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


def _listen(port: int) -> Any:
    from moto.server import MotoRequestHandler
    from werkzeug.serving import make_server

    class QuietRequestHandler(MotoRequestHandler):  # type: ignore[misc] # mypy skips moto, see pyproject.toml
        """Logs nothing: the dispatcher logs every call."""

        disable_nagle_algorithm = True

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
            """Drops werkzeug's log line."""

    try:
        return make_server("127.0.0.1", port, lambda *_: [], threaded=True, request_handler=QuietRequestHandler)
    except (OSError, SystemExit) as error:  # werkzeug exits if the port is taken
        raise EmulatorError(
            f"the AWS emulator cannot listen on port {port}: it is in use; choose another, or 0 for a free one"
        ) from error


def _serve(server: Any, application: RequestValidator) -> None:
    server.app = application
    threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="local-aws", daemon=True).start()


def _reset_moto() -> None:
    """Discards moto's state."""
    from moto.moto_api._internal.models import moto_api_backend

    moto_api_backend.reset()
