"""Reads the model archive of a package or a record, if its bytes have the expected digest. Verifies nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ml import config
from ml.aws import registry, s3_objects
from ml.errors import ArtifactError, Refused
from ml.records import approval_verification

if TYPE_CHECKING:
    from ml.model.artifact import Artifact


def read(package: registry.Package, sha256: str, source: str) -> Artifact:
    """The model that `package` points at.

    Args:
        sha256: the digest that the archive must have.
        source: what states that digest, for the refusal.

    Raises:
        Refused: there is no object, its digest differs, or it is no model archive.
    """
    from ml.model import artifact

    content = approval_verification.archive(package, sha256, source)
    try:
        return artifact.read(content)
    except artifact.ArtifactInvalid as error:
        raise Refused(f"{package.model_data_url} is not a model archive: {error}") from error


def read_approved(record: config.ApprovalRecord) -> Artifact:
    """The model that `record` approved, from the place that it names; the registry is not asked.

    Raises:
        Refused: the object has another digest.
        DataError: there is no object.
        ArtifactError: it is no model archive.
    """
    from ml.model import artifact

    content = s3_objects.read(record.artifact.uri)
    digest = hashlib.sha256(content).hexdigest()
    if digest != record.artifact.sha256:
        raise Refused(
            f"{record.artifact.uri} has sha256 {digest}, but {config.approval_path(record.approval)} approved "
            f"{record.artifact.sha256}; find out who replaced it"
        )
    try:
        return artifact.read(content)
    except artifact.ArtifactInvalid as error:
        raise ArtifactError(f"{record.artifact.uri}: is not a model archive ({error})") from error
