"""Gathers what an approval pull request shows: evaluation, configuration changes, requests, costs, plots.

Decides nothing; `ml.gitops.approval_text` writes the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import config
from ml.aws import executions, registry
from ml.console import note
from ml.errors import ArtifactError, CloudError, ConfigError, DataError, Refused
from ml.gitops import (
    approval_text,
    approvals,
    commit_messages,
    daily_rates,
    evidence_branch,
    serving_pointer,
    settings_changes,
)
from ml.gitops.github_client import GitHub
from ml.gitops.metric_tables import ScoreBand
from ml.gitops.reason_text import SameCoefficients
from ml.gitops.remote import Remote
from ml.gitops.repository import Repository
from ml.records import model_archive
from ml.workflow import runner_commands

if TYPE_CHECKING:
    from ml.model.artifact import Artifact

_BANDS = 8
_MODEL, _CODE, _NOT_FITTED = "model.json", "code/", {"threshold", "provenance"}
"""Members of an archive, and the fields of model.json that are not fitted."""


def replaced_by(text: str) -> tuple[int, ...]:
    """The numbers of the pull requests that an approval pull request replaces, from its text."""
    line = re.search(r"^" + re.escape(approval_text.REPLACES) + r"((?:#\d+(?:, )?)+)", text, re.M)
    return tuple(int(number) for number in re.findall(r"#(\d+)", line[1])) if line else ()


def gather(
    github: GitHub,
    remote: Remote,
    record: config.ApprovalRecord,
    *,
    signed: bool,
    base: str,
    asked: str,
    replaced: Sequence[int],
) -> approval_text.Page:
    """What the pull request of `record` shows: evaluation, configuration changes, requests, costs, plots.

    Args:
        signed: whether the branch has its signed statement of provenance.
        base: the revision of main that the pull request targets.
        asked: the reason that a person gave for starting the run.
        replaced: the pull requests that this one replaces.

    Raises:
        Refused, ArtifactError: the archive is not the one of the record.
        CloudError, GitHubError, GitError: a source cannot be read, or the plots cannot be published.
    """
    from ml.report import threshold_points

    archive = model_archive.read_approved(record)
    package = registry.package(record.model_package_arn)
    evaluation = registry.evaluation(package)
    since = _champion_commit(remote, record, base)
    folder = config.MODEL.parent
    return approval_text.Page(
        record=record,
        evaluation=evaluation,
        evaluation_uri=package.evaluation_uri,
        serving=serving_pointer.read(remote, base),
        staging=serving_pointer.read(remote, base, config.STAGING)
        if serving_pointer.has_staging(remote, base)
        else None,
        configuration_diff=remote.diff(since, record.commit, folder) if since is not None else "",
        since=since,
        requests=_requests(remote, record),
        steps=_steps(remote, record),
        pictures=_pictures(github, record, evaluation),
        commit_url=f"{github.url}/commit/{record.commit}",
        run_url=runner_commands.run_url(),
        asked=asked,
        replaces=replaced,
        score_bands=score_bands(archive.baseline.get("calibration")),
        signed=signed,
        better_threshold=threshold_points.sentence(evaluation),
        settings=settings_changed(remote, since, record.commit),
        same=_same_as_champion(remote, record, base, archive),
    )


def _same_as_champion(
    repository: Repository, record: config.ApprovalRecord, base: str, archive: Artifact
) -> SameCoefficients | None:
    """What a fit found again of the champion. Kinds that keep its coefficients by intent say so themselves."""
    if record.champion is None or record.kind != "fit":
        return None
    champion = approvals.read_record(repository, base, record.champion.approval)
    if champion is None:
        return None
    try:
        former = model_archive.read_approved(champion)
    except (Refused, ArtifactError, DataError) as error:
        note(f"whether the coefficients are those of the champion is not known: {error}")
        return None
    return same_coefficients(former.files, archive.files)


def same_coefficients(former: Mapping[str, bytes], new: Mapping[str, bytes]) -> SameCoefficients | None:
    """What two archives have in common besides their coefficients; None if these differ.

    Args:
        former, new: the content of each member by its name.
    """
    one, other = (json.loads(files[_MODEL]) for files in (former, new))
    if any(one.get(name) != other.get(name) for name in {*one, *other} - _NOT_FITTED):
        return None
    code, other_code = (
        {name: content for name, content in files.items() if name.startswith(_CODE)} for files in (former, new)
    )
    return SameCoefficients(
        threshold=one["threshold"]["score"] == other["threshold"]["score"],
        code=code == other_code,
    )


def settings_changed(repository: Repository, since: str | None, commit: str) -> list[settings_changes.Change]:
    """The settings of model-config/training that differ between two commits; none without a first one.

    A file that one of them lacks, or that cannot be read there, is left out: the folded diff shows it.
    """
    if since is None:
        return []
    former, new = ([_document(repository, each, path) for path in config.SETTINGS] for each in (since, commit))
    readable = [(one, other) for one, other in zip(former, new, strict=True) if one is not None and other is not None]
    return settings_changes.changes([one for one, _ in readable], [other for _, other in readable])


def _document(repository: Repository, revision: str, path: Path) -> dict[str, Any] | None:
    content = repository.show(revision, path)
    try:
        document = config.load_bytes(content, path) if content is not None else None
    except ConfigError:
        return None
    return document if isinstance(document, dict) else None


def score_bands(calibration: Mapping[str, Sequence[float]] | None) -> list[ScoreBand]:
    """The calibration of a drift reference in at most nine bands of scores, the lowest first.

    A band ends as soon as it holds an eighth of the frauds, so that its share of frauds is not one of a handful; empty
    for a reference without calibration.
    """
    if calibration is None:
        return []
    edges, frauds_in_all = calibration["edges"], sum(calibration["frauds"])
    bands: list[ScoreBand] = []
    low, rows, frauds = None, 0, 0
    for place, (more_rows, more_frauds) in enumerate(zip(calibration["rows"], calibration["frauds"], strict=True)):
        rows, frauds = rows + int(more_rows), frauds + int(more_frauds)
        high = edges[place] if place < len(edges) else None
        if high is None or (frauds and frauds * _BANDS >= frauds_in_all):
            bands.append(ScoreBand(low=low, high=high, rows=rows, frauds=frauds))
            low, rows, frauds = high, 0, 0
    return bands


def _pictures(github: GitHub, record: config.ApprovalRecord, evaluation: Mapping[str, Any]) -> dict[str, str]:
    from ml.report import evaluation_plots

    number = commit_messages.number(record.approval)
    pictures = evaluation_plots.draw(evaluation, days=daily_rates.days(evaluation))
    drawn = {f"approvals/{number}/{name}": content for name, content in pictures.items()}
    addresses = evidence_branch.publish(github, drawn, subject=f"approval {number}")
    return {path.rsplit("/", 1)[1]: address for path, address in addresses.items()}


def _champion_commit(repository: Repository, record: config.ApprovalRecord, base: str) -> str | None:
    """The commit that the champion was trained from, if there is a champion."""
    if record.champion is None:
        return None
    champion = approvals.read_record(repository, base, record.champion.approval)
    return champion.commit if champion is not None else None


def _requests(repository: Repository, record: config.ApprovalRecord) -> dict[str, config.RetrainRequest]:
    """The requests that the model resolves, as of its commit."""
    found = {}
    for name in record.requests:
        path = config.REQUESTS / f"{name}.yaml"
        content = repository.show(record.commit, path)
        if content is not None:
            found[name] = config.parse(content.decode("utf-8", "replace"), path, config.RetrainRequest)
    return found


def _steps(repository: Repository, record: config.ApprovalRecord) -> list[approval_text.Step]:
    """Durations and instances of the run's jobs; empty if SageMaker no longer knows the run."""
    content = repository.show(record.commit, config.MODEL) or b""
    compute = config.parse(content.decode("utf-8", "replace"), config.MODEL, config.ModelFile).compute
    try:
        steps = executions.describe(record.execution_arn).steps
    except CloudError as error:
        note(f"the cost of the run is not known: {error}")
        return []
    return [
        approval_text.Step(
            name=step.name,
            seconds=0.0 if step.cached else step.seconds or 0.0,
            instance_type=compute.instance_type,
            instance_count=compute.instances if step.name in {"Prepare", "Train"} else 1,
        )
        for step in steps
        if step.job_arn or step.cached
    ]
