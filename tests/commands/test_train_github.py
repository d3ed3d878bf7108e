"""What a training leaves for the workflow around it: its execution beside the commit, outputs, outcome, no orphan."""

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
from ml.aws import registry
from ml.commands.train import dry_run, train
from ml.errors import DataError, GateFailed, Refused, TrainingFailed
from ml.gitops import statuses
from ml.gitops.github_client import GitHub
from ml.training.gate_result import GateResult
from tests.harness.aws.scripted_sagemaker import step
from tests.harness.github.emulator import GRANTS, NAME, WORKFLOW
from tests.harness.platform import training
from tests.harness.platform.training import REQUEST, TrainingPlatform, failed, gate_failed, packages

RUN = "http://git.invalid/acme/fraudops/actions/runs/7"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingPlatform]:
    """Everything that a training run needs, in a workflow's step whose GitHub is not configured."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    with training.scripted(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def github(env: TrainingPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalGitHub]:
    """Its repository on a GitHub, which the step may write statuses to."""
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


def said(server: LocalGitHub, commit: str) -> list[Status]:
    """The statuses of a commit, oldest first."""
    repository = server.state.find("acme", "fraudops")
    assert repository is not None
    return [status for status in repository.statuses if status.sha == commit]


def outputs(tmp_path: Path) -> dict[str, str]:
    """The step's outputs; the last of a name counts."""
    text = (tmp_path / "output").read_text() if (tmp_path / "output").exists() else ""
    return dict(re.findall(r"^(\w+)<<end-\w+\n(.*?)\nend-\w+$", text, re.M | re.S))


def push(server: LocalGitHub, env: TrainingPlatform) -> None:
    """Brings the repository's commits to GitHub, as a person's push does."""
    repository = server.state.find("acme", "fraudops")
    assert repository is not None
    env.git("push", "-q", str(repository.git.path), "HEAD:refs/heads/main")


def change(env: TrainingPlatform, positives: int) -> str:
    """A commit that changes the gate."""
    gate = (env.root / config.GATE).read_text()
    env.write(config.GATE.as_posix(), re.sub(r"^min_positives: \d+", f"min_positives: {positives}", gate, flags=re.M))
    return env.commit(f"{positives} positives")


def test_the_execution_is_kept_with_the_commit_before_any_waiting(env: TrainingPlatform, github: LocalGitHub) -> None:
    """Whoever loses the run finds its execution; how it ended is said in the same place."""
    commit, seen = env.git("rev-parse", "HEAD"), list[tuple[str, int]]()
    train(env.root, progress=lambda _: seen.append((said(github, commit)[-1].state, len(said(github, commit)))))
    pending, done = said(github, commit)
    assert set(seen) == {("pending", 1)}
    assert (pending.context, pending.state, pending.target_url) == (statuses.TRAINING, "pending", RUN)
    assert pending.description == f"Training: {env.only.arn}"
    assert (done.state, done.description) == ("success", "Model package 0001 registered: Recall 0.93 is above 0.60.")


def test_a_passed_gate_is_handed_on(env: TrainingPlatform, tmp_path: Path) -> None:
    """Verdict, package and execution as the step's outputs; the rest in the file."""
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


def test_a_failed_gate_is_handed_on_before_it_fails(env: TrainingPlatform, github: LocalGitHub, tmp_path: Path) -> None:
    """The file, the output and the status are there although the run ends with the gate's exit code."""
    env.write(f"{config.REQUESTS}/{REQUEST}.yaml", training_world_request())
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
    last = said(github, commit)[-1]
    assert (last.state, last.description) == ("failure", "Gate failed: Recall gate failed: 0.58 < 0.60.")


def training_world_request() -> str:
    """A retrain request."""
    return "cause: data-drift\nreason: V3 moved\nwindow: {start: null, end: null}\nevidence: {}\n"


def test_a_resumed_gate_failure_knows_what_it_was_about(env: TrainingPlatform, tmp_path: Path) -> None:
    """By the execution alone: its requests and its commit are its own parameters."""
    env.write(f"{config.REQUESTS}/{REQUEST}.yaml", training_world_request())
    commit = env.commit()
    env.cloud.script = lambda execution: gate_failed(env.cloud, execution, "Too few frauds")
    with pytest.raises(GateFailed):
        train(env.root)
    file = tmp_path / "outcome.json"
    with pytest.raises(GateFailed):
        train(env.root, resume=env.only.arn, outcome=file)
    assert (GateResult.read(file).commit, GateResult.read(file).requests) == (commit, (REQUEST,))


def test_another_failure_is_neither_passed_nor_failed(
    env: TrainingPlatform, github: LocalGitHub, tmp_path: Path
) -> None:
    """No verdict, no file, an error beside the commit: nobody proposes, and nobody closes a request."""
    env.cloud.script = lambda _: failed()
    file = tmp_path / "outcome.json"
    with pytest.raises(TrainingFailed):
        train(env.root, outcome=file)
    assert (outputs(tmp_path).get("verdict"), file.exists()) == (None, False)
    assert said(github, env.git("rev-parse", "HEAD"))[-1].state == "error"
    assert "step Train failed" in (tmp_path / "summary.md").read_text()


def test_github_that_is_down_stops_no_training(
    env: TrainingPlatform, github: LocalGitHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A status is not worth a training; that it is missing is said."""
    monkeypatch.setenv("GITHUB_TOKEN", "wrong")
    assert train(env.root).version == 1
    assert "warning: publishing the training status failed" in capsys.readouterr().err


def test_the_orphan_of_a_cancelled_run_is_stopped(env: TrainingPlatform, github: LocalGitHub) -> None:
    """A newer commit trains alone, and the older one's status says where its training went."""
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
    last = said(github, older)[-1]
    assert last.state == "error"
    assert (last.description or "").startswith(f"Stopped: the training of {newer[:12]} takes its place.")


def test_a_training_of_this_runs_own_is_no_orphan(env: TrainingPlatform) -> None:
    """A re-run of a cancelled job waits for the same execution."""

    def cancelled(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(env.root, progress=cancelled)
    assert train(env.root).execution_arn == env.only.arn
    assert "StopPipelineExecution" not in env.cloud.calls


def interrupted(env: TrainingPlatform) -> str:
    """A training whose job is cancelled while it waits; its execution."""

    def cancelled(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(env.root, progress=cancelled)
    return env.only.arn


@pytest.mark.parametrize("ended", [False, True])
def test_a_re_run_goes_on_with_its_own_although_data_have_landed(
    env: TrainingPlatform, github: LocalGitHub, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    """Whether it still runs or has registered a package; another run of the same commit trains on what is there."""
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


def test_a_re_run_starts_anew_where_its_own_came_to_nothing(
    env: TrainingPlatform, github: LocalGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped, and what there is to train on is another thing by now."""
    own = interrupted(env)
    env.only.states, env.only.looks = [("Stopped", [])], 0
    training.store(rows=20, start=training.START + timedelta(days=9))
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    assert train(env.root).execution_arn != own


def test_a_status_that_names_another_training_leads_nowhere(
    env: TrainingPlatform, github: LocalGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody who may push may write one."""
    other = train(env.root).execution_arn
    commit = change(env, 16)
    push(github, env)
    for name in (other, "nonsense"):
        statuses.set_status(
            GitHub.from_environment(),
            commit,
            context=statuses.TRAINING,
            state="pending",
            description=f"Training: {name}",
            target_url=RUN,
        )
    monkeypatch.setenv("GITHUB_RUN_ATTEMPT", "2")
    assert train(env.root).commit == commit


def test_a_newer_training_is_not_stopped_by_an_older(env: TrainingPlatform) -> None:
    """Nor one whose commit nobody knows here: it is named, and nothing is started."""
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


def test_a_dry_run_says_all_and_starts_nothing(env: TrainingPlatform, tmp_path: Path) -> None:
    """What it names is what the run is then told."""
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
    told = env.only.parameters
    assert (found.commit, found.data_sha256, found.config_sha256) == (
        told["Commit"],
        told["DataSha256"],
        told["ConfigSha256"],
    )
    assert told["CodeUri"].endswith(f"/code/{found.code_sha256}/")
    assert hashlib.sha256(definition()).hexdigest() == found.definition_sha256
    assert dry_run(env.root).execution_arn == env.only.arn


def definition() -> bytes:
    """The definition that the pipeline has."""
    from ml.aws import session
    from ml.aws.pipeline import definition as pipeline

    answer = session.client("sagemaker").describe_pipeline(PipelineName=pipeline.NAME)
    text: str = answer["PipelineDefinition"]
    return text.encode()


def test_a_dry_run_fails_for_what_the_run_would_fail_for(env: TrainingPlatform) -> None:
    """A window without data, a file that is not committed."""
    from datetime import timedelta

    window = config.Window(start=training.START + timedelta(days=90), end=None)
    with pytest.raises(DataError, match="data import"):
        dry_run(env.root, window=window)
    env.write(config.GATE.as_posix(), (env.root / config.GATE).read_text() + "\n")
    with pytest.raises(Refused, match=config.GATE.as_posix()):
        dry_run(env.root)
