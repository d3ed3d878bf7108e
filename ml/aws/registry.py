"""Reads model packages and their objects from the SageMaker Model Registry, and sets approval statuses.

A package is named by its ARN and verified by its digest, never by "latest". Does not decide what may be approved.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.aws import s3_objects
from ml.aws.session import Absent, client, explained
from ml.errors import CloudError, Refused
from ml.model import run_kinds
from ml.model.run_kinds import RunKind

APPROVED = "Approved"
PENDING = "PendingManualApproval"
REJECTED = "Rejected"
MAYBE_EMPTY = "="
"""Prefix of metadata values that may be empty, because SageMaker rejects empty ones; removed on reading."""

_CHUNK_BYTES = 1 << 20
_REASON_LIMIT = 1024  # ApprovalDescription


@dataclass(frozen=True, kw_only=True)
class Package:
    """One version in a model package group: model, container, evaluation and approval status."""

    arn: str
    group: str
    version: int
    status: str
    reason: str
    """The reason of the last change of status; '' if none was given."""
    model_data_url: str
    image: str
    environment: Mapping[str, str]
    evaluation_uri: str
    metadata: Mapping[str, str]
    created: datetime

    @property
    def kind(self) -> RunKind:
        """The kind of the run that registered the package.

        Raises:
            Refused: its metadata name none, or one that this version does not know.
        """
        try:
            return run_kinds.parse(self.metadata.get("kind", ""))
        except ValueError as error:
            raise Refused(f"{self.arn}: {error}; this version's pipeline did not register it: train again") from error

    @property
    def artifact_sha256(self) -> str:
        """The digest that the pipeline recorded for the archive at `model_data_url`; '' if it recorded none."""
        return self.metadata.get("artifact_sha256", "")

    @property
    def evaluation_sha256(self) -> str:
        """The digest that the pipeline recorded for the object at `evaluation_uri`; '' if it recorded none."""
        return self.metadata.get("evaluation_sha256", "")


def package(arn: str) -> Package:
    """The package that `arn` names. Raises Absent if there is none, CloudError if AWS cannot be reached."""
    from botocore.exceptions import ClientError

    with explained(f"reading model package {arn}"):
        try:
            answer = client("sagemaker").describe_model_package(ModelPackageName=arn)
        except ClientError as error:
            # SageMaker has no error code for "no such package".
            if not any(words in str(error).lower() for words in ("not found", "does not exist", "cannot find")):
                raise
            raise Absent(
                f"there is no model package {arn} in this account's registry. An approval is valid only in the account "
                "and region where its model was trained; a stopped AWS emulator loses its registry. Check the account "
                "and region, or start again from a clone that has no approvals"
            ) from error
    return _package(answer)


def packages(group: str, *, status: str | None = None) -> list[Package]:
    """Every package of `group` (those in `status`, if one is given), oldest version first."""
    wanted = {"ModelApprovalStatus": status} if status else {}
    with explained(f"listing the packages of group {group}"):
        pages = client("sagemaker").get_paginator("list_model_packages").paginate(ModelPackageGroupName=group, **wanted)
        arns = [item["ModelPackageArn"] for page in pages for item in page["ModelPackageSummaryList"]]
    return sorted((package(arn) for arn in arns), key=lambda found: found.version)


def set_status(arn: str, status: str, reason: str) -> None:
    """Moves a package to Approved, PendingManualApproval or Rejected, with a reason for readers.

    Approved → Approved sends no event; to send one, set PendingManualApproval first.
    """
    description = " ".join(reason.split())[:_REASON_LIMIT]  # SageMaker accepts one line
    with explained(f"moving model package {arn} to {status}"):
        client("sagemaker").update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=description
        )


def evaluation(found: Package) -> dict[str, Any]:
    """The evaluation.json that the package was registered with: verdict, metrics, champion, windows.

    Raises:
        Refused: the object's digest is not the registered one, or none was registered.
        CloudError: there is no such object, or it is not a JSON object.
    """
    with explained(f"reading {found.evaluation_uri}"), contextlib.closing(_open(found.evaluation_uri)) as body:
        content = body.read()
    digest_found = hashlib.sha256(content).hexdigest()
    if digest_found != found.evaluation_sha256:
        raise Refused(
            f"the object at {found.evaluation_uri} is not the evaluation of {found.arn}: its sha256 is {digest_found}, "
            f"and the package was registered with {found.evaluation_sha256 or 'none'}. If it was replaced, restore its "
            "version in S3; otherwise train again"
        )
    return _json_object(content, found.evaluation_uri)


def digest(uri: str) -> str:
    """The sha256 of the object at `uri`, read in pieces so that its size does not matter."""
    sha256 = hashlib.sha256()
    with explained(f"reading {uri}"), contextlib.closing(_open(uri)) as body:
        for chunk in body.iter_chunks(_CHUNK_BYTES):
            sha256.update(chunk)
    return sha256.hexdigest()


def read_json(uri: str) -> dict[str, Any]:
    """The JSON object at `uri`. Raises CloudError if there is none, or it is not a JSON object."""
    with explained(f"reading {uri}"), contextlib.closing(_open(uri)) as body:
        content = body.read()
    return _json_object(content, uri)


def _json_object(content: bytes, uri: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise CloudError(f"{uri} is not JSON ({error}); it was not written by this project's pipeline") from error
    if not isinstance(document, dict):
        raise CloudError(f"{uri} must hold a JSON object (got {type(document).__name__})")
    return document


def _open(uri: str) -> Any:
    bucket, key = s3_objects.split(uri)
    return client("s3").get_object(Bucket=bucket, Key=key)["Body"]


def _package(answer: Mapping[str, Any]) -> Package:
    arn = answer["ModelPackageArn"]
    try:
        container = answer["InferenceSpecification"]["Containers"][0]
        version = int(answer["ModelPackageVersion"])
    except (KeyError, IndexError) as error:
        raise CloudError(
            f"model package {arn} has no container or no version; this project did not register it"
        ) from error
    metadata: Mapping[str, str] = answer.get("CustomerMetadataProperties") or {}
    statistics = answer.get("ModelMetrics", {}).get("ModelQuality", {}).get("Statistics", {})
    return Package(
        arn=arn,
        group=answer["ModelPackageGroupName"],
        version=version,
        status=answer.get("ModelApprovalStatus", PENDING),
        reason=answer.get("ApprovalDescription") or "",
        model_data_url=container.get("ModelDataUrl", ""),
        image=container["Image"],
        environment=dict(container.get("Environment") or {}),
        evaluation_uri=statistics.get("S3Uri", ""),
        metadata={key: text.removeprefix(MAYBE_EMPTY) for key, text in metadata.items()},
        created=answer["CreationTime"],
    )
