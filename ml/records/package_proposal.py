"""Proposes a registered package as two commits on a branch; merging that branch approves it.

It verifies that the package is what was trained and evaluated, and writes to Git only. It merges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ml import clock, config
from ml.aws import platform_stack, registry
from ml.aws.platform_stack import Platform
from ml.console import stage
from ml.errors import CloudError, ConfigError, Refused
from ml.gitops import approvals, serving_pointer
from ml.gitops.approvals import ApprovalBranch
from ml.gitops.repository import Repository
from ml.records import approval_verification, model_archive, provenance
from ml.records.approval_record import record_of

_EXECUTION = re.compile(r"/executions/(?P<id>[^/]+)/")
_PROVENANCE = ("commit", "config_sha256", "data_sha256")


class OutOfDate(Refused):
    """The model was compared with another model than the one that serves now, which `serves` names."""

    def __init__(self, message: str, *, serves: str) -> None:
        super().__init__(message)
        self.serves = serves


def propose_package(
    repository: Repository,
    model_package_arn: str,
    *,
    execution_arn: str | None = None,
    main: str = "main",
    signs: bool = False,
) -> ApprovalBranch:
    """Verifies a registered package and creates its branch approve/NNNN; a second call changes nothing.

    Args:
        execution_arn: the pipeline execution that registered the package; if None, the one that evaluated it.
        main: the revision that the branch is created on.
        signs: whether a new record gets a signed statement of provenance, if the caller may sign.

    Raises:
        Refused: package, archive, evaluation and this repository do not agree, or the gate failed.
        OutOfDate: it was compared with another model than the one that `main` points at.
        GitError: the branch cannot be created; nothing was lost.
        CloudError: the registry has no such package, or AWS cannot be reached.
    """
    where = platform_stack.read()
    with stage("Verifying the package, its archive and its evaluation"):
        record = _record(repository, where, model_package_arn, execution_arn, main)
    return approvals.propose(
        repository, record, main=main, sign=lambda made: provenance.sign(repository, made) if signs else None
    )


def _record(
    repository: Repository, where: Platform, arn: str, execution_arn: str | None, main: str
) -> config.ApprovalRecord:
    package = registry.package(arn)
    approval_verification.of_group(package, where)
    if package.status == registry.REJECTED:
        raise Refused(f"{arn} is rejected ({package.reason or 'no reason given'}); train again, or approve another")
    evaluation = registry.evaluation(package)
    verdict = evaluation["verdict"]
    if verdict["status"] != "passed":
        raise Refused(f"{arn} did not pass the gate: {verdict['reason']}")
    _same("artifact", package.artifact_sha256, evaluation["artifact"]["sha256"], package)
    _same("kind", package.kind, evaluation["kind"], package)
    model = model_archive.read(package, package.artifact_sha256, f"the registry ({arn})").model
    for name in _PROVENANCE:
        _same(name, package.metadata.get(name, ""), evaluation["provenance"][name], package)
        _same(name, package.metadata.get(name, ""), (model.document.provenance or {}).get(name), package)
    _refuse_unexplained(repository, package)
    merged = approvals.read_record(repository, main, package.version)
    # On main already: its record names the champion, and propose() compares the two records.
    champion = merged.champion if merged else _champion(repository, evaluation["champion"], package, main)
    return record_of(
        package,
        evaluation,
        execution_arn=execution_arn or package.metadata.get("execution_arn") or _execution(package, where),
        champion=champion,
        not_reproducible=_model_file(repository, package.metadata["commit"]).not_reproducible,
        created=clock.now(),
    )


def _same(what: str, registered: str, found: object, package: registry.Package) -> None:
    if registered != found:
        raise Refused(
            f"{package.arn} was registered with {what} {registered or 'unknown'}, but {package.evaluation_uri} or the "
            f"archive says {found or 'unknown'}: they are not of one run; train again"
        )


def _refuse_unexplained(repository: Repository, package: registry.Package) -> None:
    """Refuses a model whose commit is unknown, or whose settings are not those of that commit."""
    commit = package.metadata["commit"]
    if repository.resolve(commit) is None:
        raise Refused(f"{package.arn} was trained from commit {commit}, which this repository lacks; fetch it first")
    try:
        found = config.parse_settings(lambda path: (repository.show(commit, path) or b"").decode("utf-8", "replace"))
    except ConfigError as error:
        raise Refused(f"{package.arn} was trained from commit {commit}, where {error}") from error
    if found.sha256 != package.metadata["config_sha256"]:
        raise Refused(
            f"{package.arn} was trained with configuration {package.metadata['config_sha256']}, but commit {commit} "
            f"has {found.sha256}: it is not what that commit explains; train again"
        )


def _model_file(repository: Repository, commit: str) -> config.ModelFile:
    text = (repository.show(commit, config.MODEL) or b"").decode("utf-8", "replace")
    return config.parse(text, config.MODEL, config.ModelFile)


def _champion(
    repository: Repository, compared: Mapping[str, Any], package: registry.Package, main: str
) -> config.Champion | None:
    """The model that `main` points at, if the package was compared with it; else OutOfDate."""
    number = serving_pointer.read(repository, main).approval
    served = approvals.read_record(repository, main, number) if number is not None else None
    if compared["artifact_sha256"] != (served.artifact.sha256 if served else None):
        serves = f"approval {served.approval:04d}" if served else "nothing"
        raise OutOfDate(
            f"{package.arn} was compared with {compared['artifact_sha256'] or 'no champion'}, but {main} says that "
            f"{serves} serves: its verdict is out of date; train again from {main} as it is now",
            serves=serves,
        )
    if served is None:
        return None
    return config.Champion(
        approval=served.approval,
        model_package_arn=served.model_package_arn,
        artifact_sha256=served.artifact.sha256,
        comparison=compared["status"],
        reason=compared["reason"],
    )


def _execution(package: registry.Package, where: Platform) -> str:
    match = _EXECUTION.search(package.evaluation_uri)
    if match is None:
        raise CloudError(f"{package.evaluation_uri} is not below executions/; give the execution's ARN")
    partition = package.arn.split(":")[1]
    name = f"{where.pipeline}/execution/{match['id']}"
    return f"arn:{partition}:sagemaker:{where.region}:{where.account}:pipeline/{name}"
