"""`fraudops history`: what served when, trained on what, approved by whom, on what evidence, replaced why. Reads only.

Git says what was to serve and who merged it, the lake what was deployed, the registry and S3 what was trained and
measured, GitHub who reviewed. Each is compared with the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ml import config
from ml.audit import approval_origin, pointer_history, record_checks
from ml.audit.approval_origin import Origin
from ml.audit.disagreement import Disagreement
from ml.audit.pointer_history import Turn
from ml.audit.training_data import StoredData, TrainingData
from ml.aws import deployment_records, platform_stack
from ml.aws.deployment_records import Deployment
from ml.aws.platform_stack import Platform
from ml.aws.session import Absent
from ml.aws.signing_key import KeyUnavailable
from ml.console import stage
from ml.errors import ConfigError, DataError, Refused
from ml.gitops import approvals
from ml.gitops.repository import Repository
from ml.records import approval_verification, provenance


@dataclass(frozen=True, kw_only=True)
class Served:
    """One turn of a model: from the move of the pointer to the next one that was deployed.

    `approval` is None where the pointer was set to null. `record` is None if it is not on the branch or not readable.
    """

    approval: int | None
    start: datetime | None
    """When it began to serve; None if it never did."""
    end: datetime | None
    """When another model took its place; None if it still serves, or never did."""
    approved: Origin
    record: config.ApprovalRecord | None
    data: TrainingData | None
    deployments: tuple[Deployment, ...]
    signed: bool | None
    """Whether the record has a statement of provenance; None if there is no record, or it could not be verified."""
    replaced: str
    """By what and why; '' if it was not."""
    disagreements: tuple[str, ...]
    unchecked: tuple[str, ...]
    """What could not be compared, and why."""


@dataclass(frozen=True, kw_only=True)
class History:
    """The turns, oldest first; with `at` the one that served then. `disagreements` are those that belong to no turn."""

    endpoint: str
    at: datetime | None
    turns: tuple[Served, ...]
    disagreements: tuple[str, ...]

    @property
    def error(self) -> Disagreement | None:
        """The error that names every place that disagrees; None if there is none."""
        # One place may concern several turns.
        found = [*self.disagreements, *(text for turn in self.turns for text in turn.disagreements)]
        return Disagreement.of(tuple(dict.fromkeys(found)))


def history(root: Path, *, at: datetime | None = None, main: str = "main") -> History:
    """What served on the endpoint, by every source.

    Args:
        at: only what served at this time.

    Raises:
        GitError: there is no repository, or it has no branch `main`.
        CloudError: AWS refuses or cannot be reached; this is no disagreement.
    """
    repository = Repository.find(root)
    where, endpoint = platform_stack.read(), config.load_serving(root).endpoint
    with stage("Reading the deployments and the serving pointer"):
        deployed = [item for item in deployment_records.history(where.bucket) if item.endpoint == endpoint]
        every, wrong = pointer_history.turns(repository, main, deployed)
    chosen = every if at is None else pointer_history.at(every, at)
    with stage(f"Looking for the pull requests of {len(chosen)} moves of the pointer"):
        origins = approval_origin.of([turn.move.landed for turn in chosen], base=main)
    with stage("Comparing records, registry, evaluations, archives and training data"):
        reader = _Reader(repository, main, where)
        turns = [reader.served(turn, every, origins[turn.move.landed.sha]) for turn in chosen]
    return History(endpoint=endpoint, at=at, turns=tuple(turns), disagreements=tuple(wrong))


class _Reader:
    """Reads what belongs to a turn. A record is compared once, also if it served more than once."""

    def __init__(self, repository: Repository, main: str, where: Platform) -> None:
        self._repository, self._main, self._where = repository, main, where
        self._data = StoredData(where.bucket)
        self._verified: dict[int, list[str]] = {}

    def served(self, turn: Turn, every: list[Turn], origin: Origin) -> Served:
        """The turn with its record, data and evidence."""
        wrong = approval_origin.differences(turn.move.landed, origin)
        unchecked = [f"pull requests: {origin.unread}"] if origin.unread else []
        record, data, signed = self._record(turn, wrong), None, None
        if record is not None:
            signed = self._signed(record, wrong, unchecked)
            found = record_checks.check(self._repository, self._main, record)
            data = self._data.training_set(record.data.sha256)
            wrong += [*found.disagreements, *self._registered(record), *data.disagreements]
            wrong += _deployed_otherwise(turn, record)
            unchecked += found.unchecked
        following = every[every.index(turn) + 1 :]
        return Served(
            approval=turn.approval,
            start=turn.start,
            end=turn.end,
            approved=origin,
            record=record,
            data=data,
            deployments=turn.deployments,
            signed=signed,
            replaced=self._replaced(following),
            disagreements=tuple(wrong),
            unchecked=tuple(unchecked),
        )

    def _record(self, turn: Turn, wrong: list[str]) -> config.ApprovalRecord | None:
        if turn.approval is None:
            return None
        path = config.approval_path(turn.approval)
        try:
            record = approvals.read_record(self._repository, self._main, turn.approval)
        except ConfigError as error:
            wrong.append(str(error))
            return None
        if record is None:
            wrong.append(f"{path} is not on {self._main}, and commit {turn.move.landed.sha[:12]} let it serve")
        return record

    def _signed(self, record: config.ApprovalRecord, wrong: list[str], unchecked: list[str]) -> bool | None:
        try:
            return provenance.verify(self._repository, self._main, record)
        except Refused as error:
            wrong.append(str(error))
        except KeyUnavailable as error:
            unchecked.append(f"the statement of provenance: {error}")
        return None

    def _registered(self, record: config.ApprovalRecord) -> list[str]:
        """Where registry, archive and evaluation are not what the record says."""
        if record.approval not in self._verified:
            self._verified[record.approval] = []
            try:
                approval_verification.against_registry(record, self._where)
            except (Refused, Absent, DataError) as error:
                self._verified[record.approval] = [str(error)]
        return self._verified[record.approval]

    def _replaced(self, following: list[Turn]) -> str:
        """By what it was replaced, and why: a rollback, a request with its reason, or a training without one.

        That is the next turn that was deployed; where there is none, the last move of the pointer.
        """
        if not following:
            return ""
        turn = next((each for each in following if each.start is not None), following[-1])
        commit, pending = turn.move.landed, "" if turn.start else ", which is not deployed"
        if turn.approval is None:
            return f"the pointer is null since {commit.sha[:12]} ({commit.subject}); what serves goes on"
        name = f"{turn.approval:04d}"
        if turn.kind == "rollback":
            return f"by a rollback to {name}{pending}: {commit.subject} ({commit.sha[:12]})"
        try:
            record = approvals.read_record(self._repository, self._main, turn.approval)
        except ConfigError as error:
            return f"by {name}{pending}: {error}"
        reasons = [f"{request} ({self._reason(request)})" for request in (record.requests if record else ())]
        return f"by {name}{pending}: {'; '.join(reasons) or self._without_request(record)}"

    def _without_request(self, record: config.ApprovalRecord | None) -> str:
        """The commit from which a model was trained that no request asked for."""
        if record is None or self._repository.resolve(record.commit) is None:
            return "trained without a request"
        (commit,) = self._repository.log(f"{record.commit}^!")
        return f"trained without a request, from {commit.sha[:12]} ({commit.subject})"

    def _reason(self, request: str) -> str:
        path = config.REQUESTS / f"{request}.yaml"
        content = self._repository.show(self._main, path)
        if content is None:
            return "its file is gone"
        try:
            return config.parse(content.decode("utf-8", "replace"), path, config.RetrainRequest).reason
        except ConfigError as error:
            return str(error)


def _deployed_otherwise(turn: Turn, record: config.ApprovalRecord) -> list[str]:
    """Where a deployment says another package or archive than the record."""
    path = config.approval_path(record.approval)
    found = []
    for item in turn.deployments:
        pairs = (
            ("package", item.model_package_arn, record.model_package_arn),
            ("sha256", item.artifact_sha256, record.artifact.sha256),
            ("archive", item.artifact_uri, record.artifact.uri),
        )
        found += [
            f"{deployment_records.HISTORY} says that {what} {theirs} was deployed on {item.finished}, and {path} says "
            f"{ours}"
            for what, theirs, ours in pairs
            if theirs != ours
        ]
    return found
