"""Describes and invokes the endpoint. Never changes it: only the deploy Lambda does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ml.aws import session
from ml.errors import CloudError

LONGEST_WATCHED_POLL_SECONDS = 2.0
"""The longest time between two looks at an endpoint that `settled` watches while it is being updated."""
_MOVING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_CONFIGURATION = re.compile(r"-(\d{4,})-[0-9a-f]{12}$")


@dataclass(frozen=True, kw_only=True)
class State:
    """The state of an endpoint. `reason` is SageMaker's reason for the last failure; '' if there was none."""

    name: str
    status: str
    configuration: str
    reason: str

    @property
    def moving(self) -> bool:
        """Whether the endpoint is changing to another state."""
        return self.status in _MOVING

    @property
    def approval(self) -> int | None:
        """The approval that serves, from the name that the deploy function gives its configuration; None if unknown."""
        found = _CONFIGURATION.search(self.configuration)
        return int(found[1]) if found else None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The endpoint's answer for one row."""

    score: float
    decision: int
    model_version: str


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The model's reply to a request: its HTTP status, and its body as text."""

    status: int
    body: str


def describe(name: str) -> State | None:
    """The endpoint `name`; None if there is none."""
    from botocore.exceptions import ClientError

    with session.explained(f"reading endpoint {name}"):
        try:
            answer = session.client("sagemaker").describe_endpoint(EndpointName=name)
        except ClientError as error:
            # SageMaker has no error code for "no such endpoint".
            if "could not find" in str(error).lower():
                return None
            raise
    return State(
        name=name,
        status=answer["EndpointStatus"],
        configuration=answer.get("EndpointConfigName", ""),
        reason=answer.get("FailureReason") or "",
    )


def settled(
    name: str,
    *,
    timeout_seconds: float,
    configuration: str | None = None,
    lag_seconds: float = 30,
    while_moving: Callable[[], None] | None = None,
) -> State | None:
    """Waits until the endpoint has settled and returns its state; None if there is no endpoint.

    After a change to `configuration` was requested, an endpoint that still shows another one and no failure is polled
    for another `lag_seconds`, because reads may lag behind writes. After `timeout_seconds` the state is returned even
    if the endpoint is still changing. `while_moving` is called after each look at an endpoint that is being updated,
    every two seconds or sooner.
    """
    from tenacity import RetryCallState, Retrying, stop_after_delay, wait_exponential

    def unsettled(attempt: RetryCallState) -> bool:
        state: State | None = attempt.outcome.result() if attempt.outcome else None
        if state is not None and state.moving:
            if while_moving is not None and state.status == "Updating":
                while_moving()
            return True
        there = state is not None and (state.configuration == configuration or bool(state.reason))
        lagging = (attempt.seconds_since_start or 0) < lag_seconds
        return configuration is not None and not there and lagging

    longest = 15 if while_moving is None else LONGEST_WATCHED_POLL_SECONDS
    patient = Retrying(
        retry=unsettled,
        stop=stop_after_delay(timeout_seconds),
        wait=wait_exponential(multiplier=0.1, exp_base=1.25, max=longest),
        retry_error_callback=lambda attempt: attempt.outcome.result() if attempt.outcome else None,
    )
    state: State | None = patient(describe, name)
    return state


def serving(name: str) -> str:
    """A clause that states what serves on `name` now, for failure messages."""
    state = describe(name)
    if state is None:
        return f"no endpoint {name} exists, so nothing serves"
    if state.status in {"Failed", "Creating"}:
        return f"endpoint {name} is {state.status}, so nothing serves"
    return f"endpoint {name} is {state.status} on {state.configuration}"


def score(
    name: str, inputs: Sequence[str], rows: Sequence[Sequence[float | str]], *, inference_id: str
) -> list[Answer]:
    """Requests the scores of `rows`, whose columns are `inputs`, in one request with that inference id.

    Raises:
        CloudError: the endpoint did not answer, or its answer does not have one prediction per row.
    """
    instances = [dict(zip(inputs, row, strict=True)) for row in rows]
    with session.explained(f"invoking endpoint {name}"):
        answer = session.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=name,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps({"instances": instances}).encode(),
            InferenceId=inference_id,
        )
        body = answer["Body"].read()
    try:
        predictions = json.loads(body)["predictions"]
        answers = [
            Answer(score=float(item["score"]), decision=int(item["decision"]), model_version=str(item["model_version"]))
            for item in predictions
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise CloudError(
            f"endpoint {name} answered {body[:200]!r}, which has no predictions with score, decision and model_version"
        ) from error
    if len(answers) != len(rows):
        raise CloudError(f"endpoint {name} answered {len(answers)} rows to a request of {len(rows)}")
    return answers


def send(name: str, body: str, content_type: str | None, *, inference_id: str) -> Reply:
    """Sends a body as it is, and returns the model's reply, whatever its status.

    Raises:
        CloudError: SageMaker refuses the request, or cannot be reached.
    """
    from botocore.exceptions import ClientError

    with session.explained(f"invoking endpoint {name}"):
        try:
            answer = session.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=name,
                Accept="application/json",
                Body=body.encode(),
                InferenceId=inference_id,
                **({} if content_type is None else {"ContentType": content_type}),
            )
            return Reply(status=200, body=answer["Body"].read().decode())
        except ClientError as error:
            members: Any = error.response
            if session.code(error) != "ModelError" or "OriginalStatusCode" not in members:
                raise
            return Reply(status=int(members["OriginalStatusCode"]), body=str(members.get("OriginalMessage", "")))
