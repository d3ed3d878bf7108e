"""EventBridge's default bus: events in AWS's shape, matched against the rules that moto keeps, and delivered.

Delivery is asynchronous and at least once: every n-th event comes twice, in turn as the same event again and as a
second event for the same change, which SageMaker's documentation says to expect. Knows rules and targets, nothing of
what the events mean.
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

from local_aws import clock
from local_aws.awslambda.functions import Functions
from local_aws.errors import AwsError, NotHandled

_SOURCE = "aws.sagemaker"


class EventBus:
    """The default event bus of one local cloud."""

    def __init__(
        self,
        *,
        client: Callable[[str], Any],
        functions: Functions,
        log: Path,
        region: str,
        account: str,
        double_every: int = 3,
    ) -> None:
        """`double_every` n doubles each n-th event that SageMaker emits; 0 doubles none."""
        self._client, self._functions, self._log = client, functions, log
        self._region, self._account, self._double_every = region, account, double_every
        self._lock = threading.Lock()
        self._emitted = 0
        self._open = 0
        self._settled = threading.Condition()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="events")

    def emit(self, detail_type: str, detail: Mapping[str, Any], resources: Sequence[str]) -> None:
        """Puts an event of SageMaker's on the bus."""
        event = self._event(_SOURCE, detail_type, detail, resources)
        with self._lock:
            self._emitted += 1
            doubled = self._double_every > 0 and self._emitted % self._double_every == 0
            again = doubled and (self._emitted // self._double_every) % 2 == 0
        self._submit(event)
        if doubled:
            self._submit({**event, "id": str(uuid.uuid4())} if again else event)

    def put_events(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The PutEvents API, for the default bus; other buses are moto's."""
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
                results.append({"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."})
                continue
            event = self._event(entry["Source"], entry["DetailType"], detail, entry.get("Resources", []))
            self._submit(event)
            results.append({"EventId": event["id"]})
        failed = sum("ErrorCode" in result for result in results)
        return {"FailedEntryCount": failed, "Entries": results}

    def drain(self, timeout_seconds: float = 30) -> bool:
        """Waits until every event has been handed over and every invocation that followed has ended."""
        with self._settled:
            settled = self._settled.wait_for(lambda: self._open == 0, timeout_seconds)
        return settled and self._functions.later.drain(timeout_seconds)

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return self._open == 0 and self._functions.later.idle

    def close(self) -> None:
        """Lets running deliveries finish and drops the others."""
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
            "time": clock.stamp(clock.now()),
            "region": self._region,
            "resources": list(resources),
            "detail": copy.deepcopy(dict(detail)),
        }

    def _submit(self, event: dict[str, Any]) -> None:
        with self._settled:
            self._open += 1
        try:
            self._pool.submit(self._match, event)
        except RuntimeError:  # closed: the cloud is stopping, and its state goes with it
            self._done()

    def _done(self) -> None:
        with self._settled:
            self._open -= 1
            self._settled.notify_all()

    def _match(self, event: dict[str, Any]) -> None:
        from moto.events.models import events_backends

        deliveries = []
        try:
            bus = events_backends[self._account][self._region].event_buses["default"]
            for rule in list(bus.rules.values()):
                if rule.state == "ENABLED" and rule.event_pattern.dump() and rule.event_pattern.matches_event(event):
                    deliveries += [self._deliver(rule, target, event) for target in list(rule.targets)]
            self._note({"event": event, "deliveries": deliveries})
        finally:
            self._done()

    def _deliver(self, rule: Any, target: Mapping[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        arn = target["Arn"]
        delivery = {"rule": rule.name, "target": arn, "status": "delivered"}
        try:
            payload = _input(target, event)
            service = arn.split(":")[2]
            if service == "lambda":
                self._check_permission(rule, arn)
            self._functions.later.send(arn, json.dumps(payload), {})
        except Exception as error:
            delivery |= {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
            self._dead_letter(rule, target, event, str(error))
        return delivery

    def _check_permission(self, rule: Any, arn: str) -> None:
        """EventBridge may invoke a function only where the function's own policy says so."""
        function = self._functions.find(arn)
        for statement in function.policy.statements:
            principal = statement.get("Principal", {})
            service = principal.get("Service") if isinstance(principal, dict) else principal
            source = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn")
            if service in ("events.amazonaws.com", "*") and source in (None, rule.arn):
                return
        message = f"{arn}: no statement of the function's policy lets events.amazonaws.com invoke it for {rule.arn}"
        raise AwsError("AccessDeniedException", message, 403)

    def _dead_letter(self, rule: Any, target: Mapping[str, Any], event: dict[str, Any], reason: str) -> None:
        queue = target.get("DeadLetterConfig", {}).get("Arn")
        if queue:
            attributes = {"RULE_ARN": rule.arn, "TARGET_ARN": target["Arn"], "ERROR_MESSAGE": reason[:1024]}
            self._functions.later.send(queue, json.dumps(event), attributes)

    def _note(self, line: dict[str, Any]) -> None:
        with self._lock, self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def _input(target: Mapping[str, Any], event: dict[str, Any]) -> Any:
    """What the target is sent: the event, or what its Input, InputPath or InputTransformer makes of it."""
    if "Input" in target:
        return json.loads(target["Input"])
    if "InputPath" in target:
        from jsonpath_ng.ext.parser import parse

        found = parse(target["InputPath"]).find(event)
        return found[0].value if found else None
    if "InputTransformer" in target:
        from moto.events.utils import EventTemplateParser

        transformer = target["InputTransformer"]
        whole = {**event, "ingestion-time": event["time"]}
        return EventTemplateParser.parse(transformer["InputTemplate"], transformer.get("InputPathsMap", {}), whole)
    return event
