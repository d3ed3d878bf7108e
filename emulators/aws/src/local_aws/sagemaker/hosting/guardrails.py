"""Deployment guardrails: reads a DeploymentConfig, and waits with an eye on its alarms.

Moves no traffic: `local_aws.sagemaker.hosting.endpoints` does, by what is decided here. Time is the emulator's clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from local_aws.alarm_evaluation import AlarmEvaluator
from local_aws.clock import Clock
from local_aws.errors import AwsError
from local_aws.sagemaker.hosting.endpoint_config import ResolvedConfig
from local_aws.sagemaker.hosting.endpoint_metrics import EndpointMetrics
from local_aws.service_rules.catalog import violation

_POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Guardrails:
    """A blue/green policy: the canary's share of the traffic, waits in seconds, and alarms that roll it back.

    `share` is 0 without a canary.
    """

    share: float = 0.0
    bake_seconds: int = 0
    termination_seconds: int = 0
    alarms: tuple[str, ...] = ()

    @classmethod
    def read(cls, deployment: Mapping[str, Any] | None, resolved: ResolvedConfig) -> Guardrails:
        """Those of a DeploymentConfig for the configuration that is to be deployed; AwsError if AWS refuses them."""
        policy = (deployment or {}).get("BlueGreenUpdatePolicy")
        if not policy:
            return cls()
        routing = policy["TrafficRoutingConfiguration"]
        wait, termination = int(routing["WaitIntervalInSeconds"]), int(policy.get("TerminationWaitInSeconds") or 0)
        limit = policy.get("MaximumExecutionTimeoutInSeconds")
        if limit is not None and int(limit) <= wait + termination:
            raise violation("sagemaker-guardrail-timeout", limit=int(limit), waits=wait + termination)
        if routing["Type"] == "LINEAR":
            raise AwsError("ValidationException", "the AWS emulator shifts traffic ALL_AT_ONCE or as a CANARY only")
        names = tuple(
            alarm["AlarmName"] for alarm in (deployment or {}).get("AutoRollbackConfiguration", {}).get("Alarms", [])
        )
        if routing["Type"] == "ALL_AT_ONCE":
            return cls(termination_seconds=termination, alarms=names)
        count = min(variant.instance_count for variant in resolved.variants)
        size = routing.get("CanarySize") or {}
        share = float(size.get("Value", 0)) / (100 if size.get("Type") == "CAPACITY_PERCENT" else count)
        if not 0 < share <= 0.5:
            raise violation("sagemaker-canary-size", instances=count)
        return cls(share=share, bake_seconds=wait, termination_seconds=termination, alarms=names)


class Baking:
    """Waits while alarms are evaluated."""

    def __init__(self, alarms: AlarmEvaluator, metrics: EndpointMetrics, clock: Clock) -> None:
        self._alarms, self._metrics, self._clock = alarms, metrics, clock
        self._closing = threading.Event()

    def close(self) -> None:
        """Ends every wait."""
        self._closing.set()

    def refuse_missing(self, guardrails: Guardrails) -> None:
        """AwsError if an alarm does not exist."""
        for name in guardrails.alarms:
            if not self._alarms.exists(name):
                raise violation("sagemaker-rollback-alarm-missing", name=name)

    def wait(self, endpoint: str, alarms: tuple[str, ...], seconds: int, failure: Callable[[], str]) -> str:
        """Waits until the emulator's clock has advanced by `seconds`; returns why the deployment must be rolled back.

        '' if it must not. `failure` says why an instance of the new fleet failed meanwhile, '' if none did.
        """
        end = self._clock.now() + timedelta(seconds=seconds)
        with self._metrics.watch(endpoint):
            while not self._closing.is_set():
                over = self._clock.now() >= end  # read before the alarms, so that the last period is evaluated
                if reason := failure():
                    return reason
                for name in alarms:
                    if why := self._alarms.evaluate(name):
                        return f"The deployment was rolled back because alarm {name} is in ALARM: {why}"
                if over:
                    return ""
                self._closing.wait(_POLL_SECONDS)  # polls a clock that others set: there is no event to wait for
        return "the AWS emulator is stopping"
