"""Reads the model archive of a package, if its bytes have the expected digest. Verifies nothing else of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ml.aws import registry
from ml.errors import Refused
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
