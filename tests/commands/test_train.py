"""`fraudops train` against a scripted SageMaker: one execution per input, and errors. Jobs run in the e2e tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ml import config
from ml.aws import platform_stack, registry, session, source_upload
from ml.commands.train import train
from ml.errors import CloudError, ConfigError, DataError, GateFailed, GitError, Refused, TrainingFailed
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
    """The inputs of a training run, and a scripted execution that passes the gate."""
    with training.scripted(tmp_path, monkeypatch) as found:
        yield found


def test_train_registers_a_package(env: TrainingPlatform) -> None:
    """The result has execution, package, commit, evidence and seconds; `on_started` is called before any waiting."""
    started: list[str] = []
    outcome = train(env.root, on_started=lambda arn: started.append(f"{arn} {env.only.looks}"))
    assert started == [f"{env.only.arn} 0"]
    assert (outcome.execution_arn, outcome.version, outcome.commit) == (
        env.only.arn,
        1,
        env.git("rev-parse", "HEAD"),
    )
    assert outcome.evaluation["verdict"]["status"] == "passed"
    assert outcome.evaluation_uri.endswith("/evaluation.json")
    assert outcome.seconds["Prepare"] == 3.0


def test_execution_parameters_identify_all_inputs(env: TrainingPlatform) -> None:
    """Parameters are commit, digests and URIs by digest; without a serving model the champion is the sentinel."""
    train(env.root)
    parameters = env.only.parameters
    settings = config.load_settings(env.root)
    assert parameters["Commit"] == env.git("rev-parse", "HEAD")
    assert parameters["SettingsUri"] == f"s3://{BUCKET}/configs/{settings.sha256}/"
    assert parameters["ConfigSha256"] == settings.sha256
    assert parameters["DataManifestUri"] == f"s3://{BUCKET}/training-sets/{parameters['DataSha256']}/dataset.manifest"
    assert parameters["ChampionUri"] == f"s3://{BUCKET}/champions/none/"
    keys = [item["Key"] for item in session.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]]
    digest = source_upload.digest(source_upload.tree(env.root))
    assert parameters["CodeUri"] == f"s3://{BUCKET}/code/{digest}.tar"
    assert f"code/{digest}.tar" in keys


def test_execution_gets_no_empty_parameter(env: TrainingPlatform) -> None:
    """StartPipelineExecution refuses empty values; what a first run lacks is left to the definition's defaults."""
    train(env.root)
    assert "" not in env.only.parameters.values()
    assert not {"ChampionSha256", "Requests", "WindowStart", "WindowEnd"} & set(env.only.parameters)


def test_second_run_returns_the_same_package(env: TrainingPlatform) -> None:
    """The same commit, requests, settings and data are trained once."""
    first = train(env.root)
    assert train(env.root) == first
    assert packages() == 1
    assert env.cloud.calls.count("StartPipelineExecution") == 1


def test_another_commit_starts_another_execution(env: TrainingPlatform) -> None:
    """A committed change is trained in an execution of its own."""
    train(env.root)
    gate = env.root / config.GATE
    gate.write_text(gate.read_text().replace("min_positives: 15 ", "min_positives: 16 ", 1))
    env.commit()
    train(env.root)
    assert len(env.cloud.executions) == 2


def test_new_data_start_another_execution(env: TrainingPlatform) -> None:
    """New rows in the lake start a training without a new commit."""
    train(env.root)
    store(rows=5, start=START + timedelta(days=3))
    train(env.root)
    assert len(env.cloud.executions) == 2


def test_next_run_waits_for_the_execution_of_a_killed_run(env: TrainingPlatform) -> None:
    """The second run finds the running execution, which registers one package."""

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(env.root, progress=interrupted)
    outcome = train(env.root)
    assert outcome.execution_arn == env.only.arn
    assert packages() == 1


def test_resume_starts_nothing(env: TrainingPlatform) -> None:
    """With an execution's ARN, `train` reads neither the tree, nor the data, nor the platform."""
    arn = train(env.root).execution_arn
    env.write("ml/model/unfinished.py", "edited meanwhile\n")
    calls = len(env.cloud.calls)
    assert train(env.root, resume=arn).version == 1
    assert not {"CreatePipeline", "StartPipelineExecution", "RetryPipelineExecution"} & set(env.cloud.calls[calls:])


def test_gate_failure_carries_the_evaluation(env: TrainingPlatform) -> None:
    """The error has the gate's message, the evaluation and its URI; no package is registered."""
    reason = "Recall gate failed: 0.58 ≤ 0.60 on 246 frauds in the test window. No package registered."
    env.cloud.script = lambda execution: gate_failed(env.cloud, execution, reason)
    with pytest.raises(GateFailed) as caught:
        train(env.root)
    assert str(caught.value) == f"{reason} The evidence: {caught.value.evaluation_uri}"
    assert caught.value.evaluation["verdict"]["checks"][0]["limit"] == 0.6
    assert caught.value.evaluation_uri.startswith(f"s3://{BUCKET}/executions/")
    assert caught.value.execution_arn == env.only.arn
    assert packages() == 0


def test_gate_failure_is_not_retried(env: TrainingPlatform) -> None:
    """The same inputs give the same verdict, so the second run reports it and starts no job."""
    env.cloud.script = lambda execution: gate_failed(env.cloud, execution, "Too few frauds")
    for _ in range(2):
        with pytest.raises(GateFailed, match="Too few frauds"):
            train(env.root)
    assert (len(env.cloud.executions), env.only.retries) == (1, [])


def test_failed_execution_is_retried_from_the_failed_step(env: TrainingPlatform) -> None:
    """A second run for the same inputs retries the same execution, which registers one package."""
    env.cloud.script = lambda _: failed()
    with pytest.raises(TrainingFailed):
        train(env.root)
    env.cloud.retry_script = lambda execution: passed(env.cloud, execution)
    outcome = train(env.root)
    assert outcome.execution_arn == env.only.arn
    assert len(env.only.retries) == 1
    assert packages() == 1


def test_stopped_execution_is_reported_and_then_retried(env: TrainingPlatform) -> None:
    """A stopped execution is no gate failure; it is reported, and the next run retries it."""
    env.cloud.script = lambda _: [("Stopped", [step("Prepare"), step("Train", "Stopped")])]
    with pytest.raises(TrainingFailed, match="was stopped"):
        train(env.root)
    env.cloud.retry_script = lambda execution: passed(env.cloud, execution)
    assert train(env.root).version == 1


def test_resume_does_not_retry_a_failed_execution(env: TrainingPlatform) -> None:
    """`resume` only reports; jobs that cost money are started by a run without it."""
    env.cloud.script = lambda _: failed()
    with pytest.raises(TrainingFailed):
        train(env.root)
    with pytest.raises(TrainingFailed, match="step Train failed"):
        train(env.root, resume=env.only.arn)
    assert env.only.retries == []


def test_aws_error_while_waiting_names_the_resume_command(env: TrainingPlatform) -> None:
    """If the wait fails before the execution ends, the message says how to resume."""
    env.cloud.faults = [("ListPipelineExecutionSteps", 400, "AccessDeniedException")]
    with pytest.raises(CloudError, match=r"AccessDenied.*fraudops train --resume arn:aws:sagemaker"):
        train(env.root)


@pytest.mark.parametrize(
    "path", ["ml/model/gate.py", "ml/steps/new.py", "model-config/training/gate.yaml", f"{config.REQUESTS}/x.yaml"]
)
def test_uncommitted_inputs_are_refused(env: TrainingPlatform, path: str) -> None:
    """Edited or new files that determine the model are refused by name, and nothing is started."""
    env.write(path, "edited\n") if path.endswith("new.py") else env.write(
        path, (env.root / path).read_text() + "\n" if (env.root / path).exists() else "kind: fit\ncause: x\n"
    )
    with pytest.raises((GitError, ConfigError), match=path):
        train(env.root)
    assert env.cloud.executions == {}


def test_other_files_may_be_uncommitted(env: TrainingPlatform) -> None:
    """An edited README does not affect the model."""
    env.write("README.md", "draft\n")
    assert train(env.root).version == 1


def test_root_account_is_refused_before_anything_is_written(
    env: TrainingPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root is refused with nothing uploaded, created or started."""
    monkeypatch.setattr(platform_stack, "caller", lambda: "arn:aws:iam::123456789012:root")
    before = session.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"]
    with pytest.raises(Refused, match="root"):
        train(env.root)
    assert session.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == before
    assert not {"CreatePipeline", "StartPipelineExecution"} & set(env.cloud.calls)


def test_window_without_data_is_refused(env: TrainingPlatform) -> None:
    """A window that no import overlaps starts nothing."""
    window = config.Window(start=START + timedelta(days=90), end=None)
    with pytest.raises(DataError, match="data import"):
        train(env.root, window=window)
    assert env.cloud.executions == {}


def request(start: str | None, end: str | None, kind: config.RunKind = "fit") -> str:
    """A retrain request for that window."""
    window = f"{{start: {start or 'null'}, end: {end or 'null'}}}"
    return f"kind: {kind}\ncause: data-drift\nreason: V3 moved\nwindow: {window}\nevidence: {{}}\n"


def test_open_requests_set_the_training_window(env: TrainingPlatform) -> None:
    """By default a run takes every open request and trains on their window."""
    env.write(f"{config.REQUESTS}/{REQUEST}.yaml", request("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"))
    env.commit()
    outcome = train(env.root)
    assert outcome.requests == (REQUEST,)
    parameters = env.only.parameters
    assert (parameters["Requests"], parameters["WindowStart"], parameters["WindowEnd"]) == (
        REQUEST,
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
    )


def test_window_argument_overrides_that_of_the_requests(env: TrainingPlatform) -> None:
    """The person who starts a run may choose its training window."""
    window = config.Window(start=START, end=START + timedelta(days=1))
    train(env.root, window=window)
    assert env.only.parameters["WindowEnd"] == "2026-01-02T00:00:00Z"


def approve(env: TrainingPlatform, arn: str, sha256: str) -> None:
    """Commits approval 1 of the package and the serving pointer to it."""
    record = config.ApprovalRecord(
        kind="fit",
        approval=1,
        model_package_arn=arn,
        artifact=config.Artifact(uri=registry.package(arn).model_data_url, sha256=sha256),
        container=config.Container(image="image:1", environment={}),
        commit="c" * 40,
        config_sha256="1" * 64,
        data=config.TrainingData(sha256="2" * 64, window=config.Window(start=None, end=None), rows=10, frauds=1),
        requests=(),
        execution_arn=env.only.arn,
        evaluation=config.Evaluation(uri="s3://lake/executions/x/evaluation/evaluation.json", sha256="e" * 64),
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


def test_champion_is_the_model_of_the_serving_pointer(env: TrainingPlatform) -> None:
    """The champion's URI and digest come from the approval record that the serving pointer names."""
    first = train(env.root)
    url = registry.package(first.package_arn).model_data_url
    approve(env, first.package_arn, registry.digest(url))
    train(env.root)
    parameters = list(env.cloud.executions.values())[-1].parameters
    assert parameters["ChampionUri"] == url.removesuffix("model.tar.gz")
    assert parameters["ChampionSha256"] == registry.digest(url)


@pytest.mark.parametrize("kind", ["adapt", "threshold"])
def test_kind_of_the_request_is_the_kind_of_the_run(env: TrainingPlatform, kind: config.RunKind) -> None:
    """Its Train step starts from the champion; the label, by which the execution is found, names the kind."""
    first = train(env.root)
    assert (first.kind, env.only.label.partition("-")[0]) == ("fit", "fit")
    assert env.only.parameters["BaseModelUri"] == f"s3://{BUCKET}/champions/none/"
    url = registry.package(first.package_arn).model_data_url
    approve(env, first.package_arn, registry.digest(url))
    env.write(f"{config.REQUESTS}/{REQUEST}.yaml", request("2026-01-01T00:00:00Z", None, kind))
    env.commit()
    outcome = train(env.root)
    execution = list(env.cloud.executions.values())[-1]
    parameters = execution.parameters
    assert (outcome.kind, parameters["Kind"], execution.label.partition("-")[0]) == (kind, kind, kind)
    assert parameters["BaseModelUri"] == parameters["ChampionUri"] == url.removesuffix("model.tar.gz")
    assert parameters["BaseModelSha256"] == parameters["ChampionSha256"] == registry.digest(url)


def test_fit_does_not_start_from_the_champion(env: TrainingPlatform) -> None:
    """Train gets the placeholder, so that its cache does not depend on what serves."""
    first = train(env.root)
    approve(env, first.package_arn, registry.digest(registry.package(first.package_arn).model_data_url))
    train(env.root)
    parameters = list(env.cloud.executions.values())[-1].parameters
    assert parameters["BaseModelUri"] == f"s3://{BUCKET}/champions/none/"
    assert "BaseModelSha256" not in parameters


def test_request_that_needs_a_champion_is_refused_while_none_serves(env: TrainingPlatform) -> None:
    """Nothing is started, and the message says which request and what to do."""
    env.write(f"{config.REQUESTS}/{REQUEST}.yaml", request("2026-01-01T00:00:00Z", None, "threshold"))
    env.commit()
    with pytest.raises(Refused, match=f"{REQUEST} requests a run of kind threshold, which starts from the model that"):
        train(env.root)
    assert env.cloud.executions == {}
    assert train(env.root, requests=[]).kind == "fit"


def test_push_to_training_is_a_fit_whatever_is_requested(
    env: TrainingPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a fit uses all of a changed model.yaml; it covers the open request, whose window does not limit it."""
    first = train(env.root)
    approve(env, first.package_arn, registry.digest(registry.package(first.package_arn).model_data_url))
    env.write(f"{config.REQUESTS}/{REQUEST}.yaml", request("2026-01-01T00:05:00Z", None, "threshold"))
    before = env.commit()
    gate = env.root / config.GATE
    gate.write_text(gate.read_text().replace("min_positives: 15 ", "min_positives: 16 ", 1))
    after = env.commit()
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"before": before, "after": after}))
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(event))
    outcome = train(env.root)
    assert (outcome.kind, outcome.requests) == ("fit", (REQUEST,))
    assert "WindowStart" not in list(env.cloud.executions.values())[-1].parameters


def test_champion_with_another_digest_is_refused(env: TrainingPlatform) -> None:
    """An archive that differs from its approval record is refused, and both digests are named."""
    first = train(env.root)
    approve(env, first.package_arn, "d" * 64)
    with pytest.raises(Refused, match=f"not what was approved.*{'d' * 64}"):
        train(env.root)
    assert len(env.cloud.executions) == 1


def test_token_depends_on_the_inputs_alone(env: TrainingPlatform) -> None:
    """Two machines that start at the same time start one execution, because their tokens are equal."""
    train(env.root)
    token = env.only.token
    env.cloud.executions.clear()
    train(env.root)
    assert env.only.token == token
