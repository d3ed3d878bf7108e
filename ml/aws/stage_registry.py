"""Registers a model package again in the group of another stage: the same bytes, container and metadata.

Archive and evaluation are copied to the stage's own lake, so that serving needs no access to another stage's. Changes
no status, and does not decide what may be registered.
"""

from __future__ import annotations

from ml.aws import registry, s3_objects
from ml.aws.session import client, explained

APPROVAL = "approval"
"""Metadata of a copy: the number of its approval, which is the version of the package that was copied."""
SOURCE = "copied_from"
"""Metadata of a copy: the ARN of the package that was copied."""


def find(group: str, approval: int, sha256: str) -> registry.Package | None:
    """The copy in `group` of approval `approval` with the artifact `sha256`; None if there is none."""
    copies = [
        found
        for found in registry.packages(group)
        if found.metadata.get(APPROVAL) == f"{approval:04d}" and found.artifact_sha256 == sha256
    ]
    return copies[-1] if copies else None


def copy(
    source: registry.Package, group: str, bucket: str, *, approval: int, archive: bytes, evaluation: bytes
) -> registry.Package:
    """Writes `archive` and `evaluation` to `bucket` and registers them in `group` as `source` is registered.

    The copy awaits approval. Its metadata are those of `source`, to the byte, and where it comes from.

    Raises:
        CloudError: AWS refuses or cannot be reached.
    """
    sagemaker = client("sagemaker")
    folder = f"{s3_objects.SCHEME}{bucket}/executions/approval-{approval:04d}-{source.artifact_sha256[:12]}"
    s3_objects.write(f"{folder}/model.tar.gz", archive, "application/gzip")
    s3_objects.write(f"{folder}/evaluation.json", evaluation, "application/json")
    with explained(f"registering a copy of {source.arn} in {group}"):
        there = sagemaker.describe_model_package(ModelPackageName=source.arn)
        specification = there["InferenceSpecification"]
        (container,) = specification["Containers"]
        kept = {key: container[key] for key in ("Image", "Environment") if key in container}
        limits = {
            key: specification[key]
            for key in (
                "SupportedContentTypes",
                "SupportedResponseMIMETypes",
                "SupportedRealtimeInferenceInstanceTypes",
                "SupportedTransformInstanceTypes",
            )
            if specification.get(key)
        }
        arn = sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelPackageDescription=f"Approval {approval:04d}, copied from {source.arn}",
            ModelApprovalStatus=registry.PENDING,
            InferenceSpecification={
                "Containers": [kept | {"ModelDataUrl": f"{folder}/model.tar.gz"}],
                **limits,
            },
            ModelMetrics={
                "ModelQuality": {
                    "Statistics": {"ContentType": "application/json", "S3Uri": f"{folder}/evaluation.json"}
                }
            },
            CustomerMetadataProperties={
                **there["CustomerMetadataProperties"],
                APPROVAL: f"{approval:04d}",
                SOURCE: source.arn,
            },
        )["ModelPackageArn"]
    return registry.package(arn)
