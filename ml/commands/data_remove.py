"""`fraudops data remove`: removes an import from the data lake. Never removes one that a registered model was trained
on, unless told.
"""

from __future__ import annotations

from dataclasses import dataclass

from ml.aws import platform_stack, registry, training_sets
from ml.aws.import_manifest import ImportManifest
from ml.aws.lake import Lake
from ml.errors import DataError, Refused


@dataclass(frozen=True, kw_only=True)
class RemovalPlan:
    """The import to remove, and the registered models that were trained on it.

    `unknown` are models whose training set can no longer be read, so that nothing says what they were trained on.
    """

    bucket: str
    manifest: ImportManifest
    models: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What was removed: the import, its rows, and the number of objects."""

    name: str
    rows: int
    objects: int


def plan(name: str) -> RemovalPlan:
    """What `remove` would remove; changes nothing.

    Raises:
        Refused: the caller is the account's root user.
        DataError: there is no such import.
        CloudError: the platform, S3 or the registry cannot be read.
    """
    platform_stack.refuse_root()
    where = platform_stack.read()
    found = next((item for item in Lake(where.bucket).imports() if item.name == name), None)
    if found is None:
        raise DataError(f"s3://{where.bucket}/raw/: no import {name}; `fraudops data list` shows them")
    keys = {file.key for file in found.files}
    models, unknown = [], []
    for package in registry.packages(where.package_group):
        listed = training_sets.keys(where.bucket, package.metadata.get("data_sha256", ""))
        if listed is None:
            unknown.append(package.arn)
        elif keys & listed:
            models.append(package.arn)
    return RemovalPlan(bucket=where.bucket, manifest=found, models=tuple(models), unknown=tuple(unknown))


def check(found: RemovalPlan, *, even_if_trained: bool) -> None:
    """Raises Refused if a registered model was, or may have been, trained on the import, unless told."""
    if even_if_trained or not (found.models or found.unknown):
        return
    named = ", ".join((*found.models, *found.unknown)[:3])
    count = len(found.models) + len(found.unknown)
    what = "were trained on it" if found.models else "were trained on a set that can no longer be read"
    raise Refused(
        f"import {found.manifest.name}: {count} registered model(s) {what} ({named}), and could not be trained again "
        f"from the same data; keep the import, or remove it with --even-if-trained"
    )


def remove(found: RemovalPlan, *, even_if_trained: bool) -> Removed:
    """Removes the import. The bucket keeps former versions of the objects as long as the platform's setting says.

    Raises:
        Refused: as `check`.
        DataError, CloudError: the import is gone, or an object cannot be deleted; a repeated call continues.
    """
    check(found, even_if_trained=even_if_trained)
    keys = Lake(found.bucket).remove(found.manifest.name)
    return Removed(name=found.manifest.name, rows=found.manifest.rows, objects=len(keys))
