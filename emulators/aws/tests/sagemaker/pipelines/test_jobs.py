"""The job contract, with /opt/ml in a mount namespace and relocated: files, environment, outputs, failures, logs."""

from __future__ import annotations

import importlib.metadata
import io
import json
import subprocess
import sys
import tarfile
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from local_aws.errors import EmulatorError
from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation, Mode
from local_aws.sagemaker.pipelines.jobs.storage import CreateFault
from pipeline_jobs import IMAGE, PipelineAws, processing, python, training

Json = dict[str, Any]


@pytest.fixture(params=["namespace", "relocate"])
def mode(request: pytest.FixtureRequest, aws: PipelineAws) -> Mode:
    """Each isolation mode."""
    chosen: Mode = request.param
    isolation = Isolation(chosen)
    if chosen == "namespace" and not Isolation("auto").prefix:
        pytest.skip("this system allows no mount namespaces")
    aws.serve(isolation=isolation)
    return chosen


def reason(aws: PipelineAws, step: Json, **options: Any) -> str:
    """The failure reason of a pipeline with this one step."""
    arn, described = aws.run([step], **options)
    assert described["PipelineExecutionStatus"] == "Failed"
    return str(aws.steps(arn)[step["Name"]]["FailureReason"])


def test_training_job_gets_its_files_and_uploads_its_model(aws: PipelineAws, mode: Mode) -> None:
    """Channels, hyperparameters as strings, resource configuration; model.tar.gz and output.tar.gz in S3."""
    aws.put("data/a/rows.csv", "1,2\n")
    aws.put("code/train.sh", "set -e\npython3 /opt/ml/input/data/code/train.py\necho 'loss = 0.25'\n")
    aws.put(
        "code/train.py",
        "import json, os, pathlib, sys\n"
        "ml = pathlib.Path('/opt/ml')\n"
        "config = {p.stem: json.loads(p.read_text()) for p in (ml / 'input/config').iterdir()}\n"
        "assert (ml / 'input/data/train/a/rows.csv').read_text() == '1,2\\n'\n"
        "assert not [name for name in os.environ if name.startswith('SM_')]\n"
        "(ml / 'model/model.json').write_text(json.dumps(config))\n"
        "(ml / 'output/data/note.txt').write_text(os.environ['TRAINING_JOB_NAME'])\n",
    )
    train = training(
        "Train",
        ["bash", "/opt/ml/input/data/code/train.sh"],
        f"s3://{aws.bucket}/models/",
        channels={"train": f"s3://{aws.bucket}/data", "code": f"s3://{aws.bucket}/code/"},
        arguments={"HyperParameters": {"epochs": {"Get": "Parameters.Epochs"}, "name": "x"}},
    )
    train["Arguments"]["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": r"loss = ([0-9.]+)"}]
    arn, described = aws.run([train], [{"Name": "Epochs", "Type": "Integer", "DefaultValue": 3}])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)
    name = aws.steps(arn)["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    job = aws.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert job["FinalMetricDataList"][0]["Value"] == 0.25
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{aws.bucket}/models/{name}/output/model.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(aws.get(model))) as tar:
        member = tar.extractfile("model.json")
        assert tar.getnames() == ["model.json"]
        assert member
        config = json.loads(member.read())
    assert config["hyperparameters"] == {"epochs": "3", "name": "x"}
    assert config["inputdataconfig"]["train"]["TrainingInputMode"] == "File"
    assert config["resourceconfig"]["hosts"] == ["algo-1"]
    assert config["resourceconfig"]["current_instance_type"] == "ml.m5.large"
    with tarfile.open(fileobj=io.BytesIO(aws.get(model.replace("model.tar", "output.tar")))) as tar:
        note = tar.extractfile("note.txt")
        assert note
        assert note.read().decode() == name


def test_training_job_failure_has_its_reason(aws: PipelineAws, mode: Mode) -> None:
    """The failure file is the reason, with the exit code, and Pipelines' own ClientError before it."""
    train = training(
        "Train",
        ["sh", "-c", "echo 'no positives in train' > /opt/ml/output/failure; exit 7"],
        f"s3://{aws.bucket}/m",
    )
    assert reason(aws, train) == "ClientError: AlgorithmError: no positives in train, exit code: 7"
    assert "See job logs" in reason(aws, training("Train", ["false"], f"s3://{aws.bucket}/m"))


def test_job_environment_is_minimal(aws: PipelineAws, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job gets none of the caller's variables except the package path; it gets those of the definition."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("SOME_SETTING", "mine")
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_TARGET", "/somewhere")
    step = processing(
        "Show",
        python(
            "import json, os, pathlib; root = pathlib.Path('/opt/ml/processing/out');"
            "(root / 'env').write_text(json.dumps(dict(os.environ)))"
        ),
        outputs={"out": f"s3://{aws.bucket}/env"},
        arguments={"Environment": {"MINE": "/opt/ml/processing/out", "OTHER": "/opt/mlflow"}},
    )
    _, described = aws.run([step])
    assert described["PipelineExecutionStatus"] == "Succeeded"
    env = json.loads(aws.get(f"s3://{aws.bucket}/env/env"))
    assert not env.keys() & {"GITHUB_TOKEN", "SOME_SETTING", "PIP_TARGET", "PYTEST_CURRENT_TEST"}
    assert env["PIP_INDEX_URL"] == "http://index.invalid/simple"
    assert env["AWS_REGION"] == "us-east-1"
    assert env["AWS_ENDPOINT_URL"] == aws.url
    assert env["PROCESSING_JOB_NAME"].startswith("pipelines-")
    assert env["HOME"] != str(Path.home())
    assert env["OTHER"] == "/opt/mlflow"
    assert (env["MINE"] == "/opt/ml/processing/out") is (mode == "namespace")


def test_boto3_in_a_job_reaches_the_emulator(aws: PipelineAws, mode: Mode) -> None:
    """A job reads S3 without configuration."""
    aws.put("hello", "from S3")
    code = f"import boto3; assert boto3.client('s3').get_object(Bucket='{aws.bucket}', Key='hello')['Body'].read()"
    _, described = aws.run([processing("Read", python(code))])
    assert described["PipelineExecutionStatus"] == "Succeeded"


def wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module that returns its version."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


def installed_packages() -> list[tuple[str, str, str | None]]:
    """Every package of this interpreter: its metadata folder, version and file hashes."""
    return sorted(
        (str(package.locate_file(package.name)), package.version, package.read_text("RECORD") or "")
        for package in importlib.metadata.distributions()
    )


def test_job_does_not_see_editable_installs(aws: PipelineAws, mode: Mode, tmp_path: Path) -> None:
    """A path that a .pth file adds for the caller is not on the job's path."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "caller")], check=True)
    project = tmp_path / "project"
    project.mkdir()
    (project / "callersproject.py").touch()
    [site] = (tmp_path / "caller").glob("lib/python*/site-packages")
    (site / "project.pth").write_text(f"{project}\n")
    python = tmp_path / "caller/bin/python"
    subprocess.run([str(python), "-c", "import callersproject"], check=True)
    aws.serve(isolation=Isolation(mode, python))
    found = reason(aws, processing("Import", ["python3", "-c", "import callersproject"]))
    assert "exit code: 1" in found


def test_job_installs_packages_into_its_own_environment(aws: PipelineAws, mode: Mode, tmp_path: Path) -> None:
    """pip installs, replaces and uninstalls in the job's environment; the caller's packages are unchanged."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "localawsprobe", "1.0")
    wheel(wheels, "tenacity", "99.0")  # the caller has another version
    before = installed_packages()
    script = f"""
set -ex
pip uninstall --yes typing
pip uninstall --yes pydantic
pip install --no-index --find-links {wheels} localawsprobe tenacity==99.0
python3 -c "import subprocess as s, sys; s.check_call([sys.executable, *'-m pip install --no-index pydantic'.split()])"
python3 - <<'PY'
import localawsprobe, tenacity, pydantic, sys
assert tenacity.VERSION == '99.0' and 'site-packages' in pydantic.__file__ and '/venv/' in localawsprobe.__file__
PY
"""
    _, described = aws.run([processing("Install", ["bash", "-c", script])])
    assert described["PipelineExecutionStatus"] == "Succeeded", next(aws.folder.rglob("output.log")).read_text()
    assert installed_packages() == before


def test_job_output_is_in_its_folder_and_in_cloudwatch(aws: PipelineAws, mode: Mode) -> None:
    """Both streams of the job are in its folder and in SageMaker's log group."""
    arn, _ = aws.run([processing("Talk", ["sh", "-c", "echo out; echo; echo err >&2"])])
    name = aws.steps(arn)["Talk"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    logs = aws.client("logs")
    [stream] = logs.describe_log_streams(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=name)[
        "logStreams"
    ]
    assert stream["logStreamName"].startswith(f"{name}/algo-1-")
    shown = logs.get_log_events(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamName=stream["logStreamName"], startFromHead=True
    )
    assert [event["message"].strip() for event in shown["events"]] == ["out", "", "err"]
    assert [path.read_text() for path in aws.folder.rglob("output.log")] == ["out\n\nerr\n"]


def test_manifest_input_keeps_relative_keys(aws: PipelineAws, mode: Mode) -> None:
    """A ManifestFile input keeps the relative keys below the local path."""
    for key in ("raw/one/rows.csv", "raw/two/rows.csv", "labels/one.csv", "raw/unlisted.csv"):
        aws.put(key, key)
    listed = ["raw/one/rows.csv", "raw/two/rows.csv", "labels/one.csv"]
    manifest = aws.put("sets/x/dataset.manifest", json.dumps([{"prefix": f"s3://{aws.bucket}/"}, *listed]))
    step = processing(
        "Read",
        ["sh", "-c", "cd /opt/ml/processing/dataset && find . -type f | sort > /opt/ml/processing/out/found"],
        inputs={"dataset": manifest},
        outputs={"out": f"s3://{aws.bucket}/out/"},
    )
    step["Arguments"]["ProcessingInputs"][0]["S3Input"]["S3DataType"] = "ManifestFile"
    arn, described = aws.run([step])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)
    found = aws.get(f"s3://{aws.bucket}/out/found").decode().split()
    assert found == sorted(f"./{key}" for key in listed)


def test_prefix_input_is_a_prefix_of_keys(aws: PipelineAws) -> None:
    """`s3://b/train` has train/ at the top and other keys that begin with train; one object keeps its name."""
    aws.put("train/a.csv", "a")
    aws.put("train2/b.csv", "b")
    one = aws.put("single/model.tar.gz", "m")
    step = processing(
        "Read",
        ["sh", "-c", "cd /opt/ml/processing && find train one -type f | sort > out/found"],
        inputs={"train": f"s3://{aws.bucket}/train", "one": one},
        outputs={"out": f"s3://{aws.bucket}/out"},
    )
    aws.run([step])
    assert aws.get(f"s3://{aws.bucket}/out/found").decode().split() == [
        "one/model.tar.gz",
        "train/a.csv",
        "train/train2/b.csv",
    ]


def test_clashing_inputs_fail_with_sagemakers_message(aws: PipelineAws) -> None:
    """A key that is both an object and a folder cannot be stored in the job's folder."""
    aws.put("in/a", "file")
    aws.put("in/a/b", "inside")
    found = reason(aws, processing("Read", ["true"], inputs={"in": f"s3://{aws.bucket}/in/"}))
    assert found.startswith("ClientError: ClientError: Data download failed:Cannot download s3://")
    assert "a previously downloaded file/folder clashes with it" in found


@pytest.mark.parametrize("kind", ["Processing", "Training"])
def test_missing_input_fails_with_sagemakers_message(aws: PipelineAws, kind: str) -> None:
    """The Create call is refused, so the step has no job."""
    uri = f"s3://{aws.bucket}/nothing/"
    step = (
        processing("Read", ["true"], inputs={"in": uri})
        if kind == "Processing"
        else training("Read", ["true"], f"s3://{aws.bucket}/m", channels={"in": uri})
    )
    arn, _ = aws.run([step])
    failed = aws.steps(arn)["Read"]
    assert failed["FailureReason"].startswith(
        f"ClientError: Failed to invoke sagemaker:Create{kind}Job. Error Details: "
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists'
    )
    assert failed["Metadata"] == {}


def change(step: Json, path: str, value: Any) -> Json:
    """The step with the argument at a dotted path replaced."""
    *parts, last = path.split(".")
    target: Any = step["Arguments"]
    for part in parts:
        target = target[int(part) if part.isdigit() else part]
    target[last] = value
    return step


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("ProcessingResources.ClusterConfig.InstanceCount", 2, "InstanceCount 2 is not supported by the AWS emulator"),
        ("ProcessingInputs.0.S3Input.S3InputMode", "Pipe", "mode 'Pipe' is not supported"),
        ("ProcessingInputs.0.S3Input.LocalPath", "/opt/ml/processing/../../etc", "must begin with /opt/ml/processing"),
        ("ProcessingInputs.0.S3Input.S3Uri", "https://elsewhere/x", "it must start with s3://bucket/"),
        ("AppSpecification.ContainerEntrypoint", None, "Map the image to a local command in local-images.yaml"),
    ],
)
def test_unsupported_arguments_fail_with_their_reason(aws: PipelineAws, path: str, value: Any, words: str) -> None:
    """No unsupported argument is ignored."""
    step = processing("Read", ["true"], inputs={"in": aws.put("in/a", "a")})
    assert words in reason(aws, change(step, path, value))


def test_sharded_input_is_complete_on_one_instance(aws: PipelineAws) -> None:
    """ShardedByS3Key with one instance is the same as FullyReplicated."""
    aws.put("in/a", "a")
    aws.put("in/b", "b")
    step = processing(
        "Read",
        ["sh", "-c", "cat /opt/ml/processing/in/a /opt/ml/processing/in/b"],
        inputs={"in": f"s3://{aws.bucket}/in/"},
    )
    change(step, "ProcessingInputs.0.S3Input.S3DataDistributionType", "ShardedByS3Key")
    assert aws.run([step])[1]["PipelineExecutionStatus"] == "Succeeded"


def test_job_beyond_its_time_limit_is_ended(aws: PipelineAws) -> None:
    """MaxRuntimeInSeconds stops the job, and the step fails with that reason."""
    aws.serve(grace_seconds=0.2)
    train = training("Train", ["sleep", "600"], f"s3://{aws.bucket}/m")
    train["Arguments"]["StoppingCondition"]["MaxRuntimeInSeconds"] = 1
    arn, _ = aws.run([train])
    step = aws.steps(arn)["Train"]
    assert "MaxRuntimeExceeded" in step["FailureReason"]
    job = aws.client("sagemaker").describe_training_job(
        TrainingJobName=step["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    )
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_missing_and_killed_programs_have_exit_codes(aws: PipelineAws) -> None:
    """Both are failures of the job, with a shell's exit codes."""
    assert "exit code: 127" in reason(aws, processing("Absent", ["no-such-program"]))
    assert "exit code: 137" in reason(aws, processing("Killed", ["sh", "-c", "kill -9 $$"]))


def test_output_to_a_missing_bucket_fails(aws: PipelineAws) -> None:
    """The job succeeds, but its output cannot be stored."""
    step = processing("Write", ["touch", "/opt/ml/processing/out/x"], outputs={"out": f"s3://{uuid.uuid4().hex}/x"})
    assert "The specified bucket does not exist" in reason(aws, step)


def test_image_without_an_entry_point_runs_its_mapped_command(aws: PipelineAws, tmp_path: Path, mode: Mode) -> None:
    """A built-in algorithm is mapped to a local command; ./ is relative to the map's file."""
    (tmp_path / "algorithm.py").write_text(
        "import json, sys\n"
        "base = sys.argv[1]\n"
        "open(base + '/model/model.json', 'w').write(open(base + '/input/config/hyperparameters.json').read())\n"
    )
    rules = tmp_path / "local-images.yaml"
    rules.write_text(
        "images:\n  - match: '*/built-in:*'\n    command: [python3, ./algorithm.py, /opt/ml]\n", encoding="utf-8"
    )
    aws.serve(images=ImageMap.load(rules), isolation=Isolation(mode))
    train = training(
        "Train",
        None,
        f"s3://{aws.bucket}/m",
        image="1.dkr.ecr.us-east-1.amazonaws.com/built-in:1",
        arguments={"HyperParameters": {"k": "10"}},
    )
    arn, described = aws.run([train])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)


def test_malformed_image_map_is_refused(tmp_path: Path) -> None:
    """The message names the file and the error; a missing file is an empty map."""
    rules = tmp_path / "local-images.yaml"
    assert ImageMap.load(rules) == ImageMap() == ImageMap.load(None)
    rules.write_text("images: [{match: x}]")
    with pytest.raises(EmulatorError, match=r"local-images\.yaml.*command"):
        ImageMap.load(rules)
    with pytest.raises(CreateFault, match="has no ContainerEntrypoint"):
        ImageMap().command(IMAGE)


def test_namespace_mode_fails_without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode "namespace" raises an error; "auto" falls back."""
    monkeypatch.setattr("local_aws.sagemaker.pipelines.jobs.isolation._works", lambda way: False)
    assert Isolation("auto").prefix == ()
    with pytest.raises(RuntimeError, match="does not allow mount namespaces"):
        _ = Isolation("namespace").prefix


def test_job_environment_is_small(tmp_path: Path) -> None:
    """Each job's Python environment consists of links."""
    space = Isolation().create_space(tmp_path / "job")
    assert (space.venv / "bin/python3").is_symlink()
    assert sum(path.stat().st_size for path in space.venv.rglob("*") if not path.is_symlink()) < 100_000
