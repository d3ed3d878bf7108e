"""`fraudops train` against a scripted SageMaker: started once, explained always. The jobs themselves run in the e2e."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ml import config
from ml.aws import platform, registry, session
from ml.commands.train import train
from ml.errors import CloudError, ConfigError, DataError, GateFailed, Refused, TrainingFailed
from tests.harness.aws.scripted_sagemaker import step
from tests.harness.platform import training
from tests.harness.platform.training import (
    BUCKET,
    REQUEST,
    START,
    TrainingPlatform,
    failed,
    gate_failed,
    packages,
    passed,
    store,
)


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingPlatform]:
    """Everything that a training run needs, and the script of one that passes the gate."""
    with training.scripted(tmp_path, monkeypatch) as found:
        yield found


def test_a_commit_becomes_a_registered_package(env: TrainingPlatform) -> None:
    """The outcome names execution, package, commit, evidence and seconds; the ARN was told before the waiting."""
    told: list[str] = []
    outcome = train(env.root, on_started=lambda arn: told.append(f"{arn} {env.only.looks}"))
    assert told == [f"{env.only.arn} 0"]
    assert (outcome.execution_arn, outcome.version, outcome.commit) == (
        env.only.arn,
        1,
        env.git("rev-parse", "HEAD"),
    )
    assert outcome.evaluation["verdict"]["status"] == "passed"
    assert outcome.evaluation_uri.endswith("/evaluation.json")
    assert outcome.seconds["Prepare"] == 3.0


def test_the_execution_is_told_all_that_explains_the_model(env: TrainingPlatform) -> None:
    """Commit, digests and addresses by digest; nothing serves yet, so the champion is the sentinel."""
    train(env.root)
    told = env.only.parameters
    settings = config.load_settings(env.root)
    assert told["Commit"] == env.git("rev-parse", "HEAD")
    assert told["SettingsUri"] == f"s3://{BUCKET}/configs/{settings.sha256}/"
    assert told["ConfigSha256"] == settings.sha256
    assert told["DataManifestUri"] == f"s3://{BUCKET}/training-sets/{told['DataSha256']}/dataset.manifest"
    assert told["CodeUri"].startswith(f"s3://{BUCKET}/code/")
    assert (told["ChampionUri"], told["ChampionSha256"]) == (f"s3://{BUCKET}/champions/none/", "")
    assert (told["Requests"], told["WindowStart"], told["WindowEnd"]) == ("", "", "")
    keys = [item["Key"] for item in session.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    prefix = told["CodeUri"].removeprefix(f"s3://{BUCKET}/")
    assert {f"{prefix}run.sh", f"{prefix}ml/steps/train.py"} <= set(keys)


def test_running_it_again_gives_the_package_it_made(env: TrainingPlatform) -> None:
    """The same commit, requests, settings and data are trained once."""
    first = train(env.root)
    assert train(env.root) == first
    assert packages() == 1
    assert env.cloud.calls.count("StartPipelineExecution") == 1


def test_another_commit_is_another_execution(env: TrainingPlatform) -> None:
    """A change that is committed is trained anew."""
    train(env.root)
    gate = env.root / config.GATE
    gate.write_text(gate.read_text().replace("min_positives: 15 ", "min_positives: 16 ", 1))
    env.commit()
    train(env.root)
    assert len(env.cloud.executions) == 2


def test_other_data_is_another_execution(env: TrainingPlatform) -> None:
    """New rows in the lake are trained on, though nothing was committed."""
    train(env.root)
    store(rows=5, start=START + timedelta(days=3))
    train(env.root)
    assert len(env.cloud.executions) == 2


def test_a_killed_run_is_waited_for_by_the_next(env: TrainingPlatform) -> None:
    """Whoever comes second finds the execution running, and one package comes of it."""

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(env.root, progress=interrupted)
    outcome = train(env.root)
    assert outcome.execution_arn == env.only.arn
    assert packages() == 1


def test_resume_waits_and_starts_nothing(env: TrainingPlatform) -> None:
    """With the ARN of an execution neither the tree, the data nor the platform is asked again."""
    arn = train(env.root).execution_arn
    env.write("ml/model/unfinished.py", "edited meanwhile\n")
    calls = len(env.cloud.calls)
    assert train(env.root, resume=arn).version == 1
    assert not {"CreatePipeline", "StartPipelineExecution", "RetryPipelineExecution"} & set(env.cloud.calls[calls:])


def test_a_failed_gate_brings_its_evidence(env: TrainingPlatform) -> None:
    """The message is the gate's own, for a person; the evaluation and its address come along; nothing is registered."""
    reason = "Recall gate failed: 0.58 ≤ 0.60 on 246 frauds in the test window. No package registered."
    env.cloud.script = lambda execution: gate_failed(env.cloud, execution, reason)
    with pytest.raises(GateFailed) as caught:
        train(env.root)
    assert str(caught.value) == f"{reason} The evidence: {caught.value.evaluation_uri}"
    assert caught.value.evaluation["verdict"]["checks"][0]["limit"] == 0.6
    assert caught.value.evaluation_uri.startswith(f"s3://{BUCKET}/executions/")
    assert caught.value.execution_arn == env.only.arn
    assert packages() == 0


def test_a_failed_gate_is_not_tried_again(env: TrainingPlatform) -> None:
    """The same inputs would be judged the same: the second run hears the verdict and pays for nothing."""
    env.cloud.script = lambda execution: gate_failed(env.cloud, execution, "Too few frauds")
    for _ in range(2):
        with pytest.raises(GateFailed, match="Too few frauds"):
            train(env.root)
    assert (len(env.cloud.executions), env.only.retries) == (1, [])


def test_a_failed_execution_goes_on_where_it_failed(env: TrainingPlatform) -> None:
    """Run again for the same inputs, the same execution is retried and one package comes of it."""
    env.cloud.script = lambda _: failed()
    with pytest.raises(TrainingFailed):
        train(env.root)
    env.cloud.retry_script = lambda execution: passed(env.cloud, execution)
    outcome = train(env.root)
    assert outcome.execution_arn == env.only.arn
    assert len(env.only.retries) == 1
    assert packages() == 1


def test_a_stopped_execution_is_told_and_goes_on_next_time(env: TrainingPlatform) -> None:
    """Stopped by someone is not the gate's no: it is said, and the next run lets it go on."""
    env.cloud.script = lambda _: [("Stopped", [step("Prepare"), step("Train", "Stopped")])]
    with pytest.raises(TrainingFailed, match="was stopped"):
        train(env.root)
    env.cloud.retry_script = lambda execution: passed(env.cloud, execution)
    assert train(env.root).version == 1


def test_resuming_a_failed_execution_does_not_retry_it(env: TrainingPlatform) -> None:
    """`resume` reports; only a run may spend money."""
    env.cloud.script = lambda _: failed()
    with pytest.raises(TrainingFailed):
        train(env.root)
    with pytest.raises(TrainingFailed, match="step Train failed"):
        train(env.root, resume=env.only.arn)
    assert env.only.retries == []


def test_an_aws_that_turns_away_leaves_the_way_back(env: TrainingPlatform) -> None:
    """If watching ends before the execution does, the message says how to wait on."""
    env.cloud.faults = [("ListPipelineExecutionSteps", 400, "AccessDeniedException")]
    with pytest.raises(CloudError, match=r"AccessDenied.*fraudops train --resume arn:aws:sagemaker"):
        train(env.root)


@pytest.mark.parametrize(
    "path", ["ml/model/gate.py", "ml/steps/new.py", "model-config/training/gate.yaml", f"{config.REQUESTS}/x.yaml"]
)
def test_what_is_not_committed_is_not_trained(env: TrainingPlatform, path: str) -> None:
    """Edited or new files that would explain the model are refused by name, and nothing is started."""
    env.write(path, "edited\n") if path.endswith("new.py") else env.write(
        path, (env.root / path).read_text() + "\n" if (env.root / path).exists() else "cause: x\n"
    )
    with pytest.raises((Refused, ConfigError), match=path):
        train(env.root)
    assert env.cloud.executions == {}


def test_other_files_may_be_edited_meanwhile(env: TrainingPlatform) -> None:
    """A changed README explains no model."""
    env.write("README.md", "draft\n")
    assert train(env.root).version == 1


def test_the_root_account_is_refused_before_anything_is_written(
    env: TrainingPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root is refused with nothing uploaded, put or started."""
    monkeypatch.setattr(platform, "caller", lambda: "arn:aws:iam::123456789012:root")
    before = session.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"]
    with pytest.raises(Refused, match="root"):
        train(env.root)
    assert session.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == before
    assert not {"CreatePipeline", "StartPipelineExecution"} & set(env.cloud.calls)


def test_a_window_without_data_is_said(env: TrainingPlatform) -> None:
    """A window that no import overlaps starts nothing."""
    window = config.Window(start=START + timedelta(days=90), end=None)
    with pytest.raises(DataError, match="data import"):
        train(env.root, window=window)
    assert env.cloud.executions == {}


def request(start: str | None, end: str | None) -> str:
    """A retrain request for that window."""
    window = f"{{start: {start or 'null'}, end: {end or 'null'}}}"
    return f"cause: data-drift\nreason: V3 moved\nwindow: {window}\nevidence: {{}}\n"


def test_open_requests_are_answered_on_their_window(env: TrainingPlatform) -> None:
    """Without being told, a run takes every open request and trains where they ask."""
    env.write(f"{config.REQUESTS}/{REQUEST}.yaml", request("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"))
    env.commit()
    outcome = train(env.root)
    assert outcome.requests == (REQUEST,)
    told = env.only.parameters
    assert (told["Requests"], told["WindowStart"], told["WindowEnd"]) == (
        REQUEST,
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
    )


def test_a_window_given_by_hand_wins(env: TrainingPlatform) -> None:
    """Whoever dispatches a run may choose its data."""
    window = config.Window(start=START, end=START + timedelta(days=1))
    train(env.root, window=window)
    assert env.only.parameters["WindowEnd"] == "2026-01-02T00:00:00Z"


def approve(env: TrainingPlatform, arn: str, sha256: str) -> None:
    """Commits approval 1 of the package and points at it, as an approval's two commits do."""
    record = config.ApprovalRecord(
        approval=1,
        model_package_arn=arn,
        artifact=config.Artifact(uri=registry.package(arn).model_data_url, sha256=sha256),
        container=config.Container(image="image:1", environment={}),
        commit="c" * 40,
        config_sha256="1" * 64,
        data=config.TrainingData(sha256="2" * 64, window=config.Window(start=None, end=None), rows=10, frauds=1),
        requests=(),
        execution_arn=env.only.arn,
        metrics={},
        threshold=0.5,
        verdict=config.Verdict(status="passed", reason="Good"),
        champion=None,
        created=START,
    )
    env.write(config.approval_path(1).as_posix(), config.dump(record))
    serving = env.root / config.SERVING
    serving.write_text(serving.read_text().replace("approval: null", "approval: 1"))
    env.commit("approve")


def test_the_champion_is_the_model_that_git_says_serves(env: TrainingPlatform) -> None:
    """The pointer leads to the record, the record to the package; its archive's folder and digest go along."""
    first = train(env.root)
    url = registry.package(first.package_arn).model_data_url
    approve(env, first.package_arn, registry.digest(url))
    train(env.root)
    told = list(env.cloud.executions.values())[-1].parameters
    assert told["ChampionUri"] == url.removesuffix("model.tar.gz")
    assert told["ChampionSha256"] == registry.digest(url)


def test_a_swapped_champion_is_refused(env: TrainingPlatform) -> None:
    """An archive that is not the approved one is not compared with, and both digests are named."""
    first = train(env.root)
    approve(env, first.package_arn, "d" * 64)
    with pytest.raises(Refused, match=f"not what was approved.*{'d' * 64}"):
        train(env.root)
    assert len(env.cloud.executions) == 1


def test_the_same_inputs_give_the_same_token_whoever_asks(env: TrainingPlatform) -> None:
    """Two machines that start at one moment start one execution: the token is of the inputs alone."""
    train(env.root)
    token = env.only.token
    env.cloud.executions.clear()
    train(env.root)
    assert env.only.token == token
