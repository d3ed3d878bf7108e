"""The local cloud: AWS at one URL on loopback, in this process.

moto's backends are global to a process, so only one cloud can run in it at a time, and stopping it forgets everything
it held. Clouds side by side are processes side by side: `ml.playground.daemon` starts one.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local_aws import moto_patches
from local_aws.awslambda.functions import Functions
from local_aws.child_processes import INSTANCE, Processes
from local_aws.cloudformation import resource_types
from local_aws.dispatcher import Direct, Layer
from local_aws.errors import AwsError, EmulatorError, Handler
from local_aws.eventbridge import EventBus
from local_aws.protocols import Answer
from local_aws.sagemaker.hosting.data_capture import Capture
from local_aws.sagemaker.hosting.endpoints import Endpoints
from local_aws.sagemaker.hosting.fleet import Builder
from local_aws.sagemaker.hosting.instance import Command, serving_command
from local_aws.sagemaker.hosting.invoke_endpoint import Invocations
from local_aws.sagemaker.registry import Registry
from local_aws.sts.caller_identity import ACCESS_KEY, SECRET_KEY, Identity
from local_aws.sts.web_identity import Federation

ACCOUNT = "123456789012"  # the account that moto takes every caller to be of
REGION = "us-east-1"
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/fraudops-local/laptop"
CONTROL = "/fraudops-local"
_POLL_SECONDS = 0.05  # how soon `stop` is noticed

_running = threading.Lock()


class LocalCloud:
    """AWS on loopback. Start it, point AWS_ENDPOINT_URL at `url` (or take `environment()`), and stop it.

    Args:
        folder: logs, models and jobs go there; it may exist.
        port: 0 takes a free one.
        caller_arn: who GetCallerIdentity says calls, unless the key is of a role's session or a user made here.
        double_every: every n-th event of SageMaker's comes twice; 0 switches that off.
        serving: the command that serves a model, in the place of the managed container.
        health_timeout_seconds: how long a model server may take to answer /ping, where its variant does not say.
        flush_seconds: how long captured traffic is kept before it is written to S3.
        retry_seconds: the waits between the attempts of an asynchronous Lambda invocation.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        region: str = REGION,
        caller_arn: str = CALLER,
        double_every: int = 3,
        serving: Command = serving_command,
        health_timeout_seconds: float = 60.0,
        flush_seconds: float = 1.0,
        retry_seconds: tuple[float, ...] = (1.0, 3.0),
        images: Path | None = None,
    ) -> None:
        self.folder, self.region, self.account = folder.resolve(), region, ACCOUNT
        self._port, self._caller_arn, self._double_every = port, caller_arn, double_every
        self._serving, self._health_timeout = serving, health_timeout_seconds
        self._flush_seconds, self._retry_seconds, self._images = flush_seconds, retry_seconds, images
        self.federation = Federation(account=self.account, region=region)
        self._server: Any = None
        self._clients: dict[str, Any] = {}
        self._clients_lock = threading.Lock()

    def __enter__(self) -> Self:
        """Starts the cloud."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the cloud."""
        self.stop()

    @property
    def url(self) -> str:
        """What AWS_ENDPOINT_URL has to be."""
        if self._server is None:
            raise EmulatorError("the local cloud is not running: call start() first")
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self) -> dict[str, str]:
        """The variables that lead boto3, and what uses it, to this cloud."""
        return reach(self.url, self.region)

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud, whatever the caller's environment says."""
        with self._clients_lock:
            if service not in self._clients:
                import boto3.session
                from botocore.config import Config

                session = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name=self.region)
                config = Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 3})
                self._clients[service] = session.client(service, endpoint_url=self.url, config=config)
            return self._clients[service]

    def start(self) -> None:
        """Serves from now on; EmulatorError where another cloud runs in this process or the port is taken."""
        if not _running.acquire(blocking=False):
            raise EmulatorError(
                "a local cloud runs in this process already; stop it first, or start one with `fraudops local up`"
            )
        try:
            self._start()
        except BaseException:
            _running.release()
            raise

    def _start(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        from local_aws.sagemaker.pipelines.image_commands import ImageMap
        from local_aws.sagemaker.pipelines.operations import PipelineService

        server = _listen(self._port)
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        moto_patches.install()
        _forget()
        self._processes = Processes(self.folder)
        self._functions = Functions(
            client=self.client,
            folder=self.folder / "functions",
            processes=self._processes,
            region=self.region,
            account=self.account,
            environment=self.environment,
            retry_seconds=self._retry_seconds,
        )
        self._events = EventBus(
            client=self.client,
            functions=self._functions,
            log=logs / "events.jsonl",
            region=self.region,
            account=self.account,
            double_every=self._double_every,
        )
        self._capture = Capture(self.client, flush_seconds=self._flush_seconds)
        builder = Builder(
            client=self.client,
            folder=self.folder / "endpoints",
            processes=self._processes,
            environment=self.environment,
            command=self._serving,
            health_timeout_seconds=self._health_timeout,
        )
        self._endpoints = Endpoints(
            backend=self._backend, builder=builder, capture=self._capture, emit=self._events.emit
        )
        self._layer = Layer(
            DomainDispatcherApplication(create_backend_app),
            direct=self._direct(),
            operations=self._operations(),
            prepare={"cloudformation": moto_patches.install_stacks},  # importing them takes longer than starting
            log=logs / "calls.jsonl",
        )
        self._server = server
        _serve(server, self._layer)
        self._pipelines = PipelineService(
            client=self.client,
            folder=self.folder / "executions",
            emit=self._events.emit,
            region=self.region,
            account=self.account,
            images=ImageMap.load(self._images),
            environment={**self.environment(), INSTANCE: str(self.folder)},
        )
        self._layer.add({("sagemaker", name): handler for name, handler in self._pipelines.operations.items()})
        moto_patches.run_function = self._run_function
        resource_types.create_endpoint = self._endpoints.create

    def stop(self) -> None:
        """Ends every process, and forgets everything; does nothing where the cloud does not run."""
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
        self._layer.close()
        self._clients.clear()
        moto_patches.run_function = resource_types.create_endpoint = None
        _forget()
        _running.release()

    def flush(self, timeout_seconds: float = 60.0) -> bool:
        """Writes captured traffic to S3, waits for events and what they set off; False if that took too long."""
        deadline = time.monotonic() + timeout_seconds
        settled = self._events.drain(timeout_seconds)
        while settled and not self._events.idle and time.monotonic() < deadline:
            settled = self._events.drain(max(0.0, deadline - time.monotonic()))
        self._capture.flush()
        return settled and self._events.idle

    def _backend(self) -> Any:
        from moto.sagemaker.models import sagemaker_backends

        return sagemaker_backends[self.account][self.region]

    def _run_function(self, function: Any, event: Any) -> tuple[str, bool, str]:
        outcome = self._functions.invoke(function, event, wait=True)
        result = outcome.result if outcome.error is None else json.dumps(outcome.error)
        return result or "null", outcome.error is not None, "\n".join(outcome.lines)

    def _operations(self) -> dict[tuple[str, str], Handler]:
        identity = Identity(account=self.account, caller_arn=self._caller_arn)
        registry = Registry(backend=self._backend, emit=self._events.emit)
        sagemaker: Mapping[str, Handler] = {
            "CreateEndpoint": self._endpoints.create,
            "UpdateEndpoint": self._endpoints.update,
            "DescribeEndpoint": self._endpoints.describe,
            "DeleteEndpoint": self._endpoints.delete,
            "CreateModelPackage": registry.create_model_package,
            "UpdateModelPackage": registry.update_model_package,
            "DeleteModelPackage": registry.delete_model_package,
            "DeleteModelPackageGroup": registry.delete_model_package_group,
            "CreateModel": registry.refuse_existing_model,
            "CreateEndpointConfig": registry.refuse_existing_configuration,
            "CreateModelPackageGroup": registry.refuse_existing_group,
        }
        return {
            **{("sagemaker", name): handler for name, handler in sagemaker.items()},
            ("sts", "GetCallerIdentity"): identity.caller_identity,
            ("sts", "AssumeRoleWithWebIdentity"): self.federation.assume_role_with_web_identity,
            ("iam", "SimulatePrincipalPolicy"): identity.simulate_principal_policy,
            ("events", "PutEvents"): self._events.put_events,
        }

    def _direct(self) -> list[tuple[str, str, str, Direct]]:
        invocations = Invocations(
            hold=self._endpoints.hold, capture=self._capture, region=self.region, account=self.account
        )
        endpoint = r"^/endpoints/(?P<name>[^/]+)/invocations$"
        function = r"^/2015-03-31/functions/(?P<name>[^/]+)/invocations$"
        return [
            ("POST", endpoint, "sagemaker-runtime:InvokeEndpoint", invocations.call),
            ("POST", function, "lambda:Invoke", self._functions.invoke_call),
            ("GET", f"^{CONTROL}/health$", "local:Health", self._health),
            ("POST", f"^{CONTROL}/flush$", "local:Flush", self._flush_call),
            ("POST", f"^{CONTROL}/clock$", "local:Clock", self._clock_call),
        ]

    def _health(self, *_: Any) -> Answer:
        return _json({"pid": os.getpid(), "folder": str(self.folder), "region": self.region, "account": self.account})

    def _flush_call(self, *_: Any) -> Answer:
        return _json({"settled": self.flush()})

    def _clock_call(self, _: Any, __: Any, body: bytes) -> Answer:
        """Sets what this process takes for now: the simulated time of capture partitions and events."""
        from local_aws import clock

        former = os.environ.pop("FRAUDOPS_NOW", None)
        if now := json.loads(body or b"{}").get("now"):
            os.environ["FRAUDOPS_NOW"] = now
        try:
            return _json({"now": clock.now().isoformat()})
        except Exception as error:
            os.environ.pop("FRAUDOPS_NOW", None)
            if former:
                os.environ["FRAUDOPS_NOW"] = former
            raise AwsError("ValidationException", str(error)) from error


def reach(url: str, region: str) -> dict[str, str]:
    """The variables that lead boto3 to the local cloud at `url`."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _json(document: Mapping[str, Any]) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


def _listen(port: int) -> Any:
    from moto.server import MotoRequestHandler
    from werkzeug.serving import make_server

    class Quiet(MotoRequestHandler):  # type: ignore[misc] # mypy skips moto, see pyproject.toml
        """Says nothing of its own: the layer logs every call."""

        disable_nagle_algorithm = True

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
            """Drops werkzeug's line."""

    try:
        return make_server("127.0.0.1", port, lambda *_: [], threaded=True, request_handler=Quiet)
    except (OSError, SystemExit) as error:  # werkzeug exits where a port is taken
        raise EmulatorError(
            f"the local cloud cannot listen on port {port}: it is taken; give another, or none"
        ) from error


def _serve(server: Any, layer: Layer) -> None:
    server.app = layer
    threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="local-cloud", daemon=True).start()


def _forget() -> None:
    """Empties moto."""
    from moto.moto_api._internal.models import moto_api_backend

    moto_api_backend.reset()
