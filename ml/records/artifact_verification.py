"""Verifies that registry and S3 hold exactly the model that an approval record names.

A package and the object that it points at can both be changed after they were written. So nothing is believed that is
not compared: the object's bytes with the digest, the package with what Git recorded of it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ml import config
from ml.aws import registry, s3_objects
from ml.aws.platform_stack import Platform
from ml.errors import DataError, Refused

if TYPE_CHECKING:
    from ml.model.artifact import Artifact


def of_group(package: registry.Package, where: Platform) -> None:
    """Refuses a package of another group than the platform's."""
    if package.group != where.package_group:
        raise Refused(
            f"{package.arn} is of group {package.group}; this platform approves models of {where.package_group} only"
        )


def container(package: registry.Package) -> config.Container:
    """What the registry says runs the archive of `package`."""
    return config.Container(image=package.image, environment=dict(package.environment))


def archive(package: registry.Package, sha256: str, said_by: str) -> Artifact:
    """The model archive that `package` points at, if its bytes have the digest `sha256`, and it is a model at all.

    `said_by` names who gave the digest, for the refusal.
    """
    from ml.model import artifact

    try:
        data = s3_objects.read(package.model_data_url)
    except DataError as error:
        raise Refused(
            f"{package.arn} points at {package.model_data_url}, where there is no object; "
            "the bucket is versioned: restore it"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise Refused(
            f"the object at {package.model_data_url} is not the model: its digest is {found}, {said_by} says {sha256}. "
            "Someone has replaced it; the bucket is versioned: find who did, and restore it"
        )
    try:
        return artifact.read(data)
    except artifact.ArtifactInvalid as error:
        raise Refused(f"{package.model_data_url} is not a model archive: {error}") from error


def against_record(record: config.ApprovalRecord, where: Platform) -> tuple[registry.Package, Artifact]:
    """The package and the archive of an approval, if the registry still holds what Git recorded.

    Raises:
        Refused: group, digest, place or container differ; nothing was changed.
        CloudError: the registry has no such package.
    """
    path = config.approval_path(record.approval)
    package = registry.package(record.model_package_arn)
    of_group(package, where)
    if package.artifact_sha256 != record.artifact.sha256:
        raise Refused(
            f"{path} says artifact {record.artifact.sha256}, but {package.arn} was registered with "
            f"{package.artifact_sha256 or 'no digest'}: one of them was tampered with"
        )
    if package.model_data_url != record.artifact.uri:
        raise Refused(
            f"{path} says the model is at {record.artifact.uri}, but {package.arn} points at {package.model_data_url}: "
            "it was changed after its approval"
        )
    found = container(package)
    if found != record.container:
        raise Refused(
            f"the container of {package.arn} is not the one that {path} approved (image {found.image}, environment "
            f"{', '.join(sorted(found.environment)) or 'empty'}): it was changed after its approval"
        )
    return package, archive(package, record.artifact.sha256, str(path))
