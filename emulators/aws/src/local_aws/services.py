"""The emulator's own services, composed: Lambda, events, endpoints, pipelines, registry. moto has the others.

Each gets what it needs of the others here. Serves no HTTP.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from local_aws import moto_patches
from local_aws.alarm_evaluation import AlarmEvaluator
from local_aws.application_autoscaling import ApplicationAutoScaling
from local_aws.authorization import managed_policies
from local_aws.authorization.principals import Principals
from local_aws.authorization.service import Authorization
from local_aws.authorization.simulation import PolicySimulator
from local_aws.awslambda.functions import Functions
from local_aws.clock import Clock
from local_aws.cloudformation import resource_types, stack_authorization
from local_aws.cloudformation.stack_authorization import StackAuthorizer
from local_aws.dispatcher import PathHandler
from local_aws.errors import OperationHandler
from local_aws.eventbridge import EventBus
from local_aws.faults import FaultPlan
from local_aws.kms_signatures import Signatures
from local_aws.processes.child_processes import ChildProcesses
from local_aws.sagemaker.hosting.data_capture import DataCapture
from local_aws.sagemaker.hosting.endpoint_metrics import EndpointMetrics
from local_aws.sagemaker.hosting.endpoints import Endpoints
from local_aws.sagemaker.hosting.fleet import FleetBuilder
from local_aws.sagemaker.hosting.guardrails import Baking
from local_aws.sagemaker.hosting.instance import ServerCommand
from local_aws.sagemaker.hosting.invoke_endpoint import EndpointInvoker
from local_aws.sagemaker.registry import Registry
from local_aws.service_quotas import ServiceQuotas
from local_aws.sts import assume_role
from local_aws.sts.caller_identity import CallerIdentity
from local_aws.sts.web_identity import WebIdentityFederation

_SETTLE_SECONDS = 0.005  # how often `settle` looks


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `LocalAws` was given; its arguments have the same names."""

    folder: Path
    account: str
    region: str
    caller_arn: str
    double_every: int
    server_command: ServerCommand
    health_timeout_seconds: float
    flush_seconds: float
    retry_seconds: tuple[float, ...]
    images: Path | None
    clock: Clock
    faults: FaultPlan

    @property
    def logs(self) -> Path:
        """The folder of log files."""
        return self.folder / "logs"


class Services:
    """The services of one emulator.

    Args:
        client: makes boto3 clients for the emulator's own work.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        authorization: Authorization,
        principals: Principals,
        federation: WebIdentityFederation,
        client: Callable[[str], Any],
    ) -> None:
        self._settings, self._authorization, self._client = settings, authorization, client
        self._principals, self._federation = principals, federation
        self._sagemaker_roles = authorization.roles("sagemaker.amazonaws.com", "SageMaker")
        self._processes = ChildProcesses(settings.folder)
        self._functions = Functions(
            client=client,
            folder=settings.folder / "functions",
            processes=self._processes,
            region=settings.region,
            account=settings.account,
            roles=authorization.roles("lambda.amazonaws.com", "lambda"),
            clock=settings.clock,
            retry_seconds=settings.retry_seconds,
            faults=settings.faults,
        )
        self._events = EventBus(
            client=client,
            functions=self._functions,
            authorizer=authorization.authorizer,
            log=settings.logs / "events.jsonl",
            region=settings.region,
            account=settings.account,
            clock=settings.clock,
            double_every=settings.double_every,
            faults=settings.faults,
        )
        self._capture = DataCapture(self._sagemaker_roles.client, settings.clock, flush_seconds=settings.flush_seconds)
        builder = FleetBuilder(
            roles=self._sagemaker_roles,
            folder=settings.folder / "endpoints",
            processes=self._processes,
            command=settings.server_command,
            health_timeout_seconds=settings.health_timeout_seconds,
            dockerfile=self._dockerfile,
            faults=settings.faults,
        )
        self._metrics = EndpointMetrics(settings.clock)
        alarms = AlarmEvaluator(self._alarms_backend, self._metrics, settings.clock)
        self._endpoints = Endpoints(
            backend=self._backend,
            builder=builder,
            capture=self._capture,
            emit=self._events.emit,
            baking=Baking(alarms, self._metrics, settings.clock),
        )
        self._scaling = ApplicationAutoScaling(
            counts=self._endpoints,
            client=client,
            clock=settings.clock,
            account=settings.account,
            region=settings.region,
        )
        self._metrics.invoked = self._scaling.invoked
        self._registry = Registry(backend=self._backend, roles=self._sagemaker_roles, emit=self._events.emit)
        self._images: Any = None
        self.pipelines: Any = None
        """Pipelines and jobs, once `start` was called."""

    def start(self) -> Mapping[tuple[str, str], OperationHandler]:
        """Starts the services that need the emulator's URL; returns the operations of pipelines and jobs."""
        from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
        from local_aws.sagemaker.pipelines.operations import PipelineService

        settings = self._settings
        self._images = ImageMap.load(settings.images)
        self.pipelines = PipelineService(
            client=self._client,
            roles=self._sagemaker_roles,
            folder=settings.folder / "executions",
            emit=self._events.emit,
            region=settings.region,
            account=settings.account,
            images=self._images,
            faults=settings.faults,
        )
        stack_authorization.authorizer = StackAuthorizer(
            self._authorization.authorizer,
            self._authorization.roles("cloudformation.amazonaws.com", "AWSCloudFormation"),
            account=settings.account,
            region=settings.region,
        )
        moto_patches.run_function = self._run_function
        resource_types.create_endpoint = self._endpoints.create
        return {("sagemaker", name): handler for name, handler in self.pipelines.operations.items()}

    def _dockerfile(self, image: str) -> tuple[Path, Path] | None:
        found: tuple[Path, Path] | None = self._images.dockerfile(image)
        return found

    def close(self) -> None:
        """Ends every process, execution and delivery."""
        self.pipelines.close()
        self._endpoints.close()
        self._capture.close()
        self._events.close()
        self._functions.close()
        self._processes.close()
        moto_patches.run_function = resource_types.create_endpoint = None
        stack_authorization.authorizer = None

    def flush(self, timeout_seconds: float) -> bool:
        """Waits for events and their deliveries, then writes captured traffic to S3; False after the timeout."""
        deadline = time.monotonic() + timeout_seconds
        settled = self._events.drain(timeout_seconds)
        while not (idle := self._events.idle) and settled and time.monotonic() < deadline:
            settled = self._events.drain(max(0.0, deadline - time.monotonic()))
        self._capture.flush()
        return idle  # as it was before the capture: a later event belongs to what happened after the call

    def settle(self, timeout_seconds: float) -> None:
        """As `LocalAws.settle`."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            # Each of them may cause the next: an execution events, an event a change of an endpoint.
            if self.pipelines.idle and self._endpoints.idle and self._events.idle:
                return
            self._events.drain(_SETTLE_SECONDS)
            time.sleep(_SETTLE_SECONDS)  # threads of jobs and of servers, which share no condition to wait for
        raise TimeoutError(f"the emulator is still at work after {timeout_seconds:g} s")

    def forget_runs(self, cached_step: str) -> None:
        """As `LocalAws.forget_runs`, of pipelines and registry."""
        self.pipelines.forget(cached_step=cached_step)
        self._registry.forget()

    def operations(self) -> dict[tuple[str, str], OperationHandler]:
        """The handlers by service and operation, but for those of pipelines and jobs."""
        settings = self._settings
        identity = CallerIdentity(account=settings.account, caller_arn=settings.caller_arn)
        simulator = PolicySimulator(account=settings.account, principals=self._principals)
        registry = self._registry
        service_quotas = ServiceQuotas(account=settings.account, region=settings.region)
        sagemaker: Mapping[str, OperationHandler] = {
            "CreateEndpoint": self._endpoints.create,
            "UpdateEndpoint": self._update_endpoint,
            "UpdateEndpointWeightsAndCapacities": self._endpoints.update_weights_and_capacities,
            "DescribeEndpoint": self._describe_endpoint,
            "DeleteEndpoint": self._delete_endpoint,
            "CreateModelPackage": registry.create_model_package,
            "UpdateModelPackage": registry.update_model_package,
            "DeleteModelPackage": registry.delete_model_package,
            "DeleteModelPackageGroup": registry.delete_model_package_group,
            "CreateModel": registry.create_model,
            "CreateEndpointConfig": registry.refuse_existing_configuration,
            "CreateModelPackageGroup": registry.refuse_existing_group,
        }
        signatures = Signatures(account=settings.account, region=settings.region)
        managed = partial(managed_policies.handle, settings.account)
        return {
            **{("sagemaker", name): handler for name, handler in sagemaker.items()},
            **{("application-autoscaling", name): handler for name, handler in self._scaling.operations.items()},
            ("sts", "GetCallerIdentity"): identity.caller_identity,
            ("sts", "AssumeRole"): assume_role.refuse_unsupported,
            ("sts", "AssumeRoleWithWebIdentity"): self._federation.assume_role_with_web_identity,
            ("iam", "SimulateCustomPolicy"): simulator.simulate_custom_policy,
            ("iam", "SimulatePrincipalPolicy"): simulator.simulate_principal_policy,
            ("kms", "Sign"): signatures.sign,
            ("kms", "Verify"): signatures.verify,
            ("events", "PutEvents"): self._events.put_events,
            ("servicequotas", "ListServiceQuotas"): service_quotas.list_service_quotas,
            ("servicequotas", "ListAWSDefaultServiceQuotas"): service_quotas.list_default_quotas,
            **{("iam", name): managed for name in managed_policies.OPERATIONS},
        }

    def paths(self) -> list[tuple[str, str, str, PathHandler]]:
        """Rows of (method, path pattern, "service:Operation", handler) of operations that the path names."""
        invoker = EndpointInvoker(
            acquire=self._endpoints.acquire,
            capture=self._capture,
            metrics=self._metrics,
            region=self._settings.region,
            account=self._settings.account,
        )
        endpoint = r"^/endpoints/(?P<name>[^/]+)/invocations$"
        function = r"^/2015-03-31/functions/(?P<name>[^/]+)/invocations$"
        settings = r"^/2016-08-19/account-settings/?$"
        return [
            ("POST", endpoint, "sagemaker-runtime:InvokeEndpoint", invoker.call),
            ("POST", function, "lambda:Invoke", self._functions.handle_invoke),
            ("GET", settings, "lambda:GetAccountSettings", self._functions.account_settings),
        ]

    def _update_endpoint(self, parameters: dict[str, Any]) -> dict[str, Any]:
        configuration = self._backend().endpoint_configs.get(parameters["EndpointConfigName"])
        variants = configuration.production_variants if configuration is not None else []
        types = {variant["VariantName"]: str(variant.get("InstanceType", "")) for variant in variants}
        if types:
            self._scaling.refuse_type_change(parameters["EndpointName"], types)
        return self._endpoints.update(parameters)

    def _describe_endpoint(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._scaling.evaluate(parameters["EndpointName"])  # time may have passed without an invocation
        return self._endpoints.describe(parameters)

    def _delete_endpoint(self, parameters: dict[str, Any]) -> dict[str, Any]:
        answer = self._endpoints.delete(parameters)
        self._scaling.endpoint_deleted(parameters["EndpointName"])
        return answer

    def _backend(self) -> Any:
        from moto.sagemaker.models import sagemaker_backends

        return sagemaker_backends[self._settings.account][self._settings.region]

    def _alarms_backend(self) -> Any:
        from moto.cloudwatch.models import cloudwatch_backends

        return cloudwatch_backends[self._settings.account][self._settings.region]

    def _run_function(self, function: Any, event: Any) -> tuple[str, bool, str]:
        result = self._functions.invoke(function, event, wait=True)
        payload = result.payload if result.error is None else json.dumps(result.error)
        return payload or "null", result.error is not None, "\n".join(result.lines)
