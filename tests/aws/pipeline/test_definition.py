"""The pipeline definition: the steps' arguments, and equal bytes for equal inputs."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.aws import session, source_upload
from ml.aws.pipeline import definition
from ml.aws.pipeline.entry_point import MAX_WORD
from ml.aws.pipeline.job_environment import JOB_ENVIRONMENT
from ml.aws.platform_stack import Platform
from ml.errors import CloudError
from ml.playground.template_state import FOLDER as SHIPPED
from tests.harness.aws.scripted_sagemaker import ScriptedCloud

PLATFORM = Platform(
    region="eu-west-1",
    account="123456789012",
    bucket="lake",
    execution_role_arn="arn:aws:iam::123456789012:role/execution",
    package_group="fraudops-model",
    deploy_function="deploy",
    topic_arn="arn:aws:sns:eu-west-1:123456789012:topic",
    pipeline="fraudops-training",
)
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"


@pytest.fixture(scope="module")
def text() -> str:
    """The definition for this repository's model.yaml."""
    return definition.definition(PLATFORM, config.load_model(SHIPPED))


@pytest.fixture(scope="module")
def steps(text: str) -> dict[str, dict[str, Any]]:
    """Every step by name, including those inside the gate."""
    outer = json.loads(text)["Steps"]
    gate = next(step for step in outer if step["Type"] == "Condition")["Arguments"]
    return {step["Name"]: step for step in [*outer, *gate["IfSteps"], *gate["ElseSteps"]]}


def references(step: dict[str, Any]) -> set[str]:
    """The parameters that a step's arguments refer to."""
    return set(re.findall(r'"Get": "Parameters\.(\w+)"', json.dumps(step["Arguments"])))


def test_definition_is_deterministic_across_processes(text: str, repository_root: Path) -> None:
    """Hash seed, clock, credentials, working folder and SDK defaults of the user have no effect."""
    program = (
        "import pathlib, sys; from ml import config; from ml.aws import platform_stack;"
        "from ml.aws.pipeline import definition;"
        f"p = platform_stack.Platform(**{ {f: getattr(PLATFORM, f) for f in PLATFORM.__dataclass_fields__}!r});"
        f"sys.stdout.write(definition.definition(p, config.load_model(pathlib.Path({str(SHIPPED)!r}))))"
    )
    home = Path(os.environ["HOME"])
    defaults = home / ".config/sagemaker/config.yaml"
    defaults.parent.mkdir(parents=True, exist_ok=True)
    defaults.write_text(
        "SchemaVersion: '1.0'\nSageMaker:\n  ProcessingJob:\n    Environment: {STRANGE: 'yes'}\n"
        "  Pipeline:\n    RoleArn: arn:aws:iam::999999999999:role/other\n"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(repository_root),
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
        "FRAUDOPS_NOW": "2031-05-06T07:08:09Z",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd="/", env=environment, capture_output=True, text=True, check=True
        )
    finally:
        defaults.unlink()
    assert done.stdout == text
    assert done.stderr == ""


def test_definition_has_no_timestamps(text: str) -> None:
    """The SDK's job names and upload prefixes end in timestamps; the definition has none."""
    assert re.findall(r"\d{4}-\d{2}-\d{2}-\d{2}-\d{2}|20[23]\d{6,}", text) == []


def test_steps_are_those_of_the_design(text: str, steps: dict[str, dict[str, Any]]) -> None:
    """Prepare, Train, Evaluate and the gate, which registers the model or fails."""
    assert [step["Name"] for step in json.loads(text)["Steps"]] == ["Prepare", "Train", "Evaluate", "Gate"]
    kinds = {name: step["Type"] for name, step in steps.items()}
    assert kinds == {
        "Prepare": "Processing",
        "Train": "Training",
        "Evaluate": "Processing",
        "Gate": "Condition",
        "Register": "RegisterModel",
        "GateFailed": "Fail",
    }


def test_parameters_and_defaults(text: str) -> None:
    """Everything that differs between runs is a parameter; defaults are those of a first run."""
    found = {item["Name"]: item.get("DefaultValue") for item in json.loads(text)["Parameters"]}
    assert found == {
        "DataManifestUri": None,
        "SettingsUri": None,
        "CodeUri": None,
        "Commit": None,
        "ConfigSha256": None,
        "DataSha256": None,
        "ChampionUri": "s3://lake/champions/none/",
        "ChampionSha256": "",
        "BaseModelUri": "s3://lake/champions/none/",
        "BaseModelSha256": "",
        "Kind": "fit",
        "Requests": "",
        "WindowStart": "",
        "WindowEnd": "",
        "InstanceType": "ml.m5.xlarge",
    }


def test_commit_alone_leaves_the_cache_of_prepare_and_train_valid(steps: dict[str, dict[str, Any]]) -> None:
    """Prepare and Train have no argument from commit, champion or requests; Evaluate has commit and champion."""
    about_the_run = {"Commit", "ChampionUri", "ChampionSha256", "Requests"}
    assert not references(steps["Prepare"]) & about_the_run
    assert not references(steps["Train"]) & about_the_run
    assert {"Commit", "ChampionUri", "ChampionSha256"} <= references(steps["Evaluate"])


def test_jobs_are_cached_and_wait_for_capacity(steps: dict[str, dict[str, Any]]) -> None:
    """A job is cached for 30 days; throttling, quotas and lack of capacity are retried, errors of our code are not."""
    for name in ("Prepare", "Train", "Evaluate"):
        assert steps[name]["CacheConfig"] == {"Enabled": True, "ExpireAfter": "P30D"}
        retried = {kind for policy in steps[name]["RetryPolicies"] for kind in policy["ExceptionType"]}
        assert retried == {
            "Step.SERVICE_FAULT",
            "Step.THROTTLING",
            "SageMaker.RESOURCE_LIMIT",
            "SageMaker.CAPACITY_ERROR",
            "SageMaker.JOB_INTERNAL_ERROR",
        }
    assert "CacheConfig" not in steps["Register"]


def test_jobs_run_our_code_in_the_managed_image(steps: dict[str, dict[str, Any]]) -> None:
    """All jobs check and run the uploaded tree in the scikit-learn 1.9-0 image, with their folders as arguments."""
    for name, folder, base, reason in (
        ("Prepare", "/opt/ml/processing/code", "/opt/ml/processing", "/opt/ml/output/message"),
        ("Train", "/opt/ml/input/data/code", "/opt/ml", "/opt/ml/output/failure"),
        ("Evaluate", "/opt/ml/processing/code", "/opt/ml/processing", "/opt/ml/output/message"),
    ):
        arguments = steps[name]["Arguments"]
        app = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
        assert app.get("ImageUri", app.get("TrainingImage")) == IMAGE
        assert app["ContainerArguments"][:8] == [
            *(folder, {"Get": "Parameters.CodeUri"}, reason),
            *(name.lower(), "--base-dir", base),
            *("--config-sha256", {"Get": "Parameters.ConfigSha256"}),
        ]


def test_cluster_trains_in_the_spark_image() -> None:
    """Prepare and Train are processing jobs on several instances, which may talk; Evaluate reads the model."""
    shipped = config.load_model(SHIPPED)
    compute = shipped.compute.model_copy(update={"engine": "spark", "instances": 3})
    text = definition.definition(PLATFORM, shipped.model_copy(update={"compute": compute}))
    plain = definition.definition(PLATFORM, shipped)
    found, before = ({step["Name"]: step for step in json.loads(each)["Steps"]} for each in (text, plain))
    for name in ("Prepare", "Train"):
        assert found[name]["Type"] == "Processing"
        job = found[name]["Arguments"]
        assert job["AppSpecification"]["ImageUri"].endswith("/sagemaker-spark-processing:3.5-cpu-py312-v1.3")
        words = job["AppSpecification"]["ContainerArguments"][2:6]
        assert words == ["/opt/ml/output/message", "spark", name.lower(), "--base-dir"]
        assert job["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 3
        assert job["NetworkConfig"] == {"EnableInterContainerTrafficEncryption": True}
    assert found["Prepare"]["Arguments"]["ProcessingInputs"] == before["Prepare"]["Arguments"]["ProcessingInputs"]
    sources = {
        item["InputName"]: item["S3Input"]["S3Uri"] for item in found["Evaluate"]["Arguments"]["ProcessingInputs"]
    }
    assert sources["model"] == {"Get": "Steps.Train.ProcessingOutputConfig.Outputs['model'].S3Output.S3Uri"}


def test_job_arguments_are_valid_for_sagemaker(steps: dict[str, dict[str, Any]]) -> None:
    """The API allows at most 256 characters per argument and no line breaks."""
    for name in ("Prepare", "Train", "Evaluate"):
        arguments = steps[name]["Arguments"]
        app = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
        for word in [*app["ContainerEntrypoint"], *app["ContainerArguments"]]:
            assert isinstance(word, dict) or re.fullmatch(rf".{{0,{MAX_WORD}}}", word), word
        assert all(app["ContainerEntrypoint"])
        assert len(app["ContainerEntrypoint"]) <= 100


def test_no_word_of_a_job_can_be_empty(text: str, steps: dict[str, dict[str, Any]]) -> None:
    """CreateProcessingJob refuses an empty word; a parameter that may be empty is joined to its option."""
    may_be_empty = {item["Name"] for item in json.loads(text)["Parameters"] if item.get("DefaultValue") == ""}
    joined: set[str] = set()
    for name in ("Prepare", "Train", "Evaluate"):
        arguments = steps[name]["Arguments"]
        app = arguments.get("AppSpecification") or arguments["AlgorithmSpecification"]
        for word in app["ContainerArguments"]:
            assert word != ""
            if "Get" in word:
                assert word["Get"].removeprefix("Parameters.") not in may_be_empty
            elif "Std:Join" in word:
                head, reference = word["Std:Join"]["Values"]
                assert word["Std:Join"]["On"] == ""
                joined.add(f"{head}{reference['Get']}")
    assert joined == {
        "--window-start=Parameters.WindowStart",
        "--window-end=Parameters.WindowEnd",
        "--champion-sha256=Parameters.ChampionSha256",
        "--champion-sha256=Parameters.BaseModelSha256",
    }


def started(steps: dict[str, dict[str, Any]], folder: Path, uri: str, temporary: Path) -> tuple[int, str, str]:
    """Runs Prepare's command on the code in `folder`: exit code, output and the failure reason for SageMaker.

    `temporary` is the container's folder of temporary files.
    """
    app = steps["Prepare"]["Arguments"]["AppSpecification"]
    reason = folder.parent / "output/message"
    reason.unlink(missing_ok=True)
    # The image has no findutils, and PATH here has no command but the two that the entry point may use.
    commands = folder.parent / "bin"
    commands.mkdir(exist_ok=True)
    for name, target in (("python3", sys.executable), ("bash", shutil.which("bash") or "")):
        (commands / name).unlink(missing_ok=True)
        (commands / name).symlink_to(target)
    done = subprocess.run(
        [*app["ContainerEntrypoint"], str(folder), uri, str(reason), "prepare", "--window-start=", "a b $(id)"],
        cwd="/", env={"PATH": str(commands), "TMPDIR": str(temporary)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr + done.stdout, reason.read_text() if reason.exists() else ""


def test_code_with_another_digest_is_not_run(steps: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """An archive of other bytes or under another name is refused before any of it is unpacked, as is one that is not a
    plain archive. The failure has its reason.
    """
    tree = {
        "run.sh": b'printf "%s|" "$@"; test -f ml/steps/train.py',
        "ml/steps/train.py": b"FIT = 1\n",
        "ml/steps/a b.py": b"",
        "ml-\u00fc.py": b"y",
    }
    folder, temporary = tmp_path / "code", tmp_path / "temporary"
    folder.mkdir()
    sound = source_upload.archive(tree)

    def run(content: bytes, digest: str) -> tuple[int, str, str]:
        """The result of a job whose code has this content, in a new container."""
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        (folder / f"{digest}.tar").write_bytes(content)
        return started(steps, folder, f"s3://lake/code/{digest}.tar", temporary)

    def refused(content: bytes, digest: str) -> str:
        status, printed, reason = run(content, digest)
        assert (status, printed, list(temporary.glob("*/*"))) == (1, reason, [])
        return reason.removeprefix(f"s3://lake/code/{digest}.tar ")

    own = source_upload.digest(tree)
    assert run(sound, own) == (0, "prepare|--window-start=|a b $(id)|", "")
    replaced = (
        source_upload.archive(tree | {"ml/steps/train.py": b"FIT = 2\n"}),
        source_upload.archive(tree | {"sitecustomize.py": b""}),
        sound[:-1],
    )
    for content in replaced:
        assert refused(content, own).startswith("was replaced: its sha256 is ")
    for content in (gzip.compress(sound), sound[:700], b"", source_upload.archive({"../run.sh": b""})):
        assert refused(content, hashlib.sha256(content).hexdigest()).startswith("cannot be unpacked: ")
    assert run(sound, own)[0] == 0
    left = started(steps, folder, f"s3://lake/code/{own}.tar", temporary)
    assert (left[0], "cannot be unpacked: " in left[2]) == (1, True)  # unpacked there before
    assert started(steps, folder, "s3://lake/code/absent.tar", temporary)[2].startswith(
        "s3://lake/code/absent.tar cannot"
    )


def test_jobs_that_install_nothing_have_no_network(steps: dict[str, dict[str, Any]]) -> None:
    """Prepare and Evaluate run with network isolation; Train may install what the image lacks."""
    isolated = {name: steps[name]["Arguments"].get("NetworkConfig") for name in ("Prepare", "Evaluate")}
    assert set(map(str, isolated.values())) == {"{'EnableNetworkIsolation': True}"}
    assert "EnableNetworkIsolation" not in steps["Train"]["Arguments"]


def test_prepare_gets_the_digest_of_its_data(steps: dict[str, dict[str, Any]]) -> None:
    """Prepare checks every file against it before it reads one."""
    words = steps["Prepare"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    assert words[words.index("--data-sha256") + 1] == {"Get": "Parameters.DataSha256"}


def test_compute_comes_from_the_model_file(steps: dict[str, dict[str, Any]]) -> None:
    """The instance type is a parameter; volume and maximum runtime are those of model.yaml."""
    arguments = steps["Train"]["Arguments"]
    assert arguments["ResourceConfig"] == {
        "InstanceType": {"Get": "Parameters.InstanceType"},
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
    }
    assert arguments["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}
    cluster = steps["Evaluate"]["Arguments"]["ProcessingResources"]["ClusterConfig"]
    assert cluster == arguments["ResourceConfig"]


def test_fail_step_has_the_reason_of_the_verdict(steps: dict[str, dict[str, Any]]) -> None:
    """The condition reads the status that Evaluate wrote, and the Fail step its reason."""
    (condition,) = steps["Gate"]["Arguments"]["Conditions"]
    assert (condition["Type"], condition["RightValue"]) == ("Equals", "passed")
    assert condition["LeftValue"]["Std:JsonGet"]["Path"] == "verdict.status"
    (words,) = steps["GateFailed"]["Arguments"]["ErrorMessage"]["Std:Join"]["Values"]
    assert words["Std:JsonGet"] == {
        "PropertyFile": {"Get": "Steps.Evaluate.PropertyFiles.Evaluation"},
        "Path": "verdict.reason",
    }


def test_package_is_pending_with_metrics_and_metadata(steps: dict[str, dict[str, Any]]) -> None:
    """It has metrics, drift baselines, and the metadata by which it is found and checked."""
    request = steps["Register"]["Arguments"]
    assert request["ModelApprovalStatus"] == "PendingManualApproval"
    assert request["ModelPackageGroupName"] == "fraudops-model"
    assert set(request["CustomerMetadataProperties"]) == {
        "kind",
        "commit",
        "config_sha256",
        "data_sha256",
        "artifact_sha256",
        "evaluation_sha256",
        "champion_sha256",
        "execution_arn",
        "requests",
        "window_start",
        "window_end",
    }
    assert request["ModelMetrics"]["ModelQuality"]["Statistics"]["ContentType"] == "application/json"
    drift = request["DriftCheckBaselines"]
    places = [
        statistics["Statistics"]["S3Uri"]["Std:Join"]
        for statistics in (drift["ModelQuality"], drift["ModelDataQuality"])
    ]
    assert [place["Values"][1] for place in places] == ["evaluation.json", "baseline.json"]
    assert places[0] == request["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]["Std:Join"]
    assert places[0]["Values"][0] == places[1]["Values"][0]
    (container,) = request["InferenceSpecification"]["Containers"]
    assert container["Image"] == IMAGE
    assert container["ModelDataUrl"]["Std:Join"]["Values"][1] == "model.tar.gz"


def test_metadata_is_never_empty(steps: dict[str, dict[str, Any]]) -> None:
    """SageMaker rejects empty values, so values that may be empty have a prefix."""
    metadata = steps["Register"]["Arguments"]["CustomerMetadataProperties"]
    for key in ("champion_sha256", "requests", "window_start", "window_end"):
        assert metadata[key]["Std:Join"]["Values"][0] == "="


def test_outputs_lie_below_the_execution(steps: dict[str, dict[str, Any]]) -> None:
    """Each execution has a prefix of its own."""
    outputs = steps["Evaluate"]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    for output in outputs:
        values = output["S3Output"]["S3Uri"]["Std:Join"]["Values"]
        assert values[:2] == ["s3://lake/executions", {"Get": "Execution.PipelineExecutionId"}]
        assert values[2:] == ["evaluate", output["OutputName"]]


def resources(text: str) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """The cluster and the output settings of each job."""
    found = {}
    for step in json.loads(text)["Steps"]:
        arguments = step["Arguments"]
        if step["Type"] == "Processing":
            found[step["Name"]] = (
                arguments["ProcessingResources"]["ClusterConfig"],
                arguments["ProcessingOutputConfig"],
            )
        elif step["Type"] == "Training":
            found[step["Name"]] = arguments["ResourceConfig"], arguments["OutputDataConfig"]
    return found


@pytest.mark.parametrize(("instance", "volume"), [("ml.m5.xlarge", True), ("ml.m5d.xlarge", False)])
def test_key_of_the_stack_encrypts_outputs_and_volumes(instance: str, volume: bool) -> None:
    """Every job's outputs and volumes are encrypted; SageMaker refuses a key for instances with local disks."""
    key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    training = config.load_model(SHIPPED)
    compute = training.compute.model_copy(update={"instance_type": instance})
    changed = training.model_copy(update={"compute": compute})
    found = resources(definition.definition(replace(PLATFORM, key_arn=key), changed))
    assert set(found) == {"Prepare", "Train", "Evaluate"}
    for cluster, output in found.values():
        assert output["KmsKeyId"] == key
        assert cluster.get("VolumeKmsKeyId") == (key if volume else None)


def test_definition_without_a_key_names_none(text: str) -> None:
    """An empty key would be refused."""
    assert "KmsKeyId" not in text


def test_pipeline_carries_the_stacks_name(cloud: ScriptedCloud, text: str) -> None:
    """Two stacks of one account have a pipeline each."""
    other = replace(PLATFORM, pipeline="other-training")
    definition.upsert(PLATFORM, text)
    definition.upsert(other, definition.definition(other, config.load_model(SHIPPED)))
    names = {item["PipelineName"] for item in session.client("sagemaker").list_pipelines()["PipelineSummaries"]}
    assert names == {"fraudops-training", "other-training"}


def test_building_has_no_side_effects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, log handlers and levels are unchanged, and the SDK emits no warning."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    before = (dict(os.environ), logging.root.level, list(logging.root.handlers), logging.root.manager.disable)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        definition.definition(PLATFORM, config.load_model(SHIPPED))
    assert before == (dict(os.environ), logging.root.level, list(logging.root.handlers), logging.root.manager.disable)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedCloud]:
    """moto over HTTP."""
    with ScriptedCloud() as scripted:
        for name, value in scripted.environment.items():
            monkeypatch.setenv(name, value)
        yield scripted


def test_upsert_creates_and_then_updates(cloud: ScriptedCloud, text: str) -> None:
    """The first call creates the pipeline, the next one replaces its definition."""
    definition.upsert(PLATFORM, text)
    changed = text.replace("7200", "3600")
    definition.upsert(PLATFORM, changed)
    answer = session.client("sagemaker").describe_pipeline(PipelineName=PLATFORM.pipeline)
    assert answer["PipelineDefinition"] == changed
    assert answer["RoleArn"] == PLATFORM.execution_role_arn


def test_refused_definition_is_an_error(cloud: ScriptedCloud, text: str) -> None:
    """The error has the pipeline's name and SageMaker's code."""
    cloud.faults = [("CreatePipeline", 400, "AccessDeniedException")]
    with pytest.raises(CloudError, match=r"fraudops-training.*AccessDeniedException"):
        definition.upsert(PLATFORM, text)


def test_jobs_use_the_loops_of_one_processor(steps: dict[str, dict[str, Any]]) -> None:
    """So that a model has the same bits on every processor (tests/commands/test_reproduce.py)."""
    for name in ("Prepare", "Train", "Evaluate"):
        assert steps[name]["Arguments"]["Environment"] == dict(JOB_ENVIRONMENT)


def test_reproduction_runs_the_same_jobs_and_registers_nothing(text: str) -> None:
    """Each job's request is that of a training; no step is taken from the cache."""
    trained = {step["Name"]: step for step in json.loads(text)["Steps"]}
    again = json.loads(definition.reproduction(PLATFORM, config.load_model(SHIPPED)))["Steps"]
    assert [step["Name"] for step in again] == ["Prepare", "Train", "Evaluate"]
    for step in again:
        assert step == {key: value for key, value in trained[step["Name"]].items() if key != "CacheConfig"}
