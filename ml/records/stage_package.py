"""Makes an approved model available in the package group of a stage that is not production. Nothing is rebuilt.

Production's group has every model under its approval's number, because training registers it there. Staging's group
gets a copy of an approved one: the same archive and evaluation, byte for byte. Approves nothing.
"""

from __future__ import annotations

import hashlib

from ml import config
from ml.aws import registry, s3_objects, stage_registry
from ml.aws.platform_stack import Platform
from ml.errors import DataError, Refused
from ml.records import approval_verification
from ml.records.approval_record import container


def ensure(record: config.ApprovalRecord, source: registry.Package, where: Platform) -> registry.Package:
    """The copy of `record`'s package in the group of the stage `where`; registers it if it is missing.

    Args:
        source: the package that the record names, verified against the record.

    Raises:
        Refused: the copy's archive, evaluation or container is not that of the record.
        CloudError: AWS refuses or cannot be reached; run it again.
    """
    found = stage_registry.find(where.package_group, record.approval, record.artifact.sha256)
    if found is None:
        found = stage_registry.copy(
            source,
            where.package_group,
            where.bucket,
            approval=record.approval,
            archive=approval_verification.archive(source, record.artifact.sha256, _path(record)),
            evaluation=_evaluation(source.evaluation_uri, record),
        )
    verify(record, found)
    return found


def verify(record: config.ApprovalRecord, copy: registry.Package) -> None:
    """Refuses a copy whose archive, evaluation or container is not that of the record. Raises Refused, CloudError."""
    approval_verification.archive(copy, record.artifact.sha256, _path(record))
    _evaluation(copy.evaluation_uri, record)
    if container(copy) != record.container:
        raise Refused(
            f"the container of {copy.arn} is not the one that {_path(record)} approved: it was changed in the "
            f"registry. Delete this package, and run `fraudops deploy --staging` again"
        )


def _evaluation(uri: str, record: config.ApprovalRecord) -> bytes:
    try:
        content = s3_objects.read(uri)
    except DataError as error:
        raise Refused(f"there is no evaluation at {uri}; the bucket is versioned: restore it") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != record.evaluation.sha256:
        raise Refused(
            f"{uri} has sha256 {digest}, and {_path(record)} says {record.evaluation.sha256}: it was replaced"
        )
    return content


def _path(record: config.ApprovalRecord) -> str:
    return str(config.approval_path(record.approval))
