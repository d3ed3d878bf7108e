"""`fraudops reproduce` on the AWS emulator: real jobs on small data, as on another processor and another day."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import pytest
from local_aws.server import LocalAws
from typer.testing import CliRunner

from ml import config
from ml.audit.disagreement import Disagreement
from ml.aws import executions, platform_stack, registry, s3_objects, session
from ml.aws.lake import Lake
from ml.cli import app
from ml.commands.approve import approve
from ml.commands.bootstrap import bootstrap
from ml.commands.data_import import import_data
from ml.commands.reproduce import reproduce
from ml.commands.train import train
from ml.errors import DataError, Refused
from ml.gitops.repository import Repository
from ml.model import artifact
from ml.simulate import stand_in_data, table_files
from tests.harness.git import checkout, settings
from tests.harness.git.repositories import PERSON, GitWorkspace
from tests.harness.platform.job_images import IMAGES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GitWorkspace, Mapping[str, str]]]:
    """A repository whose main has approval 0001, and the environment of the AWS emulator that trained it.

    A later commit changed code and settings.
    """
    place = tmp_path_factory.mktemp("reproduce")
    root = checkout.copy(place / "repository", "infra", "ml/model", "ml/steps", "ml/__init__.py")
    checkout.set_values(root, config.MODEL, settings.FEW_ROWS)
    workspace = GitWorkspace.begin(root)
    with pytest.MonkeyPatch.context() as patch, LocalAws(place / "cloud", images=IMAGES) as cloud:
        for name, value in cloud.environment().items():
            patch.setenv(name, value)
        bootstrap(root)
        table_files.write(place / "transactions.parquet", stand_in_data.draw(12_000, frauds=60, seed=3))
        lake, columns = Lake(platform_stack.read().bucket), config.load_settings(root).training.columns
        import_data(str(place / "transactions.parquet"), lake=lake, columns=columns, start=None, quarantine=False)
        approve(root, train(root).package_arn, merge=True, approver=PERSON)
        checkout.set_values(root, config.MODEL, {"seed": 21})
        text = (root / "ml/steps/train.py").read_text()
        workspace.write({config.MODEL: (root / config.MODEL).read_text(), "ml/steps/train.py": f"{text}\n#\n"}, "Later")
        yield workspace, cloud.environment()


@pytest.fixture
def approved(trained: tuple[GitWorkspace, Mapping[str, str]], monkeypatch: pytest.MonkeyPatch) -> GitWorkspace:
    """That repository, in the environment of its emulator."""
    workspace, environment = trained
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return workspace


def packages() -> int:
    """How many packages are registered."""
    return len(registry.packages(platform_stack.read().package_group))


@pytest.mark.parametrize(
    "machine",
    [
        {
            "threads": "1",
            "OPENBLAS_CORETYPE": "Prescott",
            "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
            "day": "2027-05-04",
        },
        {
            "threads": "4",
            "OPENBLAS_CORETYPE": "SkylakeX",
            "NPY_DISABLE_CPU_FEATURES": "AVX512_SPR",
            "day": "2031-01-01",
        },
    ],
    ids=["old", "new"],
)
def test_approval_is_reproduced_elsewhere(
    approved: GitWorkspace, monkeypatch: pytest.MonkeyPatch, machine: Mapping[str, str]
) -> None:
    """On another day, with another number of threads and on a processor for which the libraries choose other loops.

    The code and the settings are those of the approval's commit, the jobs run again, and nothing is registered.
    """
    for name, value in machine.items():
        monkeypatch.setenv(name, value)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, machine["threads"])
    monkeypatch.setenv("FRAUDOPS_NOW", f"{machine['day']}T03:02:01Z")
    shown = CliRunner().invoke(app, ["reproduce", "1", "--repo", str(approved.root), "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    record = config.load_approval(approved.root, 1)
    assert (found["reproduced"], found["sha256"], found["differences"]) == (True, record.artifact.sha256, [])
    assert found["uri"] != record.artifact.uri
    steps = executions.describe(found["execution_arn"]).steps
    assert [(step.name, step.cached) for step in steps] == [("Prepare", False), ("Train", False), ("Evaluate", False)]
    assert packages() == 1
    assert not executions.running(platform_stack.reproduction_pipeline_name())


def test_other_archive_is_named_with_its_values(approved: GitWorkspace) -> None:
    """A record that approves another intercept than the one that its commit gives."""
    record = config.load_approval(approved.root, 1)
    files = artifact.extract(s3_objects.read(record.artifact.uri))
    model = json.loads(files["model.json"])
    intercept = model["parts"][0]["intercept"]
    model["parts"][0]["intercept"] = 0.5
    forged = artifact.pack(files | {"model.json": json.dumps(model).encode()})
    uri = f"s3://{platform_stack.read().bucket}/executions/forged/model.tar.gz"
    s3_objects.write(uri, forged, "application/gzip")
    digest = config.Artifact(uri=uri, sha256=registry.digest(uri) or "")
    other = config.dump(record.model_copy(update={"artifact": digest}))
    repository = Repository(approved.root)
    commit = repository.commit("main", {config.approval_path(1): other.encode()}, "Forge")
    found = reproduce(approved.root, 1, revision=commit)
    assert found.differences == (
        f"model.json parts[0] intercept is 0.5 in the approved archive and {intercept} in the new one",
    )
    assert not found.reproduced
    with pytest.raises(Disagreement, match=r"approval 0001 was not reproduced: .* intercept is 0\.5"):
        raise found.error or AssertionError


def test_what_is_gone_starts_nothing(approved: GitWorkspace) -> None:
    """No record, a commit that is not in the repository, other settings, and a list of data that was replaced."""
    pipeline, repository = platform_stack.reproduction_pipeline_name(), Repository(approved.root)
    record = config.load_approval(approved.root, 1)
    with pytest.raises(Refused, match=r"approvals/0009\.yaml is not on main"):
        reproduce(approved.root, 9)
    for change, reason in (
        ({"commit": "c" * 40}, "this repository lacks it"),
        ({"config_sha256": "0" * 64}, f"0001.yaml says {'0' * 64}; nothing was started"),
        ({"data": record.data.model_copy(update={"sha256": "0" * 64})}, "files.json: no such object"),
    ):
        other = config.dump(record.model_copy(update=change))
        commit = repository.commit("main", {config.approval_path(1): other.encode()}, "Forge")
        with pytest.raises((Refused, DataError), match=reason):
            reproduce(approved.root, 1, revision=commit)
    pipelines = session.client("sagemaker").list_pipelines()["PipelineSummaries"]
    assert not executions.running(pipeline)
    assert {item["PipelineName"] for item in pipelines} <= {pipeline, platform_stack.pipeline_name()}
