"""Makes and verifies the signed statement of an approval: how the model was made, in the words of in-toto and SLSA.

The statement is made where the model is proposed, from the record, the execution and Git, and lies beside the record.
`deploy` and `history` verify it. Trains nothing, and decides nothing about the model.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from ml import config
from ml.aws import executions, platform_stack, signing_key
from ml.aws.signing_key import KeyUnavailable
from ml.clock import stamp
from ml.config import statement_file
from ml.console import command, stage
from ml.errors import ConfigError, Refused
from ml.gitops import commit_messages
from ml.gitops.repository import Repository
from ml.workflow import runner_commands

_LOCKS = {"single": ("ml/steps/requirements.txt",), "spark": ("ml/steps/requirements.txt", "ml/spark/requirements.txt")}
"""The locks of the jobs' packages by compute.engine."""
_SUFFIX = ".intoto.json"


def sign(repository: Repository, record: config.ApprovalRecord) -> bytes | None:
    """The content of the statement's file for a new approval; None, with a warning, if nobody here may sign.

    Raises:
        CloudError: the execution cannot be read, or AWS cannot be reached; nothing was signed.
    """
    with stage("Signing the statement of provenance"):
        try:
            key = signing_key.key_arn()
            payload = json.dumps(_statement(repository, record), sort_keys=True, separators=(",", ":")).encode()
            signature = signing_key.sign(statement_file.pre_authentication_encoding(payload), key=key)
        except KeyUnavailable as error:
            reason = (
                f"approval {commit_messages.number(record.approval)} gets no signed statement of provenance: {error}. "
                "`fraudops bootstrap --repository OWNER/NAME` makes the key, and train.yml alone may sign"
            )
            command(runner_commands.annotate("warning", reason))
            return None
    return statement_file.envelope(payload, key=key, signature=signature)


def verify(repository: Repository, revision: str, record: config.ApprovalRecord) -> bool:
    """Whether the approval has a statement, which is then signed with the account's key and about this model.

    An approval without one is accepted if its record on the branch is older than the first statement that the branch
    has ever had: it was made before there was a key. Numbers do not count, and neither does a statement's deletion.

    Raises:
        Refused: the statement is missing, forged, signed with another key, or about another model.
        CloudError: KMS refuses or cannot be reached; nothing was verified.
    """
    path = config.statement_path(record.approval)
    content = repository.show(revision, path)
    if content is None:
        first = first_statement(repository, revision)
        if first is not None and not _is_older(repository, revision, record, first):
            raise Refused(
                f"{config.approval_path(record.approval)} has no statement of provenance: {path} is not at "
                f"{revision[:12]}, and approvals have one since commit {first[:12]}. Its model cannot be traced to a "
                "training; run train.yml again"
            )
        return False
    try:
        found = statement_file.parse_statement(content, path)
    except ConfigError as error:
        raise Refused(f"{error}; restore the file as train.yml wrote it") from error
    if not signing_key.is_signed(found.signed, found.signature):
        raise Refused(
            f"{path} was not signed with {signing_key.alias()}, which only the role of train.yml may use for that (it "
            f"names the key {found.key}): it was forged or changed, or the key was replaced. Run train.yml again"
        )
    wrong = statement_file.differences(found.statement, record)
    if wrong:
        raise Refused(
            f"{path} is the statement of another model than {config.approval_path(record.approval)}: {'; '.join(wrong)}"
        )
    return True


def first_statement(repository: Repository, revision: str) -> str | None:
    """The commit on the branch of `revision` that added the first statement, also if it is gone; None if none did."""
    added = [sha for sha, path in repository.additions(revision, config.APPROVALS) if path.endswith(_SUFFIX)]
    return added[-1] if added else None


def _is_older(repository: Repository, revision: str, record: config.ApprovalRecord, first: str) -> bool:
    """Whether the record was last written by a commit on the branch before `first`."""
    commits = repository.log(revision, config.approval_path(record.approval), first_parent=True)
    return bool(commits) and commits[0].sha != first and repository.is_ancestor(commits[0].sha, first)


def _statement(repository: Repository, record: config.ApprovalRecord) -> dict[str, Any]:
    """The statement as JSON values, in the form of `ml.config.statement_file`."""
    window = record.data.window
    definition = executions.definition(record.execution_arn)
    steps = executions.describe(record.execution_arn).steps
    started = min((step.started for step in steps if step.started), default=None)
    ended = max((step.ended for step in steps if step.ended), default=None)
    return {
        "_type": statement_file.STATEMENT_TYPE,
        "subject": [_resource(statement_file.SUBJECT, record.artifact.uri, sha256=record.artifact.sha256)],
        "predicateType": statement_file.PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": statement_file.BUILD_TYPE,
                "externalParameters": {
                    "kind": record.kind,
                    "requests": list(record.requests),
                    "window": {
                        "start": stamp(window.start) if window.start else None,
                        "end": stamp(window.end) if window.end else None,
                    },
                },
                "internalParameters": {
                    "modelPackage": record.model_package_arn,
                    "pipelineExecution": record.execution_arn,
                },
                "resolvedDependencies": _dependencies(repository, record, definition),
            },
            "runDetails": {
                "builder": {"id": _builder()},
                "metadata": {
                    "invocationId": _invocation() or record.execution_arn,
                    **({"startedOn": stamp(started)} if started else {}),
                    "finishedOn": stamp(ended or record.created),
                },
                "byproducts": [_resource("evaluation.json", record.evaluation.uri, sha256=record.evaluation.sha256)],
            },
        },
    }


def _dependencies(repository: Repository, record: config.ApprovalRecord, definition: str) -> list[dict[str, Any]]:
    given = executions.parameters(record.execution_arn)
    found = [
        _resource("source", _source(), gitCommit=record.commit),
        _resource("settings", given.get("SettingsUri"), sha256=record.config_sha256),
        _resource("data", given.get("DataManifestUri"), sha256=record.data.sha256),
        _resource("code", given.get("CodeUri")),
        _resource("pipeline definition", None, sha256=hashlib.sha256(definition.encode()).hexdigest()),
        *(_resource(f"image of {step}", image) for step, image in executions.images(definition).items()),
    ]
    text = (repository.show(record.commit, config.MODEL) or b"").decode("utf-8", "replace")
    settings = config.parse(text, config.MODEL, config.ModelFile)
    for lock in _LOCKS[settings.compute.engine]:
        content = repository.show(record.commit, lock)
        if content is not None:
            found.append(_resource(lock, None, sha256=hashlib.sha256(content).hexdigest()))
    if record.champion is not None:
        found.append(_resource("champion", given.get("ChampionUri"), sha256=record.champion.artifact_sha256))
    return found


def _resource(name: str, uri: str | None, **digest: str) -> dict[str, Any]:
    return {"name": name, **({"uri": uri} if uri else {}), **({"digest": digest} if digest else {})}


def _source() -> str | None:
    server, repository = (os.environ.get(f"GITHUB_{key}") for key in ("SERVER_URL", "REPOSITORY"))
    return f"git+{server}/{repository}" if server and repository else None


def _invocation() -> str | None:
    """The attempt of the workflow's run, by its page; None where none runs."""
    run, attempt = runner_commands.run_url(), os.environ.get("GITHUB_RUN_ATTEMPT")
    return f"{run}/attempts/{attempt}" if run and attempt else run


def _builder() -> str:
    """The workflow by its file and ref, or the caller's ARN where none runs."""
    server, workflow = (os.environ.get(f"GITHUB_{key}") for key in ("SERVER_URL", "WORKFLOW_REF"))
    return f"{server}/{workflow}" if server and workflow else platform_stack.caller()
