"""Lambda's asynchronous invocation: a queue, two retries, then the destination or the dead letter queue.

Decides when an event is tried again and where it ends; running it is `local_aws.awslambda.functions`'s business.
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

from local_aws.awslambda.execution_environment import Outcome


class Asynchronous:
    """Delivers events to functions at least once."""

    def __init__(
        self,
        *,
        client: Callable[[str], Any],
        find: Callable[[str], Any],
        run: Callable[[Any, Any, str], Outcome],
        note: Callable[[str], None],
        retry_seconds: tuple[float, ...],
    ) -> None:
        """`find` gets moto's record of a function by ARN, `run` invokes it (function, event, request id)."""
        self._client, self._find, self._run, self._note = client, find, run, note
        self._retry_seconds = retry_seconds
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="lambda-async")
        self._open = 0
        self._settled = threading.Condition()

    def put(self, arn: str, event: Any) -> None:
        """Queues `event` for the function `arn`."""
        with self._settled:
            self._open += 1
        try:
            self._pool.submit(self._deliver, arn, event)
        except RuntimeError:  # closed: the cloud is stopping, and its state goes with it
            self._done()

    def drain(self, timeout_seconds: float) -> bool:
        """Waits until every queued event has ended one way or another; False where that took too long."""
        with self._settled:
            return self._settled.wait_for(lambda: self._open == 0, timeout_seconds)

    @property
    def idle(self) -> bool:
        """Whether no event waits or runs."""
        return self._open == 0

    def close(self) -> None:
        """Lets running deliveries finish and drops the queued ones."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _done(self) -> None:
        with self._settled:
            self._open -= 1
            self._settled.notify_all()

    def _deliver(self, arn: str, event: Any) -> None:
        try:
            function = self._find(arn)
            waits = self._retry_seconds[: invoke_config(function).get("MaximumRetryAttempts", 2)]
            request_id = str(uuid.uuid4())
            outcome, attempts = self._run(function, event, request_id), 1
            for seconds in waits:
                if outcome.error is None:
                    break
                time.sleep(seconds)  # AWS waits here too: a minute, then two
                outcome, attempts = self._run(function, event, request_id), attempts + 1
            self._settle(function, event, outcome, attempts)
        except Exception as error:
            self._note(f"{arn}: not delivered: {type(error).__name__}: {error}: {json.dumps(event)}")
        finally:
            self._done()

    def _settle(self, function: Any, event: Any, outcome: Outcome, attempts: int) -> None:
        destinations = invoke_config(function).get("DestinationConfig", {})
        error = outcome.error
        target = destinations.get("OnFailure" if error else "OnSuccess", {}).get("Destination")
        if target:
            self.send(target, json.dumps(_record(function, event, outcome, attempts)), {})
        letters = getattr(function, "dead_letter_config", None) or {}
        if error and letters.get("TargetArn"):
            message = str(error.get("errorMessage"))[:1024]
            attributes = {"RequestID": outcome.request_id, "ErrorCode": "200", "ErrorMessage": message}
            self.send(letters["TargetArn"], json.dumps(event), attributes)

    def send(self, arn: str, text: str, attributes: Mapping[str, str]) -> None:
        """Sends `text` to the queue, topic or function `arn`."""
        values = {name: {"DataType": "String", "StringValue": value or "-"} for name, value in attributes.items()}
        service = arn.split(":")[2]
        if service == "sqs":
            queue = self._client("sqs")
            url = queue.get_queue_url(QueueName=arn.rsplit(":", 1)[-1])["QueueUrl"]
            queue.send_message(QueueUrl=url, MessageBody=text, MessageAttributes=values)
        elif service == "sns":
            self._client("sns").publish(TopicArn=arn, Message=text, MessageAttributes=values)
        elif service == "lambda":
            self.put(arn, json.loads(text))
        else:
            raise NotImplementedError(f"the local cloud sends to SQS, SNS and Lambda, not to {arn}")


def invoke_config(function: Any) -> dict[str, Any]:
    """The function's asynchronous settings, as PutFunctionEventInvokeConfig gave them."""
    configurations = function.event_invoke_config
    return dict(configurations[-1].config) if configurations else {}


def _record(function: Any, event: Any, outcome: Outcome, attempts: int) -> dict[str, Any]:
    """What a destination gets: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html."""
    failed = outcome.error is not None
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": outcome.request_id,
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
        "responsePayload": outcome.error if failed else json.loads(outcome.result or "null"),
    }
