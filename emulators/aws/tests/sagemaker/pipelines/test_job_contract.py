"""The job contract, with /opt/ml in a mount namespace and relocated: files, environment, outputs, failures, logs."""

from __future__ import annotations

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
from local_aws.sagemaker.pipelines import ImageMap, Isolation
from local_aws.sagemaker.pipelines.isolation import Mode
from local_aws.sagemaker.pipelines.job_storage import CreateFault
from pipeline_jobs import IMAGE, Cloud, processing, python, training

Json = dict[str, Any]


@pytest.fixture(params=["namespace", "relocate"])
def mode(request: pytest.FixtureRequest, cloud: Cloud) -> Mode:
    """Each way of giving a job its /opt/ml."""
    chosen: Mode = request.param
    isolation = Isolation(chosen)
    if chosen == "namespace" and not Isolation("auto").prefix:
        pytest.skip("this system allows no mount namespaces")
    cloud.serve(isolation=isolation)
    return chosen


def reason(cloud: Cloud, step: Json, **options: Any) -> str:
    """Why a pipeline of this one step fails."""
    arn, described = cloud.run([step], **options)
    assert described["PipelineExecutionStatus"] == "Failed"
    return str(cloud.steps(arn)[step["Name"]]["FailureReason"])


def test_a_training_job_finds_sagemakers_files_and_leaves_its_model(cloud: Cloud, mode: Mode) -> None:
    """Channels, hyperparameters as strings, resource configuration; model.tar.gz and output.tar.gz in S3."""
    cloud.put("data/a/rows.csv", "1,2\n")
    cloud.put("code/train.sh", "set -e\npython3 /opt/ml/input/data/code/train.py\necho 'loss = 0.25'\n")
    cloud.put(
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
        f"s3://{cloud.bucket}/models/",
        channels={"train": f"s3://{cloud.bucket}/data", "code": f"s3://{cloud.bucket}/code/"},
        arguments={"HyperParameters": {"epochs": {"Get": "Parameters.Epochs"}, "name": "x"}},
    )
    train["Arguments"]["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": r"loss = ([0-9.]+)"}]
    arn, described = cloud.run([train], [{"Name": "Epochs", "Type": "Integer", "DefaultValue": 3}])
    assert described["PipelineExecutionStatus"] == "Succeeded", cloud.steps(arn)
    name = cloud.steps(arn)["Train"]["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    job = cloud.client("sagemaker").describe_training_job(TrainingJobName=name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert job["FinalMetricDataList"][0]["Value"] == 0.25
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{cloud.bucket}/models/{name}/output/model.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(cloud.get(model))) as tar:
        member = tar.extractfile("model.json")
        assert tar.getnames() == ["model.json"]
        assert member
        config = json.loads(member.read())
    assert config["hyperparameters"] == {"epochs": "3", "name": "x"}
    assert config["inputdataconfig"]["train"]["TrainingInputMode"] == "File"
    assert config["resourceconfig"]["hosts"] == ["algo-1"]
    assert config["resourceconfig"]["current_instance_type"] == "ml.m5.large"
    with tarfile.open(fileobj=io.BytesIO(cloud.get(model.replace("model.tar", "output.tar")))) as tar:
        note = tar.extractfile("note.txt")
        assert note
        assert note.read().decode() == name


def test_a_training_job_says_why_it_failed(cloud: Cloud, mode: Mode) -> None:
    """The failure file is the reason, with the exit code, and Pipelines' own ClientError before it."""
    train = training(
        "Train",
        ["sh", "-c", "echo 'no positives in train' > /opt/ml/output/failure; exit 7"],
        f"s3://{cloud.bucket}/m",
    )
    assert reason(cloud, train) == "ClientError: AlgorithmError: no positives in train, exit code: 7"
    assert "See job logs" in reason(cloud, training("Train", ["false"], f"s3://{cloud.bucket}/m"))


def test_a_job_gets_a_minimal_environment(cloud: Cloud, mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the caller's reaches a job but the way to packages; what the definition says does."""
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
        outputs={"out": f"s3://{cloud.bucket}/env"},
        arguments={"Environment": {"MINE": "/opt/ml/processing/out", "OTHER": "/opt/mlflow"}},
    )
    _, described = cloud.run([step])
    assert described["PipelineExecutionStatus"] == "Succeeded"
    env = json.loads(cloud.get(f"s3://{cloud.bucket}/env/env"))
    assert not env.keys() & {"GITHUB_TOKEN", "SOME_SETTING", "PIP_TARGET", "PYTEST_CURRENT_TEST"}
    assert env["PIP_INDEX_URL"] == "http://index.invalid/simple"
    assert env["AWS_REGION"] == "us-east-1"
    assert env["AWS_ENDPOINT_URL"] == cloud.url
    assert env["PROCESSING_JOB_NAME"].startswith("pipelines-")
    assert env["HOME"] != str(Path.home())
    assert env["OTHER"] == "/opt/mlflow"
    assert (env["MINE"] == "/opt/ml/processing/out") is (mode == "namespace")


def test_boto3_inside_a_job_reaches_the_same_cloud(cloud: Cloud, mode: Mode) -> None:
    """A job reads S3 with no configuration of its own."""
    cloud.put("hello", "from S3")
    code = f"import boto3; assert boto3.client('s3').get_object(Bucket='{cloud.bucket}', Key='hello')['Body'].read()"
    _, described = cloud.run([processing("Read", python(code))])
    assert described["PipelineExecutionStatus"] == "Succeeded"


def wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module that knows its version."""
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


def test_a_job_installs_into_its_own_python_and_never_into_the_callers(
    cloud: Cloud, mode: Mode, tmp_path: Path
) -> None:
    """pip installs, replaces and uninstalls in the job's environment; the caller's packages stay, and stay visible."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel(wheels, "fraudopsprobe", "1.0")
    wheel(wheels, "tenacity", "99.0")  # the caller has another version
    before = subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, check=True).stdout
    script = f"""
set -ex
pip uninstall --yes typing
pip uninstall --yes pydantic
pip install --no-index --find-links {wheels} fraudopsprobe tenacity==99.0
python3 -c "import subprocess as s, sys; s.check_call([sys.executable, *'-m pip install --no-index pydantic'.split()])"
python3 - <<'PY'
import fraudopsprobe, tenacity, pydantic, sys
assert tenacity.VERSION == '99.0' and 'site-packages' in pydantic.__file__ and '/venv/' in fraudopsprobe.__file__
PY
! python3 -c "import ml" 2> /dev/null
"""
    _, described = cloud.run([processing("Install", ["bash", "-c", script])])
    assert described["PipelineExecutionStatus"] == "Succeeded", next(cloud.folder.rglob("output.log")).read_text()
    after = subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, check=True).stdout
    assert after == before


def test_logs_are_kept_and_are_in_cloudwatch(cloud: Cloud, mode: Mode) -> None:
    """Both streams of the job are in its folder and in SageMaker's log group, under the job's name."""
    arn, _ = cloud.run([processing("Talk", ["sh", "-c", "echo out; echo; echo err >&2"])])
    name = cloud.steps(arn)["Talk"]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    logs = cloud.client("logs")
    [stream] = logs.describe_log_streams(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=name)[
        "logStreams"
    ]
    assert stream["logStreamName"].startswith(f"{name}/algo-1-")
    shown = logs.get_log_events(
        logGroupName="/aws/sagemaker/ProcessingJobs", logStreamName=stream["logStreamName"], startFromHead=True
    )
    assert [event["message"].strip() for event in shown["events"]] == ["out", "", "err"]
    assert [path.read_text() for path in cloud.folder.rglob("output.log")] == ["out\n\nerr\n"]


def test_a_manifest_lays_its_files_out_by_their_keys(cloud: Cloud, mode: Mode) -> None:
    """A ManifestFile input keeps the relative keys below the local path."""
    for key in ("raw/one/rows.csv", "raw/two/rows.csv", "labels/one.csv", "raw/unlisted.csv"):
        cloud.put(key, key)
    listed = ["raw/one/rows.csv", "raw/two/rows.csv", "labels/one.csv"]
    manifest = cloud.put("sets/x/dataset.manifest", json.dumps([{"prefix": f"s3://{cloud.bucket}/"}, *listed]))
    step = processing(
        "Read",
        ["sh", "-c", "cd /opt/ml/processing/dataset && find . -type f | sort > /opt/ml/processing/out/found"],
        inputs={"dataset": manifest},
        outputs={"out": f"s3://{cloud.bucket}/out/"},
    )
    step["Arguments"]["ProcessingInputs"][0]["S3Input"]["S3DataType"] = "ManifestFile"
    arn, described = cloud.run([step])
    assert described["PipelineExecutionStatus"] == "Succeeded", cloud.steps(arn)
    found = cloud.get(f"s3://{cloud.bucket}/out/found").decode().split()
    assert found == sorted(f"./{key}" for key in listed)


def test_a_prefix_is_a_prefix_of_keys(cloud: Cloud) -> None:
    """`s3://b/train` brings train's files to the top and its namesakes beside them; one object comes by its name."""
    cloud.put("train/a.csv", "a")
    cloud.put("train2/b.csv", "b")
    one = cloud.put("single/model.tar.gz", "m")
    step = processing(
        "Read",
        ["sh", "-c", "cd /opt/ml/processing && find train one -type f | sort > out/found"],
        inputs={"train": f"s3://{cloud.bucket}/train", "one": one},
        outputs={"out": f"s3://{cloud.bucket}/out"},
    )
    cloud.run([step])
    assert cloud.get(f"s3://{cloud.bucket}/out/found").decode().split() == [
        "one/model.tar.gz",
        "train/a.csv",
        "train/train2/b.csv",
    ]


def test_inputs_that_clash_fail_in_sagemakers_words(cloud: Cloud) -> None:
    """An object that is both a file and a folder cannot be laid out."""
    cloud.put("in/a", "file")
    cloud.put("in/a/b", "inside")
    found = reason(cloud, processing("Read", ["true"], inputs={"in": f"s3://{cloud.bucket}/in/"}))
    assert found.startswith("ClientError: ClientError: Data download failed:Cannot download s3://")
    assert "a previously downloaded file/folder clashes with it" in found


@pytest.mark.parametrize("kind", ["Processing", "Training"])
def test_an_input_that_is_not_there_fails_in_sagemakers_words(cloud: Cloud, kind: str) -> None:
    """The Create call is refused, so the step has no job."""
    uri = f"s3://{cloud.bucket}/nothing/"
    step = (
        processing("Read", ["true"], inputs={"in": uri})
        if kind == "Processing"
        else training("Read", ["true"], f"s3://{cloud.bucket}/m", channels={"in": uri})
    )
    arn, _ = cloud.run([step])
    failed = cloud.steps(arn)["Read"]
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
        ("ProcessingResources.ClusterConfig.InstanceCount", 2, "InstanceCount 2 is not supported by the local cloud"),
        ("ProcessingInputs.0.S3Input.S3InputMode", "Pipe", "mode 'Pipe' is not supported"),
        ("ProcessingInputs.0.S3Input.LocalPath", "/opt/ml/processing/../../etc", "must begin with /opt/ml/processing"),
        ("ProcessingInputs.0.S3Input.S3Uri", "https://elsewhere/x", "it must start with s3://bucket/"),
        ("AppSpecification.ContainerEntrypoint", None, "Map the image to a local command in local-images.yaml"),
    ],
)
def test_what_the_local_cloud_cannot_do_fails_and_says_so(cloud: Cloud, path: str, value: Any, words: str) -> None:
    """Nothing that is not supported is passed over in silence."""
    step = processing("Read", ["true"], inputs={"in": cloud.put("in/a", "a")})
    assert words in reason(cloud, change(step, path, value))


def test_a_sharded_input_to_one_instance_comes_whole(cloud: Cloud) -> None:
    """ShardedByS3Key with one instance is the same as FullyReplicated."""
    cloud.put("in/a", "a")
    cloud.put("in/b", "b")
    step = processing(
        "Read",
        ["sh", "-c", "cat /opt/ml/processing/in/a /opt/ml/processing/in/b"],
        inputs={"in": f"s3://{cloud.bucket}/in/"},
    )
    change(step, "ProcessingInputs.0.S3Input.S3DataDistributionType", "ShardedByS3Key")
    assert cloud.run([step])[1]["PipelineExecutionStatus"] == "Succeeded"


def test_a_job_that_takes_too_long_is_ended(cloud: Cloud) -> None:
    """MaxRuntimeInSeconds stops the job, and the step fails saying so."""
    cloud.serve(grace_seconds=0.2)
    train = training("Train", ["sleep", "600"], f"s3://{cloud.bucket}/m")
    train["Arguments"]["StoppingCondition"]["MaxRuntimeInSeconds"] = 1
    arn, _ = cloud.run([train])
    step = cloud.steps(arn)["Train"]
    assert "MaxRuntimeExceeded" in step["FailureReason"]
    job = cloud.client("sagemaker").describe_training_job(
        TrainingJobName=step["Metadata"]["TrainingJob"]["Arn"].rpartition("/")[2]
    )
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_program_that_is_not_there_and_one_that_is_killed(cloud: Cloud) -> None:
    """Both are the job's failure, with the exit codes that a shell gives."""
    assert "exit code: 127" in reason(cloud, processing("Absent", ["no-such-program"]))
    assert "exit code: 137" in reason(cloud, processing("Killed", ["sh", "-c", "kill -9 $$"]))


def test_an_output_without_a_bucket_fails(cloud: Cloud) -> None:
    """The job's work is done, but it has nowhere to go."""
    step = processing("Write", ["touch", "/opt/ml/processing/out/x"], outputs={"out": f"s3://{uuid.uuid4().hex}/x"})
    assert "The specified bucket does not exist" in reason(cloud, step)


def test_an_image_without_an_entry_point_runs_what_it_is_mapped_to(cloud: Cloud, tmp_path: Path, mode: Mode) -> None:
    """A built-in algorithm is a local command by configuration; ./ is relative to the file."""
    (tmp_path / "algorithm.py").write_text(
        "import json, sys\n"
        "base = sys.argv[1]\n"
        "open(base + '/model/model.json', 'w').write(open(base + '/input/config/hyperparameters.json').read())\n"
    )
    rules = tmp_path / "local-images.yaml"
    rules.write_text(
        "images:\n  - match: '*/built-in:*'\n    command: [python3, ./algorithm.py, /opt/ml]\n", encoding="utf-8"
    )
    cloud.serve(images=ImageMap.load(rules), isolation=Isolation(mode))
    train = training(
        "Train",
        None,
        f"s3://{cloud.bucket}/m",
        image="1.dkr.ecr.us-east-1.amazonaws.com/built-in:1",
        arguments={"HyperParameters": {"k": "10"}},
    )
    arn, described = cloud.run([train])
    assert described["PipelineExecutionStatus"] == "Succeeded", cloud.steps(arn)


def test_an_image_map_that_is_malformed_is_refused(tmp_path: Path) -> None:
    """The message names the file and what is wrong; no file is an empty map."""
    rules = tmp_path / "local-images.yaml"
    assert ImageMap.load(rules) == ImageMap() == ImageMap.load(None)
    rules.write_text("images: [{match: x}]")
    with pytest.raises(EmulatorError, match=r"local-images\.yaml.*command"):
        ImageMap.load(rules)
    with pytest.raises(CreateFault, match="own program would run"):
        ImageMap().command(IMAGE)


def test_a_namespace_that_must_be_had_and_cannot_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode "namespace" does not fall back in silence; "auto" does."""
    monkeypatch.setattr("local_aws.sagemaker.pipelines.isolation._works", lambda way: False)
    assert Isolation("auto").prefix == ()
    with pytest.raises(RuntimeError, match="no mount namespace"):
        _ = Isolation("namespace").prefix


def test_a_jobs_python_costs_links_and_little_else(tmp_path: Path) -> None:
    """Each job's Python is one of its own, made of links."""
    space = Isolation().space(tmp_path / "job")
    assert (space.venv / "bin/python3").is_symlink()
    assert sum(path.stat().st_size for path in space.venv.rglob("*") if not path.is_symlink()) < 100_000
