"""Types of the deploy Lambda's input and output: environment, the order in desired.json, the outcome of an event.

The counterpart is `ml.aws.deployment_records`, with which it shares no code; a test compares the two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

_NAME_LIMIT = 63


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

    @classmethod
    def parse(cls, text: str) -> Desired:
        """The document that `fraudops deploy` wrote. Raises ValueError if it has another form."""
        try:
            document = json.loads(text)
            if document["schema"] not in (1, 2, 3):
                raise ValueError(f"schema must be 1, 2 or 3 (got {document['schema']!r})")
            canary = document["rollout"]["canary"] if document["schema"] == 3 else None
            image = document.get("serving_image") if document["schema"] == 3 else None
            image = document["serving_image"] if document["schema"] == 2 else image
            return cls(
                id=str(document["id"]),
                approval=int(document["approval"]),
                model_package_arn=str(document["model_package_arn"]),
                artifact_sha256=str(document["artifact_sha256"]),
                container=Container(
                    image=str(document["container"]["image"]), environment=dict(document["container"]["environment"])
                ),
                serving_image=str(image) if image else None,
                endpoint=str(document["endpoint"]),
                instance_type=str(document["instance"]["type"]),
                instance_count=int(document["instance"]["count"]),
                sampling_percentage=int(document["capture"]["sampling_percentage"]),
                termination_wait_seconds=int(document["rollout"]["termination_wait_seconds"]),
                timeout_minutes=int(document["rollout"]["timeout_minutes"]),
                canary_instances=int(canary["instances"]) if canary else 0,
                bake_seconds=int(canary["bake_minutes"]) * 60 if canary else 0,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error

    @property
    def name(self) -> str:
        """Name of model and endpoint configuration: equal for equal content, so that a second event finds them."""
        content = [
            self.model_package_arn,
            self.artifact_sha256,
            asdict(self.container),
            self.instance_type,
            self.instance_count,
            self.sampling_percentage,
            *([self.serving_image] if self.serving_image else []),
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
