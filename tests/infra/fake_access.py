"""The deploy function's AWS as plain dictionaries; not a test itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

ARN = "arn:aws:sagemaker:us-east-1:123456789012:model-package/fraudops-model/7"
ARCHIVE = b"a model"
CONTAINER = {"image": "image:1.9-0", "environment": {"SAGEMAKER_PROGRAM": "inference.py"}}


def desired(**changes: Any) -> dict[str, Any]:
    """deploy/desired.json for approval 7."""
    document: dict[str, Any] = {
        "schema": 1,
        "id": "order-1",
        "approval": 7,
        "model_package_arn": ARN,
        "artifact_sha256": hashlib.sha256(ARCHIVE).hexdigest(),
        "container": CONTAINER,
        "endpoint": "fraudops-production",
        "instance": {"type": "ml.m5.large", "count": 1},
        "capture": {"sampling_percentage": 100},
        "rollout": {"termination_wait_seconds": 120, "timeout_minutes": 30},
        "commit": "c" * 40,
        "serving_sha256": "d" * 64,
        "written": "2026-03-01T00:00:00Z",
    }
    return document | changes


def event(arn: str = ARN, identifier: str = "event-1") -> dict[str, Any]:
    """The EventBridge event of an approved package."""
    return {
        "version": "0",
        "id": identifier,
        "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker",
        "resources": [arn],
        "detail": {
            "ModelPackageArn": arn,
            "ModelPackageGroupName": "fraudops-model",
            "ModelApprovalStatus": "Approved",
        },
    }


@dataclass
class FakeAccess:
    """`logic.Access` over dictionaries; `changes` are the calls that changed something, in order."""

    document: dict[str, Any] | str | None = field(default_factory=desired)
    status: str = "Approved"
    group: str = "fraudops-model"
    containers: list[dict[str, Any]] | None = None
    objects: dict[str, bytes] = field(default_factory=lambda: {"s3://lake/executions/7/model.tar.gz": ARCHIVE})
    endpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    configurations: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def text(self, key: str) -> str | None:
        """The text of the object, as stored."""
        assert key == "deploy/desired.json"
        return self.document if isinstance(self.document, str | None) else json.dumps(self.document)

    def package(self, arn: str) -> dict[str, Any]:
        """The same package for every ARN."""
        container = {
            "Image": CONTAINER["image"],
            "Environment": CONTAINER["environment"],
            "ModelDataUrl": "s3://lake/executions/7/model.tar.gz",
        }
        return {
            "ModelPackageArn": arn,
            "ModelPackageGroupName": self.group,
            "ModelApprovalStatus": self.status,
            "InferenceSpecification": {"Containers": [container] if self.containers is None else self.containers},
        }

    def pinned(self, url: str, sha256: str) -> str | None:
        """The URI of a copy below deploy/artifacts, if the digest matches."""
        content = self.objects.get(url)
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            return None
        return f"s3://lake/deploy/artifacts/{sha256}/model.tar.gz"

    def endpoint(self, name: str) -> dict[str, Any] | None:
        """The endpoint as created so far."""
        return self.endpoints.get(name)

    def model(self, name: str) -> dict[str, Any] | None:
        """The model as created so far."""
        return self.models.get(name)

    def endpoint_config(self, name: str) -> dict[str, Any] | None:
        """The endpoint configuration as created so far."""
        return self.configurations.get(name)

    def create_model(self, **request: Any) -> None:
        """Refuses a name that is taken, as SageMaker does."""
        assert request["ModelName"] not in self.models
        self.models[request["ModelName"]] = request
        self._changed("create_model", request)

    def create_endpoint_config(self, **request: Any) -> None:
        """Refuses a name that is taken, as SageMaker does."""
        assert request["EndpointConfigName"] not in self.configurations
        self.configurations[request["EndpointConfigName"]] = request
        self._changed("create_endpoint_config", request)

    def create_endpoint(self, **request: Any) -> None:
        """The endpoint is Creating until `settle`."""
        assert request["EndpointName"] not in self.endpoints
        self.endpoints[request["EndpointName"]] = {
            "EndpointStatus": "Creating",
            "EndpointConfigName": request["EndpointConfigName"],
        }
        self._changed("create_endpoint", request)

    def update_endpoint(self, **request: Any) -> None:
        """The endpoint keeps the old configuration until `settle`, as in SageMaker."""
        endpoint = self.endpoints[request["EndpointName"]]
        endpoint["EndpointStatus"] = "Updating"
        endpoint["PendingDeploymentSummary"] = {"EndpointConfigName": request["EndpointConfigName"]}
        self._changed("update_endpoint", request)

    def delete_endpoint(self, name: str) -> None:
        """The endpoint is gone at the next call."""
        del self.endpoints[name]
        self._changed("delete_endpoint", {"EndpointName": name})

    def settle(self, name: str = "fraudops-production") -> None:
        """Completes the change in progress."""
        endpoint = self.endpoints[name]
        pending = endpoint.pop("PendingDeploymentSummary", None)
        endpoint["EndpointStatus"] = "InService"
        if pending:
            endpoint["EndpointConfigName"] = pending["EndpointConfigName"]

    def _changed(self, call: str, request: dict[str, Any]) -> None:
        self.changes.append(call)
        self.requests.append(request)
