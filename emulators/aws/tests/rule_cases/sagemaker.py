"""Cases of the rules of SageMaker; not a test itself."""

from __future__ import annotations

from typing import Any

from aws_resources import (
    ROLE,
    capture_config,
    create_endpoint,
    create_endpoint_config,
    create_role,
    unique_name,
    wait_until_settled,
)
from local_aws.server import LocalAws
from rule_cases.refusals import IMAGE, Case, definition, refused, run

CLUSTER = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}


def empty_pipeline_parameter(aws: LocalAws) -> None:
    sagemaker, name = aws.client("sagemaker"), unique_name("pipeline")
    sagemaker.create_pipeline(
        PipelineName=name, PipelineDefinition=definition(), RoleArn=ROLE, ClientRequestToken=unique_name("t" * 32)
    )
    given = [{"Name": "Window", "Value": ""}]
    refused(
        "sagemaker-empty-pipeline-parameter",
        lambda: sagemaker.start_pipeline_execution(PipelineName=name, PipelineParameters=given),
    )


def empty_container_word(aws: LocalAws) -> None:
    reason = run(aws, definition(arguments=["--window", {"Get": "Parameters.Window"}]))
    assert reason.startswith(
        "ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: Found null or empty string in "
        "ContainerArguments at index 1. ContainerArguments and ContainerEntrypoint may not contain null or empty "
        "strings."
    )


def instance_quota(aws: LocalAws) -> None:
    aws.quotas.set({"instances": {"ml.m5.large for endpoint usage": 0, "ml.m5.large for processing job usage": 0}})
    configuration = create_endpoint_config(aws)
    refused(
        "sagemaker-instance-quota",
        lambda: aws.client("sagemaker").create_endpoint(EndpointName="none", EndpointConfigName=configuration),
    )
    assert "The account-level service limit 'ml.m5.large for processing job usage' is 0 Instances" in run(
        aws, definition()
    )


def model_exists(aws: LocalAws) -> None:
    name = create_endpoint_config(aws)  # of a model with that name
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://models/{name}.tar.gz"}
    request = {"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE}
    refused("sagemaker-model-exists", lambda: aws.client("sagemaker").create_model(**request))


def configuration_exists(aws: LocalAws) -> None:
    name = create_endpoint_config(aws)
    variant = {"VariantName": "a", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    refused(
        "sagemaker-configuration-exists",
        lambda: aws.client("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant]),
    )


def endpoint_exists(aws: LocalAws) -> None:
    name = create_endpoint(aws)
    configuration = create_endpoint_config(aws)
    refused(
        "sagemaker-endpoint-exists",
        lambda: aws.client("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=configuration),
    )


def endpoint_in_progress(aws: LocalAws) -> None:
    name, sagemaker = create_endpoint(aws), aws.client("sagemaker")
    slow, other = create_endpoint_config(aws, SLOW_START="30"), create_endpoint_config(aws)
    sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=slow)
    refused(
        "sagemaker-endpoint-in-progress",
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other),
    )
    refused("sagemaker-endpoint-in-progress", lambda: sagemaker.delete_endpoint(EndpointName=name))


def configuration_deleted(aws: LocalAws) -> None:
    name, sagemaker = create_endpoint(aws), aws.client("sagemaker")
    used = sagemaker.describe_endpoint(EndpointName=name)["EndpointConfigName"]
    sagemaker.delete_endpoint_config(EndpointConfigName=used)
    other = create_endpoint_config(aws)
    refused(
        "sagemaker-configuration-deleted",
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other),
    )


def endpoint_missing(aws: LocalAws) -> None:
    sagemaker, configuration = aws.client("sagemaker"), create_endpoint_config(aws)
    for call in (
        lambda: sagemaker.describe_endpoint(EndpointName="none"),
        lambda: sagemaker.delete_endpoint(EndpointName="none"),
        lambda: sagemaker.update_endpoint(EndpointName="none", EndpointConfigName=configuration),
    ):
        refused("sagemaker-endpoint-missing", call)


def configuration_missing(aws: LocalAws) -> None:
    name, sagemaker = create_endpoint(aws), aws.client("sagemaker")
    refused(
        "sagemaker-configuration-missing",
        lambda: sagemaker.create_endpoint(EndpointName="new", EndpointConfigName="none"),
    )
    refused(
        "sagemaker-configuration-missing",
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="none"),
    )


def endpoint_failed(aws: LocalAws) -> None:
    name, sagemaker = unique_name("endpoint"), aws.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=create_endpoint_config(aws, BREAK="1"))
    assert wait_until_settled(aws, name) == "Failed"
    good = create_endpoint_config(aws)
    refused(
        "sagemaker-endpoint-failed",
        lambda: sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=good),
    )
    sagemaker.delete_endpoint(EndpointName=name)


def pipeline_exists(aws: LocalAws) -> None:
    name, sagemaker = unique_name("pipeline"), aws.client("sagemaker")

    def create() -> None:
        sagemaker.create_pipeline(
            PipelineName=name,
            PipelineDefinition=definition(),
            RoleArn=ROLE,
            ClientRequestToken=unique_name("t" * 32),
        )

    create()
    refused("sagemaker-pipeline-exists", create)


def processing_job_exists(aws: LocalAws) -> None:
    name = unique_name("job")
    request = {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["true"]},
        "ProcessingResources": {"ClusterConfig": CLUSTER},
    }
    aws.client("sagemaker").create_processing_job(**request)
    refused("sagemaker-processing-job-exists", lambda: aws.client("sagemaker").create_processing_job(**request))


def training_job(name: str, **changes: Any) -> dict[str, Any]:
    """The request of a training job that ends at once."""
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["true"],
        },
        "OutputDataConfig": {"S3OutputPath": "s3://models/out"},
        "ResourceConfig": CLUSTER,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **changes,
    }


def training_job_exists(aws: LocalAws) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    request = training_job(unique_name("job"))
    aws.client("sagemaker").create_training_job(**request)
    refused("sagemaker-training-job-exists", lambda: aws.client("sagemaker").create_training_job(**request))


def inputs_missing(aws: LocalAws) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://models/none/", "S3DataDistributionType": "FullyReplicated"}
    channel = {"ChannelName": "data", "DataSource": {"S3DataSource": source}}
    request = training_job(unique_name("job"), InputDataConfig=[channel])
    refused("sagemaker-inputs-missing", lambda: aws.client("sagemaker").create_training_job(**request))


SPECIFICATION = {
    "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://models/a"}],
    "SupportedContentTypes": ["text/csv"],
}


def package_group_exists(aws: LocalAws) -> None:
    name, sagemaker = unique_name("group"), aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    refused("sagemaker-package-group-exists", lambda: sagemaker.create_model_package_group(ModelPackageGroupName=name))


def package_group_not_empty(aws: LocalAws) -> None:
    name, sagemaker = unique_name("group"), aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=name)
    package = sagemaker.create_model_package(ModelPackageGroupName=name, InferenceSpecification=SPECIFICATION)
    refused(
        "sagemaker-package-group-not-empty",
        lambda: sagemaker.delete_model_package_group(ModelPackageGroupName=name),
    )
    sagemaker.delete_model_package(ModelPackageName=package["ModelPackageArn"])
    sagemaker.delete_model_package_group(ModelPackageGroupName=name)


def package_approval(aws: LocalAws) -> None:
    sagemaker = aws.client("sagemaker")
    request = {"ModelPackageName": unique_name("package"), "InferenceSpecification": SPECIFICATION}
    refused(
        "sagemaker-package-approval", lambda: sagemaker.create_model_package(**request, ModelApprovalStatus="Approved")
    )
    sagemaker.create_model_package(**request)


def create_model(aws: LocalAws, url: str, role: str = ROLE) -> None:
    """Creates a model of that archive."""
    aws.client("sagemaker").create_model(
        ModelName=unique_name("model"), ExecutionRoleArn=role, PrimaryContainer={"Image": IMAGE, "ModelDataUrl": url}
    )


def model_data_missing(aws: LocalAws) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    refused("sagemaker-model-data-missing", lambda: create_model(aws, "s3://models/none.tar.gz"))


def model_data_access(aws: LocalAws) -> None:
    url = f"s3://models/{create_endpoint_config(aws)}.tar.gz"
    create_model(aws, url)
    without = create_role(aws, unique_name("role"), "sagemaker.amazonaws.com")
    refused("sagemaker-model-data-access", lambda: create_model(aws, url, without))
    s3, elsewhere = aws.client("s3"), unique_name("bucket")
    s3.create_bucket(Bucket=elsewhere, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_object(Bucket=elsewhere, Key="a.tar.gz", Body=b"1")
    refused("sagemaker-model-data-access", lambda: create_model(aws, f"s3://{elsewhere}/a.tar.gz"))


def serverless_features(aws: LocalAws) -> None:
    sagemaker, model = aws.client("sagemaker"), create_endpoint_config(aws)
    isolated = unique_name("model")
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://models/{model}.tar.gz"}
    sagemaker.create_model(
        ModelName=isolated, PrimaryContainer=container, ExecutionRoleArn=ROLE, EnableNetworkIsolation=True
    )
    serverless = {
        "VariantName": "a",
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }

    def create(*variants: dict[str, Any], **more: Any) -> None:
        sagemaker.create_endpoint_config(
            EndpointConfigName=unique_name("config"), ProductionVariants=list(variants), **more
        )

    for call in (
        lambda: create(serverless, {**serverless, "VariantName": "b"}),
        lambda: create({**serverless, "InstanceType": "ml.m5.large"}),
        lambda: create(serverless, DataCaptureConfig=capture_config("s3://models/capture")),
        lambda: create({**serverless, "ModelName": isolated}),
    ):
        refused("sagemaker-serverless-features", call)
    create(serverless)


CASES: dict[str, Case] = {
    "sagemaker-configuration-deleted": configuration_deleted,
    "sagemaker-configuration-exists": configuration_exists,
    "sagemaker-configuration-missing": configuration_missing,
    "sagemaker-empty-container-word": empty_container_word,
    "sagemaker-empty-pipeline-parameter": empty_pipeline_parameter,
    "sagemaker-endpoint-exists": endpoint_exists,
    "sagemaker-endpoint-failed": endpoint_failed,
    "sagemaker-endpoint-in-progress": endpoint_in_progress,
    "sagemaker-endpoint-missing": endpoint_missing,
    "sagemaker-inputs-missing": inputs_missing,
    "sagemaker-instance-quota": instance_quota,
    "sagemaker-model-data-access": model_data_access,
    "sagemaker-model-data-missing": model_data_missing,
    "sagemaker-model-exists": model_exists,
    "sagemaker-package-approval": package_approval,
    "sagemaker-package-group-exists": package_group_exists,
    "sagemaker-package-group-not-empty": package_group_not_empty,
    "sagemaker-pipeline-exists": pipeline_exists,
    "sagemaker-processing-job-exists": processing_job_exists,
    "sagemaker-serverless-features": serverless_features,
    "sagemaker-training-job-exists": training_job_exists,
}
