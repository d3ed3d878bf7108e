"""Requirements of Amazon SageMaker's operations, of its runtime too.

SageMaker writes the names in ARNs in lower case, and IAM compares them by case. Source: Service Authorization
Reference, "Amazon SageMaker".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from local_aws.authorization.calls import Call
from local_aws.authorization.requirements.base import Requirement, Rule, arn, on_everything, pass_role, tags

_SERVICE = "sagemaker.amazonaws.com"

# operation: (resource type, parameter with the name or the ARN), more than one where all must be allowed
_RESOURCES: Mapping[str, Sequence[tuple[str, str]]] = {
    "CreateEndpoint": (("endpoint", "EndpointName"), ("endpoint-config", "EndpointConfigName")),
    "CreateEndpointConfig": (("endpoint-config", "EndpointConfigName"),),
    "CreateHyperParameterTuningJob": (("hyper-parameter-tuning-job", "HyperParameterTuningJobName"),),
    "CreateModel": (("model", "ModelName"),),
    "CreateModelPackageGroup": (("model-package-group", "ModelPackageGroupName"),),
    "CreatePipeline": (("pipeline", "PipelineName"),),
    "CreateProcessingJob": (("processing-job", "ProcessingJobName"),),
    "CreateTrainingJob": (("training-job", "TrainingJobName"),),
    "CreateTransformJob": (("transform-job", "TransformJobName"),),
    "DeleteEndpoint": (("endpoint", "EndpointName"),),
    "DeleteEndpointConfig": (("endpoint-config", "EndpointConfigName"),),
    "DeleteModel": (("model", "ModelName"),),
    "DeleteModelPackage": (("model-package", "ModelPackageName"),),
    "DeleteModelPackageGroup": (("model-package-group", "ModelPackageGroupName"),),
    "DeletePipeline": (("pipeline", "PipelineName"),),
    "DescribeEndpoint": (("endpoint", "EndpointName"),),
    "DescribeEndpointConfig": (("endpoint-config", "EndpointConfigName"),),
    "DescribeHyperParameterTuningJob": (("hyper-parameter-tuning-job", "HyperParameterTuningJobName"),),
    "DescribeModel": (("model", "ModelName"),),
    "DescribeModelPackage": (("model-package", "ModelPackageName"),),
    "DescribeModelPackageGroup": (("model-package-group", "ModelPackageGroupName"),),
    "DescribePipeline": (("pipeline", "PipelineName"),),
    "DescribePipelineDefinitionForExecution": (("", "PipelineExecutionArn"),),
    "DescribePipelineExecution": (("", "PipelineExecutionArn"),),
    "DescribeProcessingJob": (("processing-job", "ProcessingJobName"),),
    "DescribeTrainingJob": (("training-job", "TrainingJobName"),),
    "DescribeTransformJob": (("transform-job", "TransformJobName"),),
    "InvokeEndpoint": (("endpoint", "EndpointName"),),
    "ListPipelineExecutionSteps": (("", "PipelineExecutionArn"),),
    "ListPipelineExecutions": (("pipeline", "PipelineName"),),
    "ListPipelineParametersForExecution": (("", "PipelineExecutionArn"),),
    "ListTags": (("", "ResourceArn"),),
    "RetryPipelineExecution": (("", "PipelineExecutionArn"),),
    "StartPipelineExecution": (("pipeline", "PipelineName"),),
    "StopPipelineExecution": (("", "PipelineExecutionArn"),),
    "StopProcessingJob": (("processing-job", "ProcessingJobName"),),
    "StopTrainingJob": (("training-job", "TrainingJobName"),),
    "StopTransformJob": (("transform-job", "TransformJobName"),),
    "UpdateEndpoint": (("endpoint", "EndpointName"), ("endpoint-config", "EndpointConfigName")),
    "UpdateEndpointWeightsAndCapacities": (("endpoint", "EndpointName"),),
    "UpdateModelPackage": (("model-package", "ModelPackageArn"),),
    "UpdatePipeline": (("pipeline", "PipelineName"),),
    "UpdatePipelineExecution": (("", "PipelineExecutionArn"),),
    "AddTags": (("", "ResourceArn"),),
    "DeleteTags": (("", "ResourceArn"),),
}
_LISTS = (
    "ListEndpointConfigs",
    "ListEndpoints",
    "ListModelPackageGroups",
    "ListModelPackages",
    "ListModels",
    "ListPipelines",
    "ListProcessingJobs",
    "ListTrainingJobs",
    "Search",
)
# parameters with roles that SageMaker assumes
_ROLES = {
    "CreateEndpointConfig": ("ExecutionRoleArn",),
    "CreateModel": ("ExecutionRoleArn",),
    "CreatePipeline": ("RoleArn",),
    "CreateProcessingJob": ("RoleArn",),
    "CreateTrainingJob": ("RoleArn",),
    "UpdatePipeline": ("RoleArn",),
}


def resource_arn(call: Call, kind: str, name: str) -> str:
    """The ARN of a resource, given by name or ARN."""
    return name if name.startswith("arn:") else arn(call, "sagemaker", f"{kind}/{name.lower()}")


def _on_resources(operation: str, resources: Sequence[tuple[str, str]]) -> Rule:
    roles = _ROLES.get(operation, ())

    def rule(call: Call) -> Iterable[Requirement]:
        context = _context(call)
        for kind, member in resources:
            yield Requirement(f"sagemaker:{operation}", resource_arn(call, kind, call.text(member)), context)
        for member in roles:
            yield from pass_role(call.parameters.get(member), _SERVICE)
        if operation.startswith("Create") and call.parameters.get("Tags"):
            # AWS checks sagemaker:AddTags in addition when a resource is created with tags (SageMaker Developer
            # Guide, "Provide Permissions for Tagging SageMaker AI Resources").
            kind, member = resources[0]
            yield Requirement("sagemaker:AddTags", resource_arn(call, kind, call.text(member)), tags(call))
        for name in _rollback_alarms(call):
            yield Requirement("cloudwatch:DescribeAlarms", arn(call, "cloudwatch", f"alarm:{name}"))

    return rule


def _rollback_alarms(call: Call) -> Sequence[str]:
    """The alarms that a deployment reads in its caller's name.

    SageMaker Developer Guide, "Auto-Rollback Configuration and Monitoring".
    """
    rollback = (call.parameters.get("DeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
    return [str(alarm.get("AlarmName")) for alarm in rollback.get("Alarms") or []]


def _context(call: Call) -> dict[str, str | Sequence[str]]:
    found = tags(call)
    if approval := call.text("ModelApprovalStatus"):
        found["sagemaker:ModelApprovalStatus"] = approval
    for key, value in (call.parameters.get("CustomerMetadataProperties") or {}).items():
        found[f"sagemaker:CustomerMetadataProperties/{key}"] = str(value)
    if "EnableNetworkIsolation" in call.parameters:
        found["sagemaker:NetworkIsolation"] = str(bool(call.parameters["EnableNetworkIsolation"])).lower()
    if types := _instance_types(call):
        found["sagemaker:InstanceTypes"] = types
    return found


def _instance_types(call: Call) -> Sequence[str]:
    parameters = call.parameters
    places = [
        parameters.get("ResourceConfig") or {},
        (parameters.get("ProcessingResources") or {}).get("ClusterConfig") or {},
        *(parameters.get("ProductionVariants") or []),
    ]
    return tuple(str(place["InstanceType"]) for place in places if place.get("InstanceType"))


def _create_model_package(call: Call) -> Iterable[Requirement]:
    """The package of a group has no version before it exists: its ARN ends in the group's name and a star.

    The reference states the resource type model-package, and its name pattern has no part for a version.
    """
    group, name = call.text("ModelPackageGroupName"), call.text("ModelPackageName")
    group = group.rpartition("model-package-group/")[2]
    context = _context(call)
    resource = resource_arn(call, "model-package", f"{group}/*" if group else name)
    yield Requirement("sagemaker:CreateModelPackage", resource, context)


RULES: Mapping[str, Rule] = {
    **{operation: _on_resources(operation, resources) for operation, resources in _RESOURCES.items()},
    **{operation: on_everything(f"sagemaker:{operation}") for operation in _LISTS},
    "CreateModelPackage": _create_model_package,
}
