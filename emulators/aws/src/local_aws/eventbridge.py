"""EventBridge's default bus: matches events against moto's rules and delivers them to their targets.

Delivery is asynchronous and at least once: every n-th event is delivered twice, alternately as the same event and as a
second event for the same change. SageMaker's documentation says to expect both. Knows rules and targets, not what the
events mean.
"""

from __future__ import annotations

import copy
import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from local_aws.authorization.authorizer import Authorizer
from local_aws.authorization.requirements.base import Requirement
from local_aws.awslambda.functions import Functions
from local_aws.clock import Clock, timestamp
from local_aws.errors import AwsError, NotHandled
from local_aws.faults import FaultPlan

_SOURCE = "aws.sagemaker"
_PRINCIPAL = "events.amazonaws.com"


class EventBus:
    """The default event bus."""

    def __init__(
        self,
        *,
        client: Callable[[str], Any],
        functions: Functions,
        authorizer: Authorizer,
        log: Path,
        region: str,
        account: str,
        clock: Clock,
        double_every: int = 3,
        faults: FaultPlan | None = None,
    ) -> None:
        """`double_every` n delivers each n-th event of SageMaker twice; 0 delivers none twice."""
        self._client, self._functions, self._log, self._authorizer = client, functions, log, authorizer
        self._region, self._account, self._clock, self._double_every = region, account, clock, double_every
        self._faults = faults or FaultPlan()
        self._lock = threading.Lock()
        self._emitted = 0
        self._pending = 0
        self._settled = threading.Condition()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="events")

    def emit(self, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str]) -> None:
        """Puts a SageMaker event on the bus."""
        event = self._event(_SOURCE, detail_type, detail, resources)
        with self._lock:
            self._emitted += 1
            doubled = self._double_every > 0 and self._emitted % self._double_every == 0
            new_id = doubled and (self._emitted // self._double_every) % 2 == 0
        self._submit(event)
        if doubled:
            self._submit({**event, "id": str(uuid.uuid4())} if new_id else event)

    def put_events(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """PutEvents for the default bus; other buses are left to moto."""
        entries = parameters["Entries"]
        if any(entry.get("EventBusName", "default").rsplit("/", 1)[-1] != "default" for entry in entries):
            raise NotHandled
        results = []
        for entry in entries:
            missing = [name for name in ("Source", "DetailType", "Detail") if not entry.get(name)]
            if missing:
                message = f"Parameter {missing[0]} is not valid. Reason: {missing[0]} is a required argument."
                results.append({"ErrorCode": "InvalidArgument", "ErrorMessage": message})
                continue
            try:
                detail = json.loads(entry["Detail"])
            except ValueError:
                detail = None
            if not isinstance(detail, dict):
                results.append({"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."})
                continue
            event = self._event(entry["Source"], entry["DetailType"], detail, entry.get("Resources", []))
            self._submit(event)
            results.append({"EventId": event["id"]})
        failed = sum("ErrorCode" in result for result in results)
        return {"FailedEntryCount": failed, "Entries": results}

    def drain(self, timeout_seconds: float = 30) -> bool:
        """Waits until every event is delivered and every invocation it caused has ended; False after the timeout."""
        with self._settled:
            settled = self._settled.wait_for(lambda: self._pending == 0, timeout_seconds)
        return settled and self._functions.async_invoker.drain(timeout_seconds)

    @property
    def idle(self) -> bool:
        """Whether no event is pending."""
        return self._pending == 0 and self._functions.async_invoker.idle

    def close(self) -> None:
        """Waits for running deliveries and drops the others."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _event(
        self, source: str, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str]
    ) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": self._account,
            "time": timestamp(self._clock.now()),
            "region": self._region,
            "resources": list(resources),
            "detail": copy.deepcopy(dict(detail)),
        }

    def _submit(self, event: dict[str, Any]) -> None:
        rule = self._faults.take("event", event["detail-type"])
        with self._settled:
            self._pending += 1
        if rule is not None and rule.fault == "late":
            timer = threading.Timer(rule.seconds, self._start_delivery, (event,))
            timer.daemon = True
            timer.start()
            return
        if rule is not None:  # duplicate
            with self._settled:
                self._pending += 1
            self._start_delivery(event)
        self._start_delivery(event)

    def _start_delivery(self, event: dict[str, Any]) -> None:
        try:
            self._pool.submit(self._match_and_deliver, event)
        except RuntimeError:  # the pool is closed: the emulator is stopping and its state is discarded
            self._mark_settled()

    def _mark_settled(self) -> None:
        with self._settled:
            self._pending -= 1
            self._settled.notify_all()

    def _match_and_deliver(self, event: dict[str, Any]) -> None:
        from moto.events.models import events_backends

        deliveries = []
        try:
            bus = events_backends[self._account][self._region].event_buses["default"]
            for rule in list(bus.rules.values()):
                if rule.state == "ENABLED" and rule.event_pattern.dump() and rule.event_pattern.matches_event(event):
                    deliveries += [self._deliver(rule, target, event) for target in list(rule.targets)]
            self._write_log({"event": event, "deliveries": deliveries})
        finally:
            self._mark_settled()

    def _deliver(self, rule: Any, target: Mapping[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        arn = target["Arn"]
        delivery = {"rule": rule.name, "target": arn, "status": "delivered"}
        try:
            payload = _target_input(target, event)
            self._send(rule, arn, json.dumps(payload), {})
        except Exception as error:
            delivery |= {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
            self._dead_letter(rule, target, event, str(error))
        return delivery

    def _send(self, rule: Any, arn: str, text: str, attributes: Mapping[str, str]) -> None:
        """Sends as EventBridge itself, which the policy of the function, queue or topic must allow."""

        def authorize(requirement: Requirement) -> None:
            # Without a source in calls of KMS: the key policy that AWS documents for event sources has no condition
            # (SQS Developer Guide, "Configure KMS permissions for AWS services").
            source = "" if requirement.action.startswith("kms:") else rule.arn
            decision = self._authorizer.decide_for_service(
                _PRINCIPAL, requirement, source_arn=source, operation="events:Deliver"
            )
            if not decision.allowed:
                raise AwsError("AccessDeniedException", decision.message(), 403)

        self._functions.async_invoker.send(arn, text, attributes, authorize)

    def _dead_letter(self, rule: Any, target: Mapping[str, Any], event: dict[str, Any], reason: str) -> None:
        queue = target.get("DeadLetterConfig", {}).get("Arn")
        if queue:
            attributes = {"RULE_ARN": rule.arn, "TARGET_ARN": target["Arn"], "ERROR_MESSAGE": reason[:1024]}
            self._send(rule, queue, json.dumps(event), attributes)

    def _write_log(self, line: dict[str, Any]) -> None:
        with self._lock, self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def _target_input(target: Mapping[str, Any], event: dict[str, Any]) -> Any:
    """The target's input: the event, or the result of its Input, InputPath or InputTransformer."""
    if "Input" in target:
        return json.loads(target["Input"])
    if "InputPath" in target:
        from jsonpath_ng.ext.parser import parse

        matches = parse(target["InputPath"]).find(event)
        return matches[0].value if matches else None
    if "InputTransformer" in target:
        from moto.events.utils import EventTemplateParser

        transformer = target["InputTransformer"]
        source = {**event, "ingestion-time": event["time"]}
        return EventTemplateParser.parse(transformer["InputTemplate"], transformer.get("InputPathsMap", {}), source)
    return event
