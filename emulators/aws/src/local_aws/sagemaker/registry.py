"""Handles the write operations of the model registry with AWS's semantics; moto keeps the records.

moto drops metadata on every update, reuses version numbers after a deletion, ignores client tokens and emits no events.
It also overwrites models and configurations of the same name, which AWS refuses, and forgets whether a model's
network is isolated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from local_aws.errors import AwsError, EmitEvent, NotHandled
from local_aws.sagemaker.service_roles import ServiceRoles
from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation

_APPROVALS = ("Approved", "Rejected", "PendingManualApproval")


class Registry:
    """Writes model packages and groups, and refuses duplicate names."""

    def __init__(self, *, backend: Callable[[], Any], roles: ServiceRoles, emit: EmitEvent) -> None:
        """`backend` returns moto's SageMaker backend of the emulator's account and region."""
        self._backend, self._roles, self._emit = backend, roles, emit
        self._lock = threading.Lock()
        self._latest_versions: dict[str, int] = {}
        self._tokens: dict[str, tuple[dict[str, Any], str]] = {}

    def forget(self) -> None:
        """Forgets the latest version of each group and client tokens, so that an emptied group begins with 1 again."""
        with self._lock:
            self._latest_versions.clear()
            self._tokens.clear()

    def create_model_package(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """CreateModelPackage: versions only increase; a repeated client token returns the first package."""
        _check_approval(parameters)
        with self._lock:
            token = parameters.get("ClientToken")
            if token in self._tokens:
                first, arn = self._tokens[token]
                if first != parameters:
                    raise AwsError("ValidationException", f"ClientToken {token} was used with other parameters")
                return {"ModelPackageArn": arn}
            package = self._create_package(parameters)
            if token:
                self._tokens[token] = (parameters, package.arn)
            self._emit_state_change(package)
        return {"ModelPackageArn": package.arn}

    def update_model_package(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """UpdateModelPackage: changes only the given members; a changed approval status emits an event."""
        _check_approval(parameters)
        with self._lock:
            backend = self._backend()
            arn = parameters["ModelPackageArn"]
            package = backend.model_packages.get(backend.model_package_name_mapping.get(arn, arn))
            if package is None:
                raise AwsError("ValidationException", f"ModelPackage {arn} does not exist.")
            previous_status = package.model_approval_status
            properties = {
                **(package.customer_metadata_properties or {}),
                **parameters.get("CustomerMetadataProperties", {}),
            }
            for name in parameters.get("CustomerMetadataPropertiesToRemove", []):
                properties.pop(name, None)
            package.customer_metadata_properties = properties or None
            package.model_approval_status = parameters.get("ModelApprovalStatus", previous_status)
            package.approval_description = parameters.get("ApprovalDescription", package.approval_description)
            package.inference_specification = parameters.get("InferenceSpecification", package.inference_specification)
            package.add_additional_inference_specifications(parameters.get("AdditionalInferenceSpecificationsToAdd"))
            package.modifications_done()
            if package.model_approval_status != previous_status:
                self._emit_state_change(package)
        return {"ModelPackageArn": package.arn}

    def delete_model_package(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """DeleteModelPackage: its version number is not reused."""
        with self._lock:
            backend, arn = self._backend(), parameters["ModelPackageName"]
            package = backend.model_packages.pop(backend.model_package_name_mapping.pop(arn, arn), None)
            if package is None:
                raise AwsError("ValidationException", f"ModelPackage {arn} does not exist.")
        return {}

    def delete_model_package_group(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """DeleteModelPackageGroup: only without packages."""
        with self._lock:
            backend, name = self._backend(), parameters["ModelPackageGroupName"].rsplit("/", 1)[-1]
            if name not in backend.model_package_groups:
                raise AwsError("ValidationException", f"ModelPackageGroup {name} does not exist.")
            if any(package.model_package_group_name == name for package in backend.model_packages.values()):
                raise violation("sagemaker-package-group-not-empty", name=name)
            del backend.model_package_groups[name]
        return {}

    def create_model(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """CreateModel: its role can read its archive; moto drops EnableNetworkIsolation."""
        backend, name = self._backend(), parameters["ModelName"]
        for container in [parameters.get("PrimaryContainer"), *(parameters.get("Containers") or [])]:
            if url := (container or {}).get("ModelDataUrl"):
                self._check_model_data(url, parameters.get("ExecutionRoleArn", ""))
        with self._lock:
            if name in backend._models:
                raise violation("sagemaker-model-exists", arn=backend._models[name].arn)
            model = backend.create_model(
                model_name=name,
                execution_role_arn=parameters.get("ExecutionRoleArn", ""),
                primary_container=parameters.get("PrimaryContainer"),
                vpc_config=parameters.get("VpcConfig"),
                containers=parameters.get("Containers"),
                tags=parameters.get("Tags"),
            )
            model.enable_network_isolation = parameters.get("EnableNetworkIsolation", False)
        return {"ModelArn": model.arn}

    def _check_model_data(self, url: str, role: str) -> None:
        """Refuses an archive that does not exist, or that the model's role may not read in this region."""
        from botocore.exceptions import ClientError

        bucket, _, key = url.removeprefix("s3://").partition("/")
        region = self._backend().region_name
        try:
            self._roles.client(role, "s3").head_object(Bucket=bucket, Key=key)
        except (AwsError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "404":
                raise violation("sagemaker-model-data-missing", uri=url) from error
            raise violation("sagemaker-model-data-access", uri=url, role=role, region=region) from error
        if account_state.bucket_region(bucket) != region:
            raise violation("sagemaker-model-data-access", uri=url, role=role, region=region)

    def refuse_existing_configuration(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpointConfig with a name that exists."""
        configuration = self._backend().endpoint_configs.get(parameters["EndpointConfigName"])
        if configuration is not None:
            arn = configuration.endpoint_config_arn
            raise violation("sagemaker-configuration-exists", arn=arn)
        raise NotHandled

    def refuse_existing_group(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """CreateModelPackageGroup with a name that exists."""
        group = self._backend().model_package_groups.get(parameters["ModelPackageGroupName"])
        if group is not None:
            raise violation("sagemaker-package-group-exists", arn=group.arn)
        raise NotHandled

    def _create_package(self, parameters: dict[str, Any]) -> Any:
        from moto.sagemaker.models import ModelPackage

        backend = self._backend()
        group = (parameters.get("ModelPackageGroupName") or "").split("model-package-group/")[-1] or None
        name = parameters.get("ModelPackageName")
        if (group is None) == (name is None):
            raise AwsError("ValidationException", "give exactly one of ModelPackageName and ModelPackageGroupName")
        version = None
        if group is not None:
            if group not in backend.model_package_groups:
                raise AwsError("ValidationException", f"ModelPackageGroup {group} does not exist.")
            versions = [
                p.model_package_version for p in backend.model_packages.values() if p.model_package_group_name == group
            ]
            version = self._latest_versions[group] = max([*versions, self._latest_versions.get(group, 0)]) + 1
        package = ModelPackage(
            model_package_name=name or group,
            model_package_group_name=group,
            model_package_version=version,
            model_package_description=parameters.get("ModelPackageDescription"),
            inference_specification=parameters.get("InferenceSpecification"),
            source_algorithm_specification=parameters.get("SourceAlgorithmSpecification"),
            validation_specification=parameters.get("ValidationSpecification"),
            certify_for_marketplace=parameters.get("CertifyForMarketplace", False),
            model_approval_status=parameters.get("ModelApprovalStatus", "PendingManualApproval" if group else None),
            metadata_properties=parameters.get("MetadataProperties"),
            model_metrics=parameters.get("ModelMetrics"),
            approval_description=None,
            customer_metadata_properties=parameters.get("CustomerMetadataProperties"),
            drift_check_baselines=parameters.get("DriftCheckBaselines"),
            domain=parameters.get("Domain"),
            task=parameters.get("Task"),
            sample_payload_url=parameters.get("SamplePayloadUrl"),
            additional_inference_specifications=parameters.get("AdditionalInferenceSpecifications"),
            client_token=parameters.get("ClientToken"),
            region_name=backend.region_name,
            account_id=backend.account_id,
            model_package_type="Versioned" if group else "Unversioned",
            tags=parameters.get("Tags"),
        )
        if package.arn in backend.model_packages:
            raise AwsError("ConflictException", f"ModelPackage {package.arn} already exists.")
        backend.model_package_name_mapping[package.model_package_name] = package.arn
        backend.model_package_name_mapping[package.arn] = package.arn
        backend.model_packages[package.arn] = package
        return package

    def _emit_state_change(self, package: Any) -> None:
        self._emit("SageMaker Model Package State Change", _to_json(package.gen_response_object()), [package.arn])


def _check_approval(parameters: dict[str, Any]) -> None:
    status = parameters.get("ModelApprovalStatus")
    if status is not None and status not in _APPROVALS:
        message = f"Value '{status}' at 'modelApprovalStatus' failed to satisfy constraint"
        raise AwsError("ValidationException", f"{message}: Member must satisfy enum value set: {list(_APPROVALS)}")


def _to_json(value: Any) -> Any:
    """`value` as the JSON of an event: times as text, members without a value omitted."""
    if isinstance(value, dict):
        return {key: _to_json(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value
