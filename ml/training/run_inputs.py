"""Resolves the inputs of a training run: commit, requests, data, champion. Starts nothing.

Resolving starts nothing. Equal inputs have an equal label, by which whoever comes second finds the execution.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ml import config, console
from ml.aws import platform, registry, source_upload
from ml.aws.lake import Lake, TrainingSet
from ml.aws.pipeline import definition
from ml.aws.platform import Platform
from ml.errors import Refused
from ml.gitops import approvals, serving_pointer
from ml.gitops.repository import Repository
from ml.model.training_settings import Settings
from ml.training import open_requests as retraining
from ml.workflow import toolkit

_SHOWN = 3
_EXPLAINS_A_MODEL = (
    "model-config/training",
    config.REQUESTS.as_posix(),
    config.APPROVALS.as_posix(),
    config.GATE_FAILURES.as_posix(),
    "ml",
)


@dataclass(frozen=True, kw_only=True)
class Champion:
    """The model that serves, as the registry holds it: the folder of its archive, and the archive's digest."""

    approval: int
    uri: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Everything that a run is started with."""

    where: Platform
    commit: str
    training: config.ModelFile
    settings: Settings
    requests: tuple[str, ...]
    window: config.Window
    data: TrainingSet
    champion: Champion | None

    @property
    def token(self) -> str:
        """What the run is about, as SageMaker's idempotency token; nothing of who asks, or how often."""
        about = [sorted(self.requests), self.commit, self.settings.sha256, self.data.sha256]
        return hashlib.sha256(json.dumps(about, separators=(",", ":")).encode()).hexdigest()

    @property
    def label(self) -> str:
        """The execution's display name: SageMaker does not say how long it remembers a token."""
        return f"train-{self.commit[:12]}-{self.token[:32]}"


def resolve(root: Path, requests: Sequence[str] | None, window: config.Window | None) -> Inputs:
    """What a run for the commit checked out at `root` is about, as `train` takes it.

    Raises:
        Refused: uncommitted changes, the root account, or a champion that is not what its approval says.
    """
    repository = Repository(root)
    _refuse_uncommitted(repository)
    commit = repository.head()
    answered = retraining.choose(root, requests)
    _say_left_open([name for name in retraining.open_requests(root) if name not in answered])
    window = window or retraining.window(answered)
    settings = config.load_settings(root)
    platform.refuse_root()
    where = platform.read()
    with console.stage("resolving data and champion"):
        data = Lake(where.bucket).training_set(window.start, window.end)
        champion = _champion(repository, commit)
    console.note(
        f"{data.rows:,} rows, {data.frauds:,} frauds in {len(data.imports)} import(s); data {data.sha256[:12]}"
    )
    _say_meeting(where.bucket, data.meeting)
    return Inputs(
        where=where,
        commit=commit,
        training=config.load_model(root),
        settings=settings,
        requests=tuple(answered),
        window=window,
        data=data,
        champion=champion,
    )


def _say_left_open(names: Sequence[str]) -> None:
    """What this run leaves for another. The run that waited for them may have been replaced by this one."""
    if not names:
        return
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    message = (
        f"open, and not answered by this run: {', '.join(names[:_SHOWN])}{more}; when it has ended, start train.yml "
        "again and name no request"
    )
    console.command(toolkit.annotate("warning", message))


def _say_meeting(bucket: str, meeting: Sequence[tuple[str, str]]) -> None:
    """What the import of the later file has said once, to whoever is about to train on it."""
    for one, two in meeting[:_SHOWN]:
        console.note(
            f"note: s3://{bucket}/{one} and s3://{bucket}/{two} are of imports with events of the same time; if one "
            "corrects the other, training counts them twice: delete the one that was wrong"
        )
    if len(meeting) > _SHOWN:
        console.note(f"note: {len(meeting) - _SHOWN} more pairs of imports have events of the same time")


def put(root: Path, inputs: Inputs) -> dict[str, str]:
    """Uploads code and settings, brings the pipeline up to date, and returns the parameters of the execution."""
    bucket, champion = inputs.where.bucket, inputs.champion
    with console.stage("putting code, settings and pipeline"):
        parameters = {
            "DataManifestUri": inputs.data.manifest_uri,
            "SettingsUri": source_upload.upload_settings(inputs.settings, bucket),
            "CodeUri": source_upload.upload_code(source_upload.tree(root), bucket),
            "ChampionUri": champion.uri if champion else source_upload.upload_no_champion(bucket),
            "ChampionSha256": champion.sha256 if champion else "",
            "Commit": inputs.commit,
            "ConfigSha256": inputs.settings.sha256,
            "DataSha256": inputs.data.sha256,
            "Requests": " ".join(inputs.requests),
            "WindowStart": _moment(inputs.window.start),
            "WindowEnd": _moment(inputs.window.end),
            "InstanceType": inputs.training.compute.instance_type,
        }
        definition.upsert(inputs.where, definition.definition(inputs.where, inputs.training))
    return parameters


def _refuse_uncommitted(repository: Repository) -> None:
    dirty = repository.dirty(*_EXPLAINS_A_MODEL)
    if dirty:
        raise Refused(
            f"{', '.join(dirty)}: not as committed, and a model must be explained by a commit; "
            "commit or put away, then run this again"
        )


def _champion(repository: Repository, commit: str) -> Champion | None:
    """The model that Git says serves at `commit`, if the registry still holds that very model."""
    number = serving_pointer.at(repository, commit).approval
    if number is None:
        return None
    record = approvals.recorded(repository, commit, number)
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
