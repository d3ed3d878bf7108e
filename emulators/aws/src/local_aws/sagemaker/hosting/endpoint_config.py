"""Resolves an endpoint configuration: its variants with their models and packages, and its data capture.

Reads moto's records; starts and changes nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from local_aws.errors import AwsError
from local_aws.sagemaker.hosting.data_capture import CaptureSettings
from local_aws.sagemaker.hosting.instance import Variant
from local_aws.service_rules.catalog import violation


@dataclass(frozen=True, kw_only=True)
class ResolvedConfig:
    """An endpoint configuration with everything it refers to, at the time it was read."""

    configuration: str
    variants: tuple[Variant, ...]
    capture: CaptureSettings | None
    capture_document: dict[str, Any]

    def count(self, variant: str) -> int:
        """The instances of a variant."""
        return next(each.instance_count for each in self.variants if each.name == variant)

    def with_count(self, variant: str, count: int) -> ResolvedConfig:
        """The same with another number of instances of a variant."""
        changed = (replace(each, instance_count=count) if each.name == variant else each for each in self.variants)
        return replace(self, variants=tuple(changed))

    def with_weight(self, variant: str, weight: float) -> ResolvedConfig:
        """The same with another weight of a variant."""
        changed = (replace(each, weight=weight) if each.name == variant else each for each in self.variants)
        return replace(self, variants=tuple(changed))

    def retaining(self, former: ResolvedConfig) -> ResolvedConfig:
        """The same with counts and weights of the variants of `former` that have the same names."""
        kept = {each.name: each for each in former.variants}
        changed = (
            replace(each, instance_count=kept[each.name].instance_count, weight=kept[each.name].weight)
            if each.name in kept
            else each
            for each in self.variants
        )
        return replace(self, variants=tuple(changed))


class ConfigResolver:
    """Resolves configurations from moto's SageMaker backend."""

    def __init__(self, backend: Callable[[], Any]) -> None:
        self._backend = backend

    def resolve(self, name: str) -> ResolvedConfig:
        """The configuration `name`; AwsError with AWS's message if it, a model or a package does not exist."""
        backend = self._backend()
        record = backend.endpoint_configs.get(name)
        if record is None:
            arn = f"arn:aws:sagemaker:{backend.region_name}:{backend.account_id}:endpoint-config/{name}"
            raise violation("sagemaker-configuration-missing", arn=arn)
        document = copy.deepcopy(record.data_capture_config or {})
        variants = tuple(self._variant(variant) for variant in record.production_variants)
        return ResolvedConfig(
            configuration=name,
            variants=variants,
            capture=CaptureSettings.from_config(document, role_arn=variants[0].role_arn),
            capture_document=document,
        )

    def _variant(self, variant: dict[str, Any]) -> Variant:
        backend, container = self._backend(), self._container(variant)
        url = container.get("ModelDataUrl")
        if url is None and (source := container.get("ModelDataSource", {}).get("S3DataSource")):
            if source.get("CompressionType") != "Gzip":
                raise AwsError(
                    "ValidationException", f"{variant['ModelName']}: the AWS emulator serves model.tar.gz archives only"
                )
            url = source["S3Uri"]
        if not url:
            raise AwsError(
                "ValidationException", f"{variant['ModelName']}: the AWS emulator needs a ModelDataUrl to serve a model"
            )
        model = backend._models[variant["ModelName"]]
        return Variant(
            name=variant["VariantName"],
            role_arn=model.execution_role_arn,
            network_isolation=bool(model.enable_network_isolation),
            model_data_url=url,
            environment={key: str(value) for key, value in (container.get("Environment") or {}).items()},
            image=container.get("Image", ""),
            weight=float(variant.get("InitialVariantWeight", 1.0)),
            instance_type=variant.get("InstanceType", ""),
            instance_count=int(variant.get("InitialInstanceCount", 1)),
            health_timeout_seconds=variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
        )

    def _container(self, variant: dict[str, Any]) -> dict[str, Any]:
        backend = self._backend()
        name = variant.get("ModelName")
        model = backend._models.get(name)
        if model is None:
            arn = f"arn:aws:sagemaker:{backend.region_name}:{backend.account_id}:model/{name}"
            raise AwsError("ValidationException", f'Could not find model "{arn}".')
        containers = [model.primary_container] if model.primary_container else model.containers
        if len(containers) != 1:
            message = f"{name}: the AWS emulator serves models of one container (this one has {len(containers)})"
            raise AwsError("ValidationException", message)
        container = dict(containers[0])
        package_arn = container.get("ModelPackageName")
        if package_arn is None:
            return container
        package = backend.model_packages.get(backend.model_package_name_mapping.get(package_arn, package_arn))
        if package is None:
            raise AwsError("ValidationException", f"Could not find model package {package_arn}.")
        packaged = package.inference_specification["Containers"]
        if len(packaged) != 1:
            message = f"{package_arn}: the AWS emulator serves packages of one container (this one has {len(packaged)})"
            raise AwsError("ValidationException", message)
        environment = {**(packaged[0].get("Environment") or {}), **(container.get("Environment") or {})}
        return {**packaged[0], "Environment": environment}


def summaries(resolved: ResolvedConfig) -> list[dict[str, Any]]:
    """The variants as DescribeEndpoint and events show them."""
    return [
        {
            "VariantName": variant.name,
            "DeployedImages": [{"SpecifiedImage": variant.image, "ResolvedImage": variant.image}],
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": variant.instance_count,
            "DesiredInstanceCount": variant.instance_count,
        }
        for variant in resolved.variants
    ]
