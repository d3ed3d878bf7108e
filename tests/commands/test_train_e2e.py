"""From a commit to a registered package on the AWS emulator: real jobs on small data, killed and repeated runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import LocalAws

from ml import config
from ml.aws import executions, platform_stack, registry, s3_objects, session
from ml.aws.lake import Lake
from ml.commands.approve import approve
from ml.commands.bootstrap import bootstrap
from ml.commands.data_import import import_data
from ml.commands.reproduce import reproduce
from ml.commands.train import train
from ml.errors import GateFailed, TrainingFailed
from ml.gitops.repository import Identity
from ml.model import artifact
from ml.simulate import stand_in_data, table_files
from ml.training.result import TrainingResult
from tests.harness.git import checkout as checkouts
from tests.harness.git import settings
from tests.harness.platform.job_images import IMAGES
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
ROWS, FRAUDS = 12_000, 60


@dataclass
class Workspace:
    """A clone with its own history, and an AWS emulator with the platform and some data."""

    root: Path

    def git(self, *arguments: str) -> str:
        """Runs git in the clone."""
        done = subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def set_values(self, path: Path, values: Mapping[str, Any]) -> None:
        """Commits other values of one settings file."""
        checkouts.set_values(self.root, path, values)
        self.commit_all(f"change {path}")

    def commit_all(self, message: str) -> None:
        """Commits everything at a fixed time, so that equal trees are equal commits."""
        moment = "2026-01-01T00:00:00Z"
        dates = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        self.git("add", "-A")
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.invalid", "commit", "-q", "-m", message]
        subprocess.run(command, cwd=self.root, check=True, env=os.environ | dates)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few thousand transactions with enough frauds for the gate."""
    path = tmp_path_factory.mktemp("data") / "transactions.parquet"
    table_files.write(path, stand_in_data.draw(ROWS, frauds=FRAUDS, seed=3))
    return path


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The repository that is cloned: the files that training reads, in one commit."""
    root = checkouts.copy(tmp_path_factory.mktemp("origin"), "infra", "ml/model", "ml/steps", "ml/__init__.py")
    checkouts.set_values(root, config.MODEL, settings.FEW_ROWS)
    env = Workspace(root=root)
    env.git("init", "-q", "-b", "main")
    env.commit_all("start")
    return env


@pytest.fixture
def new_workspace(
    tmp_path: Path, origin: Workspace, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Workspace]]:
    """Makes a workspace. A second one replaces the first and shares only the commit and the data with it."""
    clouds: list[LocalAws] = []

    def make() -> Workspace:
        while clouds:
            clouds.pop().stop()
        place = tmp_path / f"env-{time.monotonic_ns()}"
        root = place / "clone"
        origin.git("clone", "-q", str(origin.root), str(root))
        env = Workspace(root=root)
        cloud = LocalAws(place / "cloud", images=IMAGES)
        cloud.start()
        clouds.append(cloud)
        for name, value in cloud.environment().items():
            monkeypatch.setenv(name, value)
        bootstrap(root)
        columns = config.load_settings(root).training.columns
        import_data(str(sample), lake=Lake(platform_stack.read().bucket), columns=columns, start=None, quarantine=False)
        return env

    yield make
    while clouds:
        clouds.pop().stop()


@pytest.fixture
def env(new_workspace: Callable[[], Workspace]) -> Workspace:
    """One workspace."""
    return new_workspace()


def packages() -> list[registry.Package]:
    """Every package of the platform's group."""
    return registry.packages(platform_stack.read().package_group)


def start_in_another_process(env: Workspace) -> subprocess.Popen[str]:
    """Starts `fraudops train` as a process."""
    command = [sys.executable, "-c", "from ml.cli import main; main()", "train", "--repo", str(env.root)]
    repository = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(repository)}
    return subprocess.Popen(command, cwd=repository, env=environment, stderr=subprocess.PIPE, text=True)


def until_executing(step: str, process: subprocess.Popen[str]) -> str:
    """Waits until the only execution runs `step`; returns its ARN."""

    def executing() -> str | None:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        return next((arn for arn in known_executions() if executions.describe(arn).step(step) is not None), None)

    arn: str = wait_until(executing, attempts=1200, pause_seconds=0.1)
    return arn


def known_executions() -> list[str]:
    """The executions of the pipeline; empty if there is no pipeline yet."""
    sagemaker = session.client("sagemaker")
    if not sagemaker.list_pipelines()["PipelineSummaries"]:
        return []
    answer = sagemaker.list_pipeline_executions(PipelineName=platform_stack.pipeline_name())
    return [item["PipelineExecutionArn"] for item in answer["PipelineExecutionSummaries"]]


def check(outcome: TrainingResult, env: Workspace) -> None:
    """Asserts the properties of every registered package."""
    package = registry.package(outcome.package_arn)
    evaluation = outcome.evaluation
    assert package.status == registry.PENDING
    assert package.metadata["commit"] == env.git("rev-parse", "HEAD")
    assert evaluation["provenance"]["commit"] == package.metadata["commit"]
    assert registry.digest(package.model_data_url) == package.artifact_sha256 == evaluation["artifact"]["sha256"]
    assert registry.evaluation(package) == evaluation
    assert evaluation["champion"]["status"] == "none"


@pytest.mark.parametrize(
    "resumed", [pytest.param(False, id="run-again", marks=pytest.mark.long), pytest.param(True, id="resume")]
)
def test_killed_run_registers_one_package(env: Workspace, resumed: bool) -> None:
    """After SIGKILL during Train, the same command or --resume waits for the same execution."""
    process = start_in_another_process(env)
    arn = until_executing("Train", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    outcome = train(env.root, resume=arn if resumed else None)
    assert outcome.execution_arn == arn
    check(outcome, env)
    assert [package.arn for package in packages()] == [outcome.package_arn]
    assert train(env.root) == outcome
    assert len(known_executions()) == len(packages()) == 1


def test_unreachable_gate_limit_gives_a_reason_and_no_package(env: Workspace) -> None:
    """With min_recall 0.999 the exit code is the gate's, the reason has the figures, and no package exists."""
    env.set_values(config.GATE, {"min_recall": 0.999})
    process = start_in_another_process(env)
    _, error = process.communicate(timeout=120)
    assert process.returncode == GateFailed.exit_code
    with pytest.raises(GateFailed) as caught:
        train(env.root)
    message, evaluation = str(caught.value), caught.value.evaluation
    assert message in error
    assert "\n" not in message
    assert "0.999" in message
    assert f"{evaluation['positives']} frauds" in message
    assert evaluation["verdict"]["status"] == "failed"
    failed = [item["name"] for item in evaluation["verdict"]["checks"] if not item["passed"]]
    assert failed == ["recall"]
    assert packages() == []
    assert len(known_executions()) == 1


@pytest.mark.long
def test_archive_is_reproducible_in_another_account(new_workspace: Callable[[], Workspace]) -> None:
    """In another account and clone the archive is identical, and the definition differs in names alone."""
    found = []
    for _ in range(2):
        env = new_workspace()
        outcome = train(env.root)
        check(outcome, env)
        text = session.client("sagemaker").describe_pipeline(PipelineName=platform_stack.pipeline_name())[
            "PipelineDefinition"
        ]
        where = platform_stack.read()
        for name in (where.bucket, where.execution_role_arn):
            assert name in text
            text = text.replace(name, "NAME")
        found.append((env.git("rev-parse", "HEAD"), text, registry.package(outcome.package_arn).artifact_sha256))
    assert found[0] == found[1]


@pytest.mark.long
def test_commit_without_input_changes_uses_cached_prepare_and_train(env: Workspace) -> None:
    """Only Evaluate runs again, because the archive names its commit."""
    first = train(env.root)
    (env.root / "README.md").write_text("A word more.\n")
    env.commit_all("explain")
    second = train(env.root)
    check(second, env)
    steps = executions.describe(second.execution_arn).steps
    assert {step.name for step in steps if step.cached} == {"Prepare", "Train"}
    assert second.version == first.version + 1
    assert second.evaluation["metrics"] == first.evaluation["metrics"]


def test_failed_step_is_reported_with_reason_and_log(env: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """If the window has too few frauds, the error has the job's reason and the end of its log."""
    first = Lake(platform_stack.read().bucket).imports()[0].start
    window = config.Window(start=first, end=first + timedelta(minutes=2))
    with pytest.raises(TrainingFailed, match=r"step Prepare failed: .*fraud") as caught:
        train(env.root, window=window)
    assert "fraudops train" in str(caught.value)
    assert "Prepare │" in capsys.readouterr().err
    assert packages() == []


@pytest.mark.long
def test_newer_commit_stops_the_training_of_a_killed_run(env: Workspace) -> None:
    """The older jobs end, and only the newer commit registers a package."""
    process = start_in_another_process(env)
    orphan = until_executing("Prepare", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    env.set_values(config.GATE, {"min_positives": 10})
    outcome = train(env.root)
    check(outcome, env)
    assert outcome.execution_arn != orphan
    assert executions.describe(orphan).status == "Stopped"
    assert [package.arn for package in packages()] == [outcome.package_arn]


def test_new_threshold_starts_from_the_champion(env: Workspace, tmp_path: Path) -> None:
    """For a request of kind threshold, Train reads the champion under the execution role and changes one number."""
    first = train(env.root)
    approve(env.root, first.package_arn, merge=True, approver=Identity("A Person", "person@example.invalid"))
    lake, columns = Lake(platform_stack.read().bucket), config.load_settings(env.root).training.columns
    path = tmp_path / "later.parquet"
    table_files.write(path, stand_in_data.draw(ROWS, frauds=FRAUDS, seed=4))
    start = lake.imports()[0].end.date() + timedelta(days=7)
    later = import_data(str(path), lake=lake, columns=columns, start=start, quarantine=False)
    window = config.Window(start=later.start, end=None)
    request = config.RetrainRequest(kind="threshold", cause="data-drift", reason="r", window=window, evidence={})
    name = f"{later.end:%Y%m%dT%H%M%SZ}-data-drift"
    file = env.root / config.REQUESTS / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(config.dump(request))
    env.commit_all("ask for a threshold")
    second = train(env.root)
    assert (second.kind, second.requests, second.evaluation["verdict"]["status"]) == ("threshold", (name,), "passed")
    packages_by_run = [registry.package(each.package_arn) for each in (first, second)]
    assert [package.kind for package in packages_by_run] == ["fit", "threshold"]
    models = [artifact.read(s3_objects.read(package.model_data_url)).files["model.json"] for package in packages_by_run]
    before, after = (json.loads(model) for model in models)
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"threshold", "provenance"}
    assert second.evaluation["threshold_change"]["champion"]["score"] == before["threshold"]["score"]
    job = next(step.job_arn for step in executions.describe(second.execution_arn).steps if step.name == "Train")
    described = session.client("sagemaker").describe_training_job(TrainingJobName=job.rsplit("/", 1)[1])
    sources = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in described["InputDataConfig"]
    }
    assert sources["champion"] == packages_by_run[0].model_data_url.removesuffix("model.tar.gz")
    approve(env.root, second.package_arn, merge=True, approver=Identity("A Person", "person@example.invalid"))
    again = reproduce(env.root, second.version)
    assert (again.error, again.sha256) == (None, packages_by_run[1].artifact_sha256)
