"""Types of the deploy Lambda's input and output: environment, the order in desired.json, the outcome of an event.

The counterpart is `ml.aws.deployment_records`, with which it shares no code; a test compares the two.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

_NAME_LIMIT = 63
_LATEST_APPROVAL = 9_999_999
_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The function's environment variables."""

    bucket: str
    package_group: str
    endpoint_role_arn: str
    topic_arn: str
    rollback_alarms: tuple[str, ...] = ()
    """The alarms that roll a canary back."""
    key_arn: str | None = None
    """The KMS key that encrypts captured traffic and the endpoint's volumes; None for keys of AWS."""

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> Environment:
        """From BUCKET, PACKAGE_GROUP, ENDPOINT_ROLE_ARN, TOPIC_ARN, ROLLBACK_ALARMS and, where there is a key, KEY_ARN.

        KeyError names a variable that is not set.
        """
        return cls(
            bucket=variables["BUCKET"],
            package_group=variables["PACKAGE_GROUP"],
            endpoint_role_arn=variables["ENDPOINT_ROLE_ARN"],
            topic_arn=variables["TOPIC_ARN"],
            rollback_alarms=tuple(variables["ROLLBACK_ALARMS"].split(",")),
            key_arn=variables.get("KEY_ARN") or None,
        )


@dataclass(frozen=True, kw_only=True)
class Container:
    """The image that runs the archive, and its environment."""

    image: str
    environment: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Desired:
    """deploy/desired.json: the model that Git approved, and its serving settings."""

    id: str
    approval: int
    model_package_arn: str
    artifact_sha256: str
    container: Container
    serving_image: str | None
    """The image that serves in place of the approved container's; it reads model.json and executes no other file."""
    endpoint: str
    instance_type: str
    instance_count: int
    sampling_percentage: int
    termination_wait_seconds: int
    timeout_minutes: int
    canary_instances: int = 0
    """The instances that take traffic first; 0 shifts all of it at once."""
    bake_seconds: int = 0
    least_instances: int = 0
    """With automatic scaling the bounds of the number of instances; 0 without."""
    most_instances: int = 0

    @classmethod
    def parse(cls, text: str) -> Desired:
        """The document that `fraudops deploy` wrote. Raises ValueError if it has another form."""
        try:
            document = json.loads(text)
            schema = document["schema"]
            if schema not in (1, 2, 3, 4):
                raise ValueError(f"schema must be 1, 2, 3 or 4 (got {schema!r})")
            canary = document["rollout"]["canary"] if schema == 3 else None
            canary = document["rollout"].get("canary") if schema == 4 else canary
            image = document.get("serving_image") if schema in (3, 4) else None
            image = document["serving_image"] if schema == 2 else image
            scaling = document["autoscaling"] if schema == 4 else None
            return cls(
                id=str(document["id"]),
                approval=_whole(document["approval"], 1, _LATEST_APPROVAL),
                model_package_arn=str(document["model_package_arn"]),
                artifact_sha256=str(document["artifact_sha256"]),
                container=Container(
                    image=str(document["container"]["image"]), environment=dict(document["container"]["environment"])
                ),
                serving_image=str(image) if image else None,
                endpoint=_name(document["endpoint"]),
                instance_type=str(document["instance"]["type"]),
                instance_count=_whole(document["instance"]["count"], 1),
                sampling_percentage=_whole(document["capture"]["sampling_percentage"], 0, 100),
                termination_wait_seconds=_whole(document["rollout"]["termination_wait_seconds"], 0),
                timeout_minutes=_whole(document["rollout"]["timeout_minutes"], 0),
                canary_instances=_whole(canary["instances"], 1) if canary else 0,
                bake_seconds=_whole(canary["bake_minutes"], 0) * 60 if canary else 0,
                least_instances=_whole(scaling["min"], 0) if scaling else 0,
                most_instances=_whole(scaling["max"], 1) if scaling else 0,
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    @property
    def name(self) -> str:
        """Name of model and endpoint configuration: equal for equal content, so that a second event finds them.

        Whether the endpoint scales is part of it: without scaling, its number of instances is the configuration's
        again, and only an update to another configuration brings it back.
        """
        content = [
            self.model_package_arn,
            self.artifact_sha256,
            asdict(self.container),
            self.instance_type,
            self.instance_count,
            self.sampling_percentage,
            *([self.serving_image] if self.serving_image else []),
            *(["scales"] if self.most_instances else []),
        ]
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
        tail = f"-{self.approval:04d}-{digest}"
        return self.endpoint[: _NAME_LIMIT - len(tail)].rstrip("-") + tail


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one event."""

    event_id: str
    model_package_arn: str
    outcome: Literal["created", "updated", "unchanged", "refused", "failed"]
    code: str
    reason: str
    desired: str | None = None
    """The id of the desired.json that was read; `fraudops deploy` waits for the one it wrote."""
    endpoint: str | None = None
    endpoint_config: str | None = None

    @property
    def alarming(self) -> bool:
        """Whether people are notified."""
        return self.outcome in ("refused", "failed")


def _whole(value: Any, low: int, high: int = 1_000_000) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"a whole number from {low} to {high} was expected (got {str(value)[:80]!r})")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"an endpoint's name was expected (got {str(value)[:80]!r})")
    return value
