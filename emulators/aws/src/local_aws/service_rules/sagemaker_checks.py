"""Rules of SageMaker: pipelines, jobs, packages, endpoints and instance quotas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_aws import quotas
from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check


def _parameter_values(parameters: Mapping[str, Any]) -> None:
    if any(item.get("Value") == "" for item in parameters.get("PipelineParameters") or []):
        raise violation("sagemaker-empty-pipeline-parameter")


def _container_words(parameters: Mapping[str, Any]) -> None:
    application = parameters.get("AppSpecification") or parameters.get("AlgorithmSpecification") or {}
    for member in ("ContainerEntrypoint", "ContainerArguments"):
        for index, word in enumerate(application.get(member) or []):
            if not word:
                raise violation("sagemaker-empty-container-word", member=member, index=index)


def _processing_instances(parameters: Mapping[str, Any]) -> None:
    cluster = parameters.get("ProcessingResources", {}).get("ClusterConfig", {})
    _check_instances(f"{cluster.get('InstanceType')} for processing job usage", int(cluster.get("InstanceCount") or 1))


def _training_instances(parameters: Mapping[str, Any]) -> None:
    cluster = parameters.get("ResourceConfig", {})
    _check_instances(f"{cluster.get('InstanceType')} for training job usage", int(cluster.get("InstanceCount") or 1))


def _endpoint_instances(parameters: Mapping[str, Any]) -> None:
    """The new fleet counts beside the running ones: a blue/green update needs twice the instances."""
    configurations = account_state.sagemaker().endpoint_configs
    found = configurations.get(parameters.get("EndpointConfigName"))
    used = _instances_in_use()
    for variant in found.production_variants if found is not None else []:
        name = f"{variant.get('InstanceType')} for endpoint usage"
        _check_instances(name, int(variant.get("InitialInstanceCount") or 1), used.get(name, 0))


def _instances_in_use() -> dict[str, int]:
    backend, used = account_state.sagemaker(), dict[str, int]()
    for endpoint in list(backend.endpoints.values()):
        found = backend.endpoint_configs.get(endpoint.endpoint_config_name)
        for variant in found.production_variants if found is not None else []:
            name = f"{variant.get('InstanceType')} for endpoint usage"
            used[name] = used.get(name, 0) + int(variant.get("InitialInstanceCount") or 1)
    return used


def _check_instances(name: str, wanted: int, used: int = 0) -> None:
    limit = quotas.current.instances.get(name)
    if limit is not None and used + wanted > limit:
        raise violation("sagemaker-instance-quota", name=name, limit=limit, used=used, wanted=wanted)


def _present_configuration(parameters: Mapping[str, Any]) -> None:
    backend = account_state.sagemaker()
    endpoint = backend.endpoints.get(parameters.get("EndpointName"))
    name = endpoint.endpoint_config_name if endpoint is not None else None
    if name is not None and name not in backend.endpoint_configs:
        arn = f"arn:aws:sagemaker:{account_state.region}:{account_state.account}:endpoint-config/{name.lower()}"
        raise violation("sagemaker-configuration-deleted", arn=arn)


def _pipeline_name(parameters: Mapping[str, Any]) -> None:
    names = [each.pipeline_name for each in list(account_state.sagemaker().pipelines.values())]
    if parameters["PipelineName"] in names:
        raise violation("sagemaker-pipeline-exists", name=parameters["PipelineName"])


def _approval(parameters: Mapping[str, Any]) -> None:
    if parameters.get("ModelApprovalStatus") and not parameters.get("ModelPackageGroupName"):
        raise violation("sagemaker-package-approval")


def _serverless(parameters: Mapping[str, Any]) -> None:
    variants = parameters.get("ProductionVariants") or []
    found = [variant for variant in variants if variant.get("ServerlessConfig")]
    if not found:
        return
    models = account_state.sagemaker()._models
    unsupported = {
        "multiple variants": len(variants) > 1,
        "instances": any(variant.get("InstanceType") or variant.get("InitialInstanceCount") for variant in found),
        "data capture": bool((parameters.get("DataCaptureConfig") or {}).get("EnableCapture")),
        "network isolation": any(
            getattr(models.get(variant.get("ModelName")), "enable_network_isolation", False) for variant in found
        ),
    }
    for feature, wanted in unsupported.items():
        if wanted:
            raise violation("sagemaker-serverless-features", feature=feature)


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("sagemaker", "CreatePipeline"): (_pipeline_name,),
    ("sagemaker", "StartPipelineExecution"): (_parameter_values,),
    ("sagemaker", "CreateModelPackage"): (_approval,),
    ("sagemaker", "CreateEndpointConfig"): (_serverless,),
    ("sagemaker", "CreateProcessingJob"): (_container_words, _processing_instances),
    ("sagemaker", "CreateTrainingJob"): (_container_words, _training_instances),
    ("sagemaker", "CreateEndpoint"): (_endpoint_instances,),
    ("sagemaker", "UpdateEndpoint"): (_present_configuration, _endpoint_instances),
}
"""By service and operation."""
