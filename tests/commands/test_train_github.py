"""What `fraudops train` leaves for its workflow: commit status, outputs, result file, no orphaned execution."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from local_github.domain.records import Status
from local_github.server import LocalGitHub

from ml import config
from ml.aws import executions, registry
from ml.commands.train import dry_run, train
from ml.errors import CloudError, DataError, GateFailed, GitError, Refused, TrainingFailed
from ml.gitops import commit_statuses
from ml.gitops.github_client import GitHub
from ml.training.gate_result import GateResult
from tests.harness.aws.scripted_sagemaker import step
from tests.harness.github.emulator import GRANTS, NAME, WORKFLOW
from tests.harness.platform import training
from tests.harness.platform.training import REQUEST, TrainingPlatform, failed, gate_failed, packages

RUN = "http://git.invalid/acme/fraudops/actions/runs/7"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingPlatform]:
    """The inputs of a training run, in a workflow step without GitHub credentials."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    with training.scripted(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def github(env: TrainingPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalGitHub]:
    """The repository on the GitHub emulator; the step may write statuses."""
    with LocalGitHub(tmp_path / "github") as server:
        server.create_repository(NAME, seed=env.root)
        token = server.token(WORKFLOW, permissions=GRANTS, repository=NAME)
        for name, value in {
            "GITHUB_API_URL": server.api_url,
            "GITHUB_SERVER_URL": "http://git.invalid",
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_TOKEN": token,
            "GITHUB_RUN_ID": "7",
        }.items():
            monkeypatch.setenv(name, value)
        yield server


def statuses_of(server: LocalGitHub, commit: str) -> list[Status]:
    """The statuses of a commit, oldest first."""
    repository = server.state.find("acme", "fraudops")
    assert repository is not None
    return [status for status in repository.statuses if status.sha == commit]


def outputs(tmp_path: Path) -> dict[str, str]:
    """The step's outputs; the last of a name counts."""
    text = (tmp_path / "output").read_text() if (tmp_path / "output").exists() else ""
    return dict(re.findall(r"^(\w+)<<end-\w+\n(.*?)\nend-\w+$", text, re.M | re.S))


def push(server: LocalGitHub, env: TrainingPlatform) -> None:
    """Pushes the repository's commits as a person."""
    repository = server.state.find("acme", "fraudops")
    assert repository is not None
    env.git("push", "-q", str(repository.git.path), "HEAD:refs/heads/main")


def change(env: TrainingPlatform, positives: int) -> str:
    """A commit that changes the gate."""
    gate = (env.root / config.GATE).read_text()
    env.write(config.GATE.as_posix(), re.sub(r"^min_positives: \d+", f"min_positives: {positives}", gate, flags=re.M))
    return env.commit(f"{positives} positives")


def test_execution_is_in_the_commit_status_before_any_waiting(env: TrainingPlatform, github: LocalGitHub) -> None:
    """The pending status names the execution, and the final status has its result."""
    commit, seen = env.git("rev-parse", "HEAD"), list[tuple[str, int]]()
    train(
        env.root,
        progress=lambda _: seen.append((statuses_of(github, commit)[-1].state, len(statuses_of(github, commit)))),
    )
    pending, done = statuses_of(github, commit)
    assert set(seen) == {("pending", 1)}
    assert (pending.context, pending.state, pending.target_url) == (commit_statuses.TRAINING, "pending", RUN)
    assert pending.description == f"Training: {env.only.arn}"
    assert (done.state, done.description) == ("success", "Model package 0001 registered: Recall 0.93 is above 0.60.")


def test_passed_gate_sets_outputs_and_result_file(env: TrainingPlatform, tmp_path: Path) -> None:
    """Verdict, package and execution are step outputs; the rest is in the file."""
    file = tmp_path / "outcome.json"
    result = train(env.root, outcome=file, reason="a new quarter")
    found = GateResult.read(file)
    assert outputs(tmp_path) == {
        "execution_arn": result.execution_arn,
        "package_arn": result.package_arn,
        "verdict": "passed",
    }
    assert (found.verdict, found.package_arn, found.version) == ("passed", result.package_arn, 1)
    assert (found.commit, found.asked, found.execution_arn) == (result.commit, "a new quarter", result.execution_arn)
    assert dict(found.evaluation) == registry.evaluation(registry.package(result.package_arn))


def test_gate_failure_sets_outputs_status_and_result_file(
    env: TrainingPlatform, github: LocalGitHub, tmp_path: Path
) -> None:
    """File, output and status are written although the run ends with the gate's exit code."""
    env.write(f"{config.REQUESTS}/{REQUEST}.yaml", retrain_request())
    commit = env.commit()
    push(github, env)
    env.cloud.script = lambda execution: gate_failed(env.cloud, execution, "Recall gate failed: 0.58 < 0.60.")
    file = tmp_path / "outcome.json"
    with pytest.raises(GateFailed):
        train(env.root, outcome=file)
    found = GateResult.read(file)
    assert (found.verdict, found.package_arn, found.commit, found.requests) == ("failed", None, commit, (REQUEST,))
    assert found.reason == "Recall gate failed: 0.58 < 0.60."
    assert outputs(tmp_path)["verdict"] == "failed"
    last = statuses_of(github, commit)[-1]
    assert (last.state, last.description) == ("failure", "Gate failed: Recall gate failed: 0.58 < 0.60.")


def test_gate_failure_is_published_although_aws_fails_next(
    env: TrainingPlatform, github: LocalGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit's status is final before the execution's parameters are read, which can fail."""
    commit = env.git("rev-parse", "HEAD")
    push(github, env)
    env.cloud.script = lambda execution: gate_failed(env.cloud, execution, "Recall gate failed: 0.58 < 0.60.")

    def unavailable(arn: str) -> dict[str, str]:
        raise CloudError(f"reading {arn}: unavailable")

    monkeypatch.setattr(executions, "parameters", unavailable)
    with pytest.raises(CloudError):
        train(env.root, outcome=tmp_path / "outcome.json")
    last = statuses_of(github, commit)[-1]
    assert (last.state, last.description) == ("failure", "Gate failed: Recall gate failed: 0.58 < 0.60.")
    assert not (tmp_path / "outcome.json").exists()


def retrain_request() -> str:
    """A retrain request."""
    return "kind: fit\ncause: data-drift\nreason: V3 moved\nwindow: {start: null, end: null}\nevidence: {}\n"


def test_resumed_gate_failure_has_commit_and_requests(env: TrainingPlatform, tmp_path: Path) -> None:
    """Requests and commit are read from the execution's parameters."""
    env.write(f"{config.REQUESTS}/{REQUEST}.yaml", retrain_request())
    commit = env.commit()
    env.cloud.script = lambda execution: gate_failed(env.cloud, execution, "Too few frauds")
    with pytest.raises(GateFailed):
        train(env.root)
    file = tmp_path / "outcome.json"
    with pytest.raises(GateFailed):
        train(env.root, resume=env.only.arn, outcome=file)
    assert (GateResult.read(file).commit, GateResult.read(file).requests) == (commit, (REQUEST,))


def test_other_failures_have_no_verdict(env: TrainingPlatform, github: LocalGitHub, tmp_path: Path) -> None:
    """Without a verdict there is an error status and no file, so no later step runs."""
    env.cloud.script = lambda _: failed()
    file = tmp_path / "outcome.json"
    with pytest.raises(TrainingFailed):
        train(env.root, outcome=file)
    assert (outputs(tmp_path).get("verdict"), file.exists()) == (None, False)
    assert statuses_of(github, env.git("rev-parse", "HEAD"))[-1].state == "error"
    assert "step Train failed" in (tmp_path / "summary.md").read_text()


def test_unreachable_github_does_not_stop_training(
    env: TrainingPlatform, github: LocalGitHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing status is a warning, not an error."""
    monkeypatch.setenv("GITHUB_TOKEN", "wrong")
    assert train(env.root).version == 1
    assert "warning: publishing the training status failed" in capsys.readouterr().err


def test_execution_of_a_cancelled_run_is_stopped(env: TrainingPlatform, github: LocalGitHub) -> None:
    """A newer commit's run stops the older execution, and the older commit's status says so."""
    env.cloud.script = lambda _: [("Executing", [step("Prepare", "Executing")])]
    older = env.git("rev-parse", "HEAD")

    def cancelled(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(env.root, progress=cancelled)
    orphan = env.only
    newer = change(env, 16)
    push(github, env)
    env.cloud.script = lambda execution: training.passed(env.cloud, execution)
    outcome = train(env.root)
    assert orphan.now()[0] == "Stopped"
    assert outcome.commit == newer
    assert env.cloud.calls.count("StopPipelineExecution") == 1
    order = [call for call in env.cloud.calls if call in ("StopPipelineExecution", "StartPipelineExecution")]
    assert order == ["StartPipelineExecution", "StopPipelineExecution", "StartPipelineExecution"]
    last = statuses_of(github, older)[-1]
    assert last.state == "error"
    assert (last.description or "").startswith(f"Stopped: the training of {newer[:12]} replaces it.")


def test_re_run_waits_for_its_own_execution(env: TrainingPlatform) -> None:
    """A re-run of a cancelled job waits for the same execution and does not stop it."""

    def cancelled(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(env.root, progress=cancelled)
    assert train(env.root).execution_arn == env.only.arn
    assert "StopPipelineExecution" not in env.cloud.calls


def interrupted(env: TrainingPlatform) -> str:
    """Starts a training, cancels its job while it waits, and returns the execution."""

    def cancelled(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(env.root, progress=cancelled)
    return env.only.arn


@pytest.mark.parametrize("ended", [False, True])
def test_re_run_resumes_its_execution_despite_new_data(
    env: TrainingPlatform, github: LocalGitHub, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    """Running or finished; another run of the same commit uses the new data."""
    own = interrupted(env)
    if ended:
        env.only.looks = 9
    training.store(rows=20, start=training.START + timedelta(days=9))
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    again = train(env.root)
    assert (again.execution_arn, packages()) == (own, 1)
    assert "StopPipelineExecution" not in env.cloud.calls
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "1")
    monkeypatch.setenv("GITHUB_RUN_ID", "8")
    assert train(env.root).execution_arn != own


def test_re_run_starts_another_execution_if_its_own_failed(
    env: TrainingPlatform, github: LocalGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped execution is not resumed with the data that the lake has now."""
    own = interrupted(env)
    env.only.states, env.only.looks = [("Stopped", [])], 0
    training.store(rows=20, start=training.START + timedelta(days=9))
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    assert train(env.root).execution_arn != own


def test_status_that_names_another_training_is_ignored(
    env: TrainingPlatform, github: LocalGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anyone with write access can set a status."""
    other = train(env.root).execution_arn
    commit = change(env, 16)
    push(github, env)
    for name in (other, "nonsense"):
        commit_statuses.set_status(
            GitHub.from_environment(),
            commit,
            context=commit_statuses.TRAINING,
            state="pending",
            description=f"Training: {name}",
            target_url=RUN,
        )
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    assert train(env.root).commit == commit


def test_older_commit_does_not_stop_a_newer_training(env: TrainingPlatform) -> None:
    """A running execution of a newer or unknown commit is named in the refusal, and nothing is started."""
    newer = change(env, 16)
    env.cloud.script = lambda _: [("Executing", [step("Prepare", "Executing")])]

    def cancelled(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(env.root, progress=cancelled)
    env.git("checkout", "-q", "HEAD~1")
    with pytest.raises(Refused, match=f"{env.only.arn} is running for commit {newer}.*not part of"):
        train(env.root)
    env.only.parameters["Commit"] = "f" * 40
    with pytest.raises(Refused, match="not part of"):
        train(env.root)
    assert len(env.cloud.executions) == 1
    assert env.only.now()[0] == "Executing"


def test_dry_run_reports_inputs_and_starts_nothing(env: TrainingPlatform, tmp_path: Path) -> None:
    """The reported inputs equal the parameters of the run that follows."""
    found = dry_run(env.root, reason="`$(x)` @alice")
    assert env.cloud.executions == {}
    assert not {"CreatePipeline", "StartPipelineExecution"} & set(env.cloud.calls)
    assert packages() == 0
    assert outputs(tmp_path) == {"verdict": "dry-run"}
    summary = (tmp_path / "summary.md").read_text()
    assert "Dry run: nothing was started" in summary
    assert "@alice" not in summary
    assert found.execution_arn is None
    train(env.root)
    parameters = env.only.parameters
    assert (found.commit, found.data_sha256, found.config_sha256) == (
        parameters["Commit"],
        parameters["DataSha256"],
        parameters["ConfigSha256"],
    )
    assert parameters["CodeUri"].endswith(f"/code/{found.code_sha256}.tar")
    assert hashlib.sha256(definition()).hexdigest() == found.definition_sha256
    assert dry_run(env.root).execution_arn == env.only.arn


def definition() -> bytes:
    """The stored definition of the pipeline."""
    from ml.aws import platform_stack, session

    answer = session.client("sagemaker").describe_pipeline(PipelineName=platform_stack.pipeline_name())
    text: str = answer["PipelineDefinition"]
    return text.encode()


def test_dry_run_raises_the_errors_of_a_run(env: TrainingPlatform) -> None:
    """A window without data and an uncommitted file are refused."""
    from datetime import timedelta

    window = config.Window(start=training.START + timedelta(days=90), end=None)
    with pytest.raises(DataError, match="data import"):
        dry_run(env.root, window=window)
    env.write(config.GATE.as_posix(), (env.root / config.GATE).read_text() + "\n")
    with pytest.raises(GitError, match=config.GATE.as_posix()):
        dry_run(env.root)
