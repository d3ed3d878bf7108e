"""Reads and writes deployment documents in the lake: the order, the Lambda's outcomes, the history.

`deploy/desired.json` is the order that the deploy Lambda carries out; the Lambda writes its outcomes to
`deploy/outcomes/`; `deploy/history/` has a record of every deployment. Only `fraudops deploy` writes the order and the
history. This module does not decide their content.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from ml.aws import session
from ml.clock import now, stamp
from ml.config import ApprovalRecord, ServingFile
from ml.errors import CloudError

DESIRED = "deploy/desired.json"
OUTCOMES = "deploy/outcomes/"
HISTORY = "deploy/history/"
_Document = TypeVar("_Document")
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The deploy Lambda's outcome of one event. `desired` is the id of the order it acted on; None if it read none."""

    event_id: str
    model_package_arn: str
    outcome: str
    code: str
    reason: str
    desired: str | None
    endpoint: str | None
    endpoint_config: str | None
    at: str

    @property
    def accepted(self) -> bool:
        """Whether the endpoint is in the desired state or being updated to it."""
        return self.outcome in ("created", "updated", "unchanged")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One finished deployment, as stored in deploy/history/. `smoke` is the result of the smoke test."""

    approval: int
    model_package_arn: str
    artifact_sha256: str
    artifact_uri: str
    endpoint: str
    endpoint_config: str | None
    status: Literal["succeeded", "failed"]
    reason: str
    commit: str
    desired: str
    smoke: dict[str, Any] | None
    started: str
    finished: str


def order(
    identifier: str,
    record: ApprovalRecord,
    serving: ServingFile,
    *,
    commit: str,
    serving_sha256: str,
    package_arn: str | None = None,
) -> dict[str, Any]:
    """The document deploy/desired.json that orders `record` to be deployed with the settings of `serving`.

    `package_arn` names the package in the stage's own group; None for the record's. `identifier` is unique to this
    deployment, so that its outcome can be distinguished from an earlier one's. With a serving image the schema is 2,
    with a canary 3, with automatic scaling 4, so that a deploy function of a platform that was not updated refuses the
    order: it would not see them.
    """
    scaling = {} if serving.autoscaling is None else {"autoscaling": serving.autoscaling.model_dump()}
    image: dict[str, Any] = {} if serving.image is None else {"serving_image": serving.image}
    return {
        "schema": 4 if scaling else 3 if serving.rollout.canary else 2 if image else 1,
        "id": identifier,
        "approval": record.approval,
        "model_package_arn": package_arn or record.model_package_arn,
        "artifact_sha256": record.artifact.sha256,
        "container": record.container.model_dump(),
        **image,
        "endpoint": serving.endpoint,
        "instance": serving.instance.model_dump(),
        **scaling,
        "capture": serving.capture.model_dump(),
        "rollout": rollout(serving),
        "commit": commit,
        "serving_sha256": serving_sha256,
        "written": stamp(now()),
    }


def rollout(serving: ServingFile) -> dict[str, Any]:
    """The roll-out as an order states it, without a shadow, which is over. Without a canary it is that of schema 1."""
    return serving.rollout.model_dump(exclude={"shadow"} if serving.rollout.canary else {"traffic", "canary", "shadow"})


def write_order(bucket: str, document: dict[str, Any]) -> None:
    """Writes `document` as deploy/desired.json."""
    _put(bucket, DESIRED, document)


def read_order(bucket: str) -> dict[str, Any] | None:
    """deploy/desired.json; None if nothing was ordered yet. Raises CloudError."""
    return _get(bucket, DESIRED) if any(key == DESIRED for key, _ in _list(bucket, DESIRED)) else None


class Answers:
    """The outcomes that the deploy Lambda writes after this object was created."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        # A duplicate of an event overwrites its outcome, so the key alone does not show whether it was read.
        self._seen: dict[str, str] = dict(self._listing())

    def new(self) -> list[Outcome]:
        """The outcomes written since the last call, in no particular order."""
        found = []
        for key, tag in self._listing():
            if self._seen.get(key) != tag:
                self._seen[key] = tag
                found.append(_parsed(Outcome, _get(self._bucket, key), key))
        return found

    def _listing(self) -> list[tuple[str, str]]:
        return _list(self._bucket, OUTCOMES)


def record(bucket: str, deployment: Deployment) -> str:
    """Adds a deployment to the history and returns its URI."""
    moment = datetime.fromisoformat(deployment.finished)
    earlier = _list(bucket, HISTORY)
    if earlier:
        # The history is ordered by key: a simulated clock that stops or is set back must not change that order.
        last = datetime.strptime(earlier[-1][0].removeprefix(HISTORY).split("-")[0], _STAMP).replace(tzinfo=UTC)
        moment = max(moment, last + timedelta(seconds=1))
    key = f"{HISTORY}{moment.strftime(_STAMP)}-{deployment.approval:04d}.json"
    _put(bucket, key, {"schema": 1, **asdict(deployment)})
    return f"s3://{bucket}/{key}"


def history(bucket: str) -> list[Deployment]:
    """Every deployment, oldest first."""
    return [_parsed(Deployment, _get(bucket, key), key) for key, _ in _list(bucket, HISTORY)]


def _parsed(kind: type[_Document], document: dict[str, Any], key: str) -> _Document:
    fields = {name: value for name, value in document.items() if name != "schema"}
    try:
        return kind(**fields)
    except TypeError as error:
        raise CloudError(f"{key} is not in the form that this version reads ({error})") from error


def _list(bucket: str, prefix: str) -> list[tuple[str, str]]:
    """Keys below `prefix` in order, each with a tag that changes with every write."""
    with session.explained(f"listing s3://{bucket}/{prefix}"):
        pages = session.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [
            (item["Key"], f"{item['ETag']} {item['LastModified'].isoformat()}")
            for page in pages
            for item in page.get("Contents", [])
            if item["Key"].endswith(".json")
        ]


def _get(bucket: str, key: str) -> dict[str, Any]:
    with session.explained(f"reading s3://{bucket}/{key}"):
        text = session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    document = json.loads(text)
    if not isinstance(document, dict):
        raise CloudError(f"s3://{bucket}/{key} must hold a JSON object (got {type(document).__name__})")
    return document


def _put(bucket: str, key: str, document: dict[str, Any]) -> None:
    with session.explained(f"writing s3://{bucket}/{key}"):
        session.client("s3").put_object(
            Bucket=bucket,
            Key=key,
            Body=(json.dumps(document, indent=2, sort_keys=True) + "\n").encode(),
            ContentType="application/json",
        )
