"""Compares approval records with the registry: package, archive and evaluation. Refuses; corrects nothing.

A record is derived again from the package and its evaluation, and every field must be equal. So a record that was not
written from them is refused, for every author and every event. The author of a commit proves nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from ml import config
from ml.aws import registry, s3_objects
from ml.aws.platform_stack import Platform
from ml.errors import DataError, Refused
from ml.records.approval_record import container, record_of

_SHOWN = 4


def of_group(package: registry.Package, where: Platform) -> None:
    """Refuses a package of another group than the platform's."""
    if package.group != where.package_group:
        raise Refused(
            f"{package.arn} is of group {package.group}; this platform approves models of {where.package_group} only"
        )


def archive(package: registry.Package, sha256: str, source: str) -> bytes:
    """The bytes of the model archive that `package` points at, if their digest is `sha256`; not parsed.

    `source` names what states the digest, for the refusal.
    """
    try:
        content = s3_objects.read(package.model_data_url)
    except DataError as error:
        raise Refused(
            f"{package.arn} points at {package.model_data_url}, where there is no object; "
            "the bucket is versioned: restore it"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise Refused(
            f"the object at {package.model_data_url} is not the model: its digest is {found}, {source} says {sha256}. "
            "Someone has replaced it; the bucket is versioned: find who did, and restore it"
        )
    return content


def against_registry(record: config.ApprovalRecord, where: Platform) -> registry.Package:
    """The package of an approval, if every field of its record is what registry and S3 hold.

    Raises:
        Refused: a field differs, or archive or evaluation are missing or were replaced; nothing was changed.
        Absent: the registry has no such package, or S3 no such evaluation.
        CloudError: AWS refuses for another reason, or cannot be reached: nothing was compared.
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
    archive(package, record.artifact.sha256, str(path))
    if package.evaluation_sha256 != record.evaluation.sha256:
        raise Refused(
            f"{path} says evaluation {record.evaluation.sha256}, but {package.arn} was registered with "
            f"{package.evaluation_sha256 or 'no digest'}: one of them was changed"
        )
    evaluation = registry.evaluation(package)
    differences = [*_differences(record, package, evaluation), *_champion(record, evaluation["champion"])]
    if differences:
        shown = "; ".join(differences[:_SHOWN])
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise Refused(
            f"{path} is not the record of {package.arn}: {shown}{more}. `fraudops propose` writes records from the "
            "registry; close this and run train.yml again"
        )
    return package


def _differences(record: config.ApprovalRecord, package: registry.Package, evaluation: Mapping[str, Any]) -> list[str]:
    """Each field whose value is not the one that package and evaluation give."""
    execution_arn = package.metadata.get("execution_arn") or record.execution_arn
    derived = record_of(
        package,
        evaluation,
        execution_arn=execution_arn,
        champion=record.champion,
        not_reproducible=record.not_reproducible,  # Git has it, in the settings of the commit
        created=record.created,
    )
    ours, theirs = _flat(record.model_dump(mode="json")), _flat(derived.model_dump(mode="json"))
    return [
        f"{name} is {ours.get(name, 'absent')}, and the registry has {theirs.get(name, 'none')}"
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    ] + (
        []
        if record.kind == evaluation["kind"]
        else [f"kind is {record.kind}, and the evaluation has {evaluation['kind']}"]
    )


def _champion(record: config.ApprovalRecord, compared: Mapping[str, Any]) -> list[str]:
    """Where the record's champion is not the model that the evaluation compared with."""
    named = record.champion
    ours = {
        "artifact_sha256": named.artifact_sha256 if named else None,
        "comparison": named.comparison if named else "none",
        "reason": named.reason if named else compared["reason"],
    }
    theirs = {"comparison": compared["status"], **{key: compared[key] for key in ("artifact_sha256", "reason")}}
    return [
        f"champion.{name} is {ours[name]}, and the evaluation has {theirs[name]}"
        for name in ours
        if ours[name] != theirs[name]
    ]


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of a nested document by dotted name; a list is one leaf."""
    leaves: dict[str, Any] = {}
    for key, value in document.items():
        leaves |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return leaves
