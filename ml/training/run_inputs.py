"""Resolves the inputs of a training run: commit, requests, data, champion. Starts nothing.

Equal inputs have an equal label, by which a second run finds the first one's execution.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ml import config, console
from ml.aws import platform_stack, registry, source_upload, training_sets
from ml.aws.lake import Lake
from ml.aws.pipeline import definition
from ml.aws.platform_stack import Platform
from ml.aws.training_sets import TrainingSet
from ml.errors import GitError, Refused
from ml.gitops import approvals, serving_pointer
from ml.gitops.repository import Repository
from ml.model import run_kinds
from ml.model.run_kinds import RunKind
from ml.model.training_settings import Settings
from ml.training import open_requests as retraining
from ml.workflow import runner_commands

_LISTED = 3
_MODEL_SOURCES = (
    "model-config/training",
    config.REQUESTS.as_posix(),
    config.APPROVALS.as_posix(),
    config.GATE_FAILURES.as_posix(),
    "ml",
)


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The serving model as the registry holds it: the folder of its archive, and the archive's digest."""

    approval: int
    uri: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """All inputs of a run."""

    where: Platform
    kind: RunKind
    commit: str
    training: config.ModelFile
    settings: Settings
    requests: tuple[str, ...]
    window: config.Window
    data: TrainingSet
    champion: Champion | None

    @property
    def token(self) -> str:
        """SageMaker's idempotency token: a digest of kind, requests, commit, settings and data."""
        about = [self.kind, sorted(self.requests), self.commit, self.settings.sha256, self.data.sha256]
        return hashlib.sha256(json.dumps(about, separators=(",", ":")).encode()).hexdigest()

    @property
    def label(self) -> str:
        """The execution's display name, used to find it: SageMaker does not document how long a token is remembered."""
        return f"{self.kind}-{self.commit[:12]}-{self.token[:32]}"


def resolve(root: Path, requests: Sequence[str] | None, window: config.Window | None) -> Inputs:
    """The inputs of a run for the commit checked out at `root`.

    Raises:
        GitError: uncommitted changes.
        Refused: the root account, or a champion that differs from its approval record.
    """
    repository = Repository(root)
    _refuse_uncommitted(repository)
    commit = repository.head()
    answered = retraining.choose(root, requests)
    kind = _kind(repository, answered)
    _warn_about_open_requests([name for name in retraining.open_requests(root) if name not in answered])
    window = window or retraining.window(answered, kind)
    settings = config.load_settings(root)
    _refuse_without_champion(repository, commit, kind, answered)
    platform_stack.refuse_root()
    where = platform_stack.read()
    with console.stage("resolving data and champion"):
        unit = settings.training.columns.time_unit
        data = training_sets.choose(Lake(where.bucket), window.start, window.end, time_unit=unit)
        champion = _champion(repository, commit)
    console.note(
        f"run of kind {kind}: {data.rows:,} rows, {data.frauds:,} frauds in {len(data.imports)} import(s); data "
        f"{data.sha256[:12]}"
    )
    _warn_about_overlapping_imports(where.bucket, data.meeting)
    return Inputs(
        where=where,
        kind=kind,
        commit=commit,
        training=config.load_model(root),
        settings=settings,
        requests=tuple(answered),
        window=window,
        data=data,
        champion=champion,
    )


def _kind(repository: Repository, requests: Mapping[str, config.RetrainRequest]) -> RunKind:
    """The kind of the run: `fit` without requests or after a push to training/, else the widest of the requests.

    A push to training/ changes what is fitted, and only a fit uses all of it: the other kinds keep the champion's
    coefficients.
    """
    before, after = (str(runner_commands.event().get(side) or "") for side in ("before", "after"))
    if all(commit and repository.resolve(commit) is not None for commit in (before, after)):
        changed = repository.changes(before, after, config.MODEL.parent)
        if changed:
            return run_kinds.FIT
    return run_kinds.widest(request.kind for request in requests.values())


def _refuse_without_champion(
    repository: Repository, commit: str, kind: RunKind, requests: Mapping[str, config.RetrainRequest]
) -> None:
    if not run_kinds.needs_champion(kind) or serving_pointer.read(repository, commit).approval is not None:
        return
    named = ", ".join(name for name, request in requests.items() if request.kind == kind)
    raise Refused(
        f"{named} requests a run of kind {kind}, which starts from the model that serves, and {config.SERVING} names "
        "none; nothing was started. Name the requests of kind fit (--request), or add one"
    )


def _warn_about_open_requests(names: Sequence[str]) -> None:
    """Names the requests that stay open: the run that was to resolve them may have been replaced by this one."""
    if not names:
        return
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    message = (
        f"open, and not resolved by this run: {', '.join(names[:_LISTED])}{more}; when it has ended, start train.yml "
        "again and name no request"
    )
    console.command(runner_commands.annotate("warning", message))


def _warn_about_overlapping_imports(bucket: str, meeting: Sequence[tuple[str, str]]) -> None:
    """Repeats the warning that the later import printed, because training counts such events twice."""
    for one, two in meeting[:_LISTED]:
        console.note(
            f"note: s3://{bucket}/{one} and s3://{bucket}/{two} belong to imports with events of the same time; if one "
            "corrects the other, training counts them twice: delete the wrong one"
        )
    if len(meeting) > _LISTED:
        console.note(f"note: {len(meeting) - _LISTED} more pairs of imports have events of the same time")


def put(root: Path, inputs: Inputs) -> dict[str, str]:
    """Uploads code and settings, updates the pipeline, and returns the parameters of the execution."""
    with console.stage("uploading code, settings and pipeline"):
        found = upload(root, inputs)
        definition.upsert(inputs.where, definition.definition(inputs.where, inputs.training))
    return found


def upload(root: Path, inputs: Inputs) -> dict[str, str]:
    """Uploads the code at `root` and the settings, and returns the parameters of an execution."""
    bucket, champion = inputs.where.bucket, inputs.champion
    # A fit does not read the champion before Evaluate, so that its Train step is cached whatever serves.
    base = champion if run_kinds.needs_champion(inputs.kind) else None
    none = source_upload.upload_no_champion(bucket)
    return {
        "Kind": inputs.kind,
        "DataManifestUri": inputs.data.manifest_uri,
        "SettingsUri": source_upload.upload_settings(inputs.settings, bucket),
        "CodeUri": source_upload.upload_code(source_upload.tree(root), bucket),
        "ChampionUri": champion.uri if champion else none,
        "ChampionSha256": champion.sha256 if champion else "",
        "BaseModelUri": base.uri if base else none,
        "BaseModelSha256": base.sha256 if base else "",
        "Commit": inputs.commit,
        "ConfigSha256": inputs.settings.sha256,
        "DataSha256": inputs.data.sha256,
        "Requests": " ".join(inputs.requests),
        "WindowStart": _moment(inputs.window.start),
        "WindowEnd": _moment(inputs.window.end),
        "InstanceType": inputs.training.compute.instance_type,
    }


def _refuse_uncommitted(repository: Repository) -> None:
    dirty = repository.dirty(*_MODEL_SOURCES)
    if dirty:
        raise GitError(
            f"{', '.join(dirty)}: uncommitted changes, and a model must be reproducible from a commit; "
            "commit or stash the changes, then run this again"
        )


def _champion(repository: Repository, commit: str) -> Champion | None:
    """The model that the serving pointer names at `commit`, if the registry still holds exactly that model."""
    number = serving_pointer.read(repository, commit).approval
    if number is None:
        return None
    record = approvals.read_record(repository, commit, number)
    if record is None:
        raise Refused(f"{config.SERVING} points at approval {number:04d}, which has no record; nothing was started")
    package = registry.package(record.model_package_arn)
    folder, _, name = package.model_data_url.rpartition("/")
    found = registry.digest(package.model_data_url)
    if found != record.artifact.sha256 or name != "model.tar.gz":
        raise Refused(
            f"the champion is not what was approved: {package.model_data_url} has sha256 {found}, "
            f"{config.approval_path(number)} says {record.artifact.sha256}; nothing was started. "
            "Find out who replaced it before anything is trained against it"
        )
    return Champion(approval=number, uri=f"{folder}/", sha256=found)


def _moment(moment: datetime | None) -> str:
    return moment.isoformat().replace("+00:00", "Z") if moment else ""
