"""Compares approval records with the registry: package, archive and evaluation. Refuses; corrects nothing.

A record is derived again from the package and its evaluation, and every field must be equal. So a record that was not
written from them is refused, whoever committed it and whatever event brought it. The author of a commit proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ml import config
from ml.aws import registry
from ml.aws.platform_stack import Platform
from ml.errors import Refused
from ml.records import artifact_verification
from ml.records.package_proposal import record_of

if TYPE_CHECKING:
    from ml.model.artifact import Artifact

_SHOWN = 4


def against_registry(record: config.ApprovalRecord, where: Platform) -> tuple[registry.Package, Artifact]:
    """The package and the archive of an approval, if every field of its record is what the registry holds.

    Raises:
        Refused: a field differs, or archive or evaluation were replaced; nothing was changed.
        CloudError: the registry has no such package, or S3 no such evaluation.
    """
    path = config.approval_path(record.approval)
    package, artifact = artifact_verification.against_record(record, where)
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
    return package, artifact


def _differences(record: config.ApprovalRecord, package: registry.Package, evaluation: Mapping[str, Any]) -> list[str]:
    """Each field whose value is not the one that package and evaluation give."""
    execution_arn = package.metadata.get("execution_arn") or record.execution_arn
    derived = record_of(
        package, evaluation, execution_arn=execution_arn, champion=record.champion, created=record.created
    )
    ours, theirs = _flat(record.model_dump(mode="json")), _flat(derived.model_dump(mode="json"))
    return [
        f"{name} is {ours.get(name, 'absent')}, and the registry has {theirs.get(name, 'none')}"
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    ]


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
