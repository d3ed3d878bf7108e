"""`fraudops record-failure`: records a failed gate on main and opens or updates one issue per cause.

Approvals that are open and were judged by another gate are closed: nothing newer replaces them now.

The record resolves the requests of the run, so that no later run trains for them again. The bot adds it to main, or
proposes it in a pull request where main is protected. A second run for the same execution changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from ml import clock, config
from ml.console import note, stage
from ml.errors import ConfigError, GitError, Refused, UsageError
from ml.gitops import commit_messages, issues, labels
from ml.gitops.github_client import GitHub
from ml.gitops.remote import ProtectedBranch, Remote
from ml.gitops.repository import Repository
from ml.records import bot_pull_requests
from ml.training import gate_failure, step_summary
from ml.training.gate_result import GateResult
from ml.workflow import runner_commands

CONFIGURATION = "configuration"
"""The cause of a run without a request: a changed configuration, or a manual start."""
_REASON_LIMIT = 1024


@dataclass(frozen=True, kw_only=True)
class RecordedGateFailure:
    """Where a gate failure is recorded and discussed."""

    record: str
    state: Literal["pushed", "proposed", "there already"]
    commit: str
    pull_request: int | None
    """The pull request that adds the record, where main is protected."""
    issues: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Recorded:
    path: Path
    state: Literal["pushed", "proposed", "there already"]
    commit: str
    pull: bot_pull_requests.Opened | None = None


def record_failure(
    root: Path, *, outcome: Path | None = None, document: str | None = None, main: str = "main"
) -> RecordedGateFailure:
    """Records a gate failure on `main`, and reports it in the issue of its cause.

    Args:
        outcome: the file that `fraudops train --outcome` wrote.
        document: instead, the output `gate_failure` of the job that trained. It is untrusted.

    Raises:
        UsageError: neither or both are given. ConfigError: what is given cannot be read. Nothing was recorded.
        Refused: the gate passed the model.
        GitError, GitHubError: run it again once the reason is gone; it is idempotent.
    """
    if (outcome is None) == (document is None):
        raise UsageError("record-failure needs either --outcome FILE or FRAUDOPS_HAND_OVER, which train.yml sets")
    result = gate_failure.read(document) if document is not None else GateResult.read(outcome or Path())
    if result.verdict != "failed":
        raise Refused(f"{outcome}: the gate passed the model; propose it with `fraudops propose`")
    github, remote = GitHub.from_environment(), Remote(Repository.find(root))
    with stage("Recording the gate failure"):
        recorded = _record(github, remote, result, main)
    reported = [_report(github, result, cause) for cause in causes(result)]
    description = _describe(recorded, main)
    note(description)
    for number in bot_pull_requests.close_under_former_gate(github, remote, main=main):
        note(f"#{number} is closed: its model was judged by another gate than the one on {main}")
    named = [(issue.number, issue.url) for issue in reported]
    runner_commands.summary(step_summary.gate_failed(result, recorded=description, issues=named))
    return RecordedGateFailure(
        record=recorded.path.as_posix(),
        state=recorded.state,
        commit=recorded.commit,
        pull_request=recorded.pull.pull.number if recorded.pull else None,
        issues=tuple(number for number, _ in named),
    )


def causes(result: GateResult) -> list[str]:
    """The causes of the run's requests, each once; `configuration` if there were none."""
    return sorted({name.split("Z-", 1)[-1] for name in result.requests}) or [CONFIGURATION]


def _record(github: GitHub, remote: Remote, result: GateResult, main: str) -> _Recorded:
    base = remote.fetch(main)
    if base is None:
        raise GitError(f"{remote.name} has no branch {main} to record the gate failure on")
    existing = _known(remote, base, result)
    if existing is not None:
        return _Recorded(path=existing, state="there already", commit=base)
    branch = f"bot/gate-failure-{result.execution_id}"
    seen = remote.update_local_branch(branch)
    proposed = _known(remote, seen, result) if seen is not None else None
    if seen is not None and proposed is not None:  # proposed before, and not merged yet
        return _proposed(github, remote, result, path=proposed, commit=seen, seen=seen, main=main)
    path, record = _new(remote, base, result)
    commit = remote.commit(base, {path: config.dump(record).encode()}, commit_messages.gate_failure(record, path.stem))
    try:
        pushed = remote.push_main(commit, branch=main)
    except ProtectedBranch as error:
        note(f"{main} is protected from the bot's commits, so a pull request adds the record ({error})")
        return _proposed(github, remote, result, path=path, commit=commit, seen=seen, main=main)
    return _Recorded(path=path, state="pushed", commit=pushed.commit)


def _proposed(
    github: GitHub, remote: Remote, result: GateResult, *, path: Path, commit: str, seen: str | None, main: str
) -> _Recorded:
    opened = bot_pull_requests.pull_request(
        github,
        remote,
        branch=f"bot/gate-failure-{result.execution_id}",
        commit=commit,
        seen=seen,
        base=main,
        title=f"Record a gate failure: {path.stem}",
        body=step_summary.gate_failure_evidence(result, runner_commands.run_url()),
        label=labels.BOT,
    )
    return _Recorded(path=path, state="proposed", commit=commit, pull=opened)


def _known(repository: Repository, revision: str, result: GateResult) -> Path | None:
    """The record of this execution at `revision`, if there is one."""
    for name in repository.files(revision, config.GATE_FAILURES):
        path = Path(name)
        content = repository.show(revision, path) if path.suffix == ".yaml" else None
        if content is None:
            continue
        try:
            record = config.parse(content.decode("utf-8", "replace"), path, config.GateFailureRecord)
        except ConfigError:
            continue  # not this run's; `validate` reports it
        if record.execution_arn == result.execution_arn:
            return path
    return None


def _new(repository: Repository, base: str, result: GateResult) -> tuple[Path, config.GateFailureRecord]:
    """The record, under an unused name: two gate failures of one commit may fall into one second."""
    taken, created = set(repository.files(base, config.GATE_FAILURES)), clock.now().replace(microsecond=0)
    while config.gate_failure_path(created, result.commit).as_posix() in taken:
        created += timedelta(seconds=1)
    record = config.GateFailureRecord(
        kind=result.kind,
        commit=result.commit,
        requests=result.requests,
        verdict=config.Verdict(status="failed", reason=result.reason[:_REASON_LIMIT]),
        evaluation_uri=result.evaluation_uri,
        execution_arn=result.execution_arn,
        created=created,
        budget_exceeded=bool(result.evaluation["budget"]["exceeded"]),
    )
    return config.gate_failure_path(created, result.commit), record


def _report(github: GitHub, result: GateResult, cause: str) -> issues.Issue:
    return issues.report(
        github,
        cause=f"gate failed {cause}",
        label=labels.GATE_FAILURE,
        title=f"Gate failed: {cause}",
        body=step_summary.gate_failure_evidence(result, runner_commands.run_url()),
        occurrence=result.execution_id,
    )


def _describe(recorded: _Recorded, main: str) -> str:
    if recorded.pull is not None:
        return f"#{recorded.pull.pull.number} adds {recorded.path} to {main}, and closes the requests when it is merged"
    if recorded.state == "there already":
        return f"The gate failure was recorded before, as {recorded.path}"
    return f"The gate failure is recorded on {main}, as {recorded.path}"
