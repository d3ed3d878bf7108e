"""Invokes Lambda functions asynchronously: a queue, two retries, then the destination or the dead letter queue.

Decides about retries and destinations only; `local_aws.awslambda.functions` runs the function.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from local_aws.authorization.requirements import encryption
from local_aws.authorization.requirements.base import Requirement
from local_aws.authorization.role_sessions import RoleSessions
from local_aws.awslambda.execution_environment import InvocationResult

_SEND_ACTIONS = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}


class AsyncInvoker:
    """Delivers events to functions at least once."""

    def __init__(
        self,
        *,
        client: Callable[[str], Any],
        account: str,
        region: str,
        roles: RoleSessions,
        find: Callable[[str], Any],
        run: Callable[[Any, Any, str], InvocationResult],
        log: Callable[[str], None],
        retry_seconds: tuple[float, ...],
    ) -> None:
        """`find` returns moto's record of a function by ARN; `run` invokes it (function, event, request id)."""
        self._roles, self._account, self._region = roles, account, region
        self._client, self._find, self._run, self._log = client, find, run, log
        self._retry_seconds = retry_seconds
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="lambda-async")
        self._pending = 0
        self._settled = threading.Condition()

    def put(self, arn: str, event: Any) -> None:
        """Queues `event` for the function `arn`."""
        with self._settled:
            self._pending += 1
        try:
            self._pool.submit(self._deliver, arn, event)
        except RuntimeError:  # the pool is closed: the emulator is stopping and its state is discarded
            self._mark_settled()

    def drain(self, timeout_seconds: float) -> bool:
        """Waits until every queued event has succeeded or failed for good; False after the timeout."""
        with self._settled:
            return self._settled.wait_for(lambda: self._pending == 0, timeout_seconds)

    @property
    def idle(self) -> bool:
        """Whether no event is queued or running."""
        return self._pending == 0

    def close(self) -> None:
        """Waits for running deliveries and drops the queued ones."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _mark_settled(self) -> None:
        with self._settled:
            self._pending -= 1
            self._settled.notify_all()

    def _deliver(self, arn: str, event: Any) -> None:
        try:
            function = self._find(arn)
            waits = self._retry_seconds[: invoke_config(function).get("MaximumRetryAttempts", 2)]
            request_id = str(uuid.uuid4())
            result, attempts = self._run(function, event, request_id), 1
            for seconds in waits:
                if result.error is None:
                    break
                time.sleep(seconds)  # AWS waits one minute, then two
                result, attempts = self._run(function, event, request_id), attempts + 1
            self._send_result(function, event, result, attempts)
        except Exception as error:
            self._log(f"{arn}: not delivered: {type(error).__name__}: {error}: {json.dumps(event)}")
        finally:
            self._mark_settled()

    def _send_result(self, function: Any, event: Any, result: InvocationResult, attempts: int) -> None:
        destinations = invoke_config(function).get("DestinationConfig", {})
        error = result.error

        def authorize(requirement: Requirement) -> None:  # Lambda sends with the function's own permissions
            self._roles.require(
                function.role, requirement, operation="lambda:AsynchronousInvocation", name=function.function_name
            )

        target = destinations.get("OnFailure" if error else "OnSuccess", {}).get("Destination")
        if target:
            self.send(target, json.dumps(_destination_record(function, event, result, attempts)), {}, authorize)
        dead_letter_config = getattr(function, "dead_letter_config", None) or {}
        if error and dead_letter_config.get("TargetArn"):
            message = str(error.get("errorMessage"))[:1024]
            attributes = {"RequestID": result.request_id, "ErrorCode": "200", "ErrorMessage": message}
            self.send(dead_letter_config["TargetArn"], json.dumps(event), attributes, authorize)

    def send(
        self, arn: str, text: str, attributes: Mapping[str, str], authorize: Callable[[Requirement], None]
    ) -> None:
        """Sends `text` to the queue, topic or function `arn`, if `authorize` does not raise."""
        values = {name: {"DataType": "String", "StringValue": value or "-"} for name, value in attributes.items()}
        service = arn.split(":")[2]
        if service in _SEND_ACTIONS:
            authorize(Requirement(_SEND_ACTIONS[service], arn))
        for requirement in encryption.of_destination(self._account, self._region, arn):
            authorize(requirement)
        if service == "sqs":
            queue = self._client("sqs")
            url = queue.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
            queue.send_message(QueueUrl=url, MessageBody=text, MessageAttributes=values)
        elif service == "sns":
            self._client("sns").publish(TopicArn=arn, Message=text, MessageAttributes=values)
        elif service == "lambda":
            self.put(arn, json.loads(text))
        else:
            raise NotImplementedError(f"the AWS emulator sends to SQS, SNS and Lambda, not to {arn}")


def invoke_config(function: Any) -> dict[str, Any]:
    """The function's asynchronous settings, as set by PutFunctionEventInvokeConfig."""
    configurations = function.event_invoke_config
    return dict(configurations[-1].config) if configurations else {}


def _destination_record(function: Any, event: Any, result: InvocationResult, attempts: int) -> dict[str, Any]:
    """The record for a destination: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html."""
    failed = result.error is not None
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": result.request_id,
            "functionArn": f"{function.function_arn}:$LATEST",
            "condition": "RetriesExhausted" if failed else "Success",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": event,
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            **({"functionError": "Unhandled"} if failed else {}),
        },
        "responsePayload": result.error if failed else json.loads(result.payload or "null"),
    }
