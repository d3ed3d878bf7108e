"""Tests of the emulators' background process: one per folder, independent of others, stopped completely."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
from local_aws.processes.child_processes import INSTANCE_VARIABLE

from ml.errors import CloudError, ConfigError
from ml.playground import daemon
from tests.waiting import wait_until

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
ROLE = "arn:aws:iam::123456789012:role/serving"
HANDLER = b"""
def model_fn(model_dir):
    return "model"

def transform_fn(model, body, content_type, accept):
    return f"{model}:{content_type}:{body}", accept
"""


@contextmanager
def running(folder: Path, **options: Any) -> Iterator[daemon.Status]:
    """Emulators for the length of a block."""
    try:
        yield daemon.up(folder, **options)
    finally:
        daemon.down(folder)


def client(folder: Path, service: str) -> Any:
    """A boto3 client of the emulator of the folder."""
    variables = daemon.environment(folder)
    session = boto3.Session(
        variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=variables["AWS_REGION"]
    )
    return session.client(service, endpoint_url=variables["AWS_ENDPOINT_URL"])


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process of the emulators of the folder: the daemon and those it started."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(INSTANCE_VARIABLE) == str(folder.resolve())
            if marked or str(folder.resolve()) in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def _create_role(folder: Path, *actions: str) -> None:
    """Creates the role ROLE for SageMaker."""
    trusted = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    iam, name = client(folder, "iam"), ROLE.rpartition("/")[2]
    trust, policy = (json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (trusted, allowed))
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=name, PolicyName="permissions", PolicyDocument=policy)


def serve(folder: Path) -> None:
    """Creates an endpoint, so that the emulator has a child process."""
    s3, sagemaker = client(folder, "s3"), client(folder, "sagemaker")
    s3.create_bucket(Bucket="models")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(HANDLER)
        tar.addfile(member, io.BytesIO(HANDLER))
    s3.put_object(Bucket="models", Key="m.tar.gz", Body=archive.getvalue())
    container = {"Image": IMAGE, "ModelDataUrl": "s3://models/m.tar.gz"}
    _create_role(folder, "s3:GetObject")
    sagemaker.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "One", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="m", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="m", EndpointConfigName="m")
    wait_until(lambda: sagemaker.describe_endpoint(EndpointName="m")["EndpointStatus"] == "InService")


def test_emulators_of_two_folders_are_independent(tmp_path: Path) -> None:
    """Each folder has its own port, state and processes; stopping one leaves the other running."""
    one, two = tmp_path / "one", tmp_path / "two"
    with running(one) as first, running(two) as second:
        assert first.url != second.url
        serve(one)
        client(two, "s3").create_bucket(Bucket="only-in-two")
        assert [b["Name"] for b in client(one, "s3").list_buckets()["Buckets"]] == ["models"]
        assert client(two, "sagemaker").list_endpoints()["Endpoints"] == []
        daemon.down(two)
        assert processes_of(two) == []
        answer = client(one, "sagemaker-runtime").invoke_endpoint(EndpointName="m", Body=b"1", ContentType="text/csv")
        assert answer["Body"].read() == b"model:text/csv:1"
        assert (daemon.status(one).running, daemon.status(two).running) == (True, False)
    wait_until(lambda: not processes_of(one))


def test_up_is_refused_while_the_emulators_run(tmp_path: Path) -> None:
    """The error has the address; status, environment and exports agree; down may be called twice."""
    with running(tmp_path, caller_arn="arn:aws:iam::123456789012:root") as found:
        with pytest.raises(CloudError, match=f"already up at {found.url}"):
            daemon.up(tmp_path)
        assert daemon.status(tmp_path) == found
        assert daemon.environment(tmp_path)["AWS_ENDPOINT_URL"] == found.url
        assert f"export AWS_ENDPOINT_URL={found.url}" in daemon.exports(tmp_path).splitlines()
        assert client(tmp_path, "sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:root"
        daemon.down(tmp_path)
        daemon.down(tmp_path)
        assert not daemon.status(tmp_path).running
    with pytest.raises(CloudError, match="fraudops local up"):
        daemon.environment(tmp_path)


def test_region_of_the_environment_is_emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ARNs and exports have it; another region is refused, and what chooses stack and repository is not exported."""
    monkeypatch.setenv("AWS_REGION", "mars")
    with pytest.raises(ConfigError, match=r"AWS_REGION must be a region of AWS, such as eu-west-1 \(got 'mars'\)"):
        daemon.up(tmp_path)
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with running(tmp_path):
        assert "export AWS_REGION=eu-central-1" in daemon.exports(tmp_path).splitlines()
        topic = client(tmp_path, "sns").create_topic(Name="t")["TopicArn"]
        assert topic.split(":")[3] == "eu-central-1"
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        variables = daemon.shell_environment(tmp_path)
        assert {f"export {name}={shlex.quote(value)}" for name, value in variables.items()} == {
            line for line in daemon.exports(tmp_path).splitlines() if line.startswith("export ")
        }
        exported = {line.partition("=")[0] for line in daemon.exports(tmp_path).splitlines()}
        assert not {"export FRAUDOPS_STACK", "export GITHUB_REPOSITORY"} & exported
        monkeypatch.setenv("AWS_REGION", "us-west-2")
        with pytest.raises(CloudError, match="run in eu-central-1, and the region of this environment is us-west-2"):
            daemon.exports(tmp_path)


def test_processing_job_ends_with_its_emulator(tmp_path: Path) -> None:
    """A pipeline's processing job ends when the emulator is killed, although it has its own environment."""
    step = {
        "Name": "Sleep",
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
            },
            "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["sleep", "617"]},
            "RoleArn": ROLE,
        },
    }
    definition = json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": [step]})
    with running(tmp_path) as found:
        _create_role(tmp_path, "sagemaker:*", "iam:PassRole", "logs:*")
        sagemaker = client(tmp_path, "sagemaker")
        sagemaker.create_pipeline(
            PipelineName="p", PipelineDefinition=definition, ClientRequestToken="t" * 32, RoleArn=ROLE
        )
        sagemaker.start_pipeline_execution(PipelineName="p", ClientRequestToken="s" * 32)
        wait_until(lambda: any("617" in process.cmdline() for process in processes_of(tmp_path)))
        assert found.pid is not None
        os.kill(found.pid, signal.SIGKILL)
        wait_until(lambda: not processes_of(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_child_processes_end_with_the_daemon_on_every_signal(tmp_path: Path, number: signal.Signals) -> None:
    """A model server ends with its emulator, also after SIGKILL; then the folder can be used again."""
    with running(tmp_path) as found:
        serve(tmp_path)
        assert len(processes_of(tmp_path)) >= 2
        assert found.pid is not None
        os.kill(found.pid, number)
        wait_until(lambda: not processes_of(tmp_path))
        assert not daemon.status(tmp_path).running
        assert daemon.up(tmp_path).running


def test_down_does_not_kill_a_process_that_reused_the_id(tmp_path: Path) -> None:
    """A state file whose process id belongs to another process counts as stale."""
    with running(tmp_path):
        text = (tmp_path / "state.json").read_text()
    mine = str(os.getpid())
    (tmp_path / "state.json").write_text(json.dumps({**json.loads(text), "pid": int(mine)}))
    assert not daemon.status(tmp_path).running
    daemon.down(tmp_path)
    assert not (tmp_path / "state.json").exists()


def test_up_names_the_port_that_is_in_use(tmp_path: Path) -> None:
    """The error names the port, and no process is left running."""
    with running(tmp_path / "one") as first, pytest.raises(CloudError, match=f"port {first.port}"):
        daemon.up(tmp_path / "two", port=first.port or 0)
    assert processes_of(tmp_path / "two") == []
