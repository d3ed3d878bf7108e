"""The command local-aws: one background emulator per folder, which leaves no process behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import psutil
import pytest
from aws_resources import HANDLER, IMAGE, ROLE, allow, create_role, pack_archive, wait_until
from local_aws import cli
from local_aws.processes.child_processes import INSTANCE_VARIABLE
from local_aws.processes.daemon import Daemon


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose emulator is stopped after the test."""
    yield tmp_path / "one"
    for name in ("one", "two"):
        Daemon(tmp_path / name).stop()


def run(*arguments: str | Path) -> int:
    """Runs one command."""
    return cli.main([str(argument) for argument in arguments])


def client(folder: Path, service: str) -> Any:
    """A boto3 client of the emulator in the folder."""
    variables = Daemon(folder).environment()
    session = boto3.Session(
        variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=variables["AWS_REGION"]
    )
    return session.client(service, endpoint_url=variables["AWS_ENDPOINT_URL"])


def processes_of(folder: Path) -> list[psutil.Process]:
    """The emulator of the folder and its children."""
    processes = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(INSTANCE_VARIABLE) == str(folder)
            if marked or str(folder) in process.cmdline():
                processes.append(process)
        except psutil.Error:
            continue
    return processes


def create_endpoint(folder: Path) -> None:
    """Puts an endpoint in service, so that the emulator has a child."""
    s3, sagemaker = client(folder, "s3"), client(folder, "sagemaker")
    emulator = SimpleNamespace(client=lambda service: client(folder, service))
    create_role(emulator, ROLE.rpartition("/")[2], "sagemaker.amazonaws.com", allow("s3:GetObject"))
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="m.tar.gz", Body=pack_archive({"code/inference.py": HANDLER}))
    container = {"Image": IMAGE, "ModelDataUrl": "s3://models/m.tar.gz"}
    sagemaker.create_model(ModelName="m", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": "One", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="m", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="m", EndpointConfigName="m")
    wait_until(lambda: sagemaker.describe_endpoint(EndpointName="m")["EndpointStatus"] == "InService")


def test_up_and_env_print_the_same_exports_and_down_is_idempotent(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines point to the running emulator; after `down`, `env` fails and says how to start."""
    assert run("up", "--folder", folder) == 0
    exports = capsys.readouterr().out
    variables = dict(shlex.split(line)[1].split("=", 1) for line in exports.splitlines())
    assert variables == Daemon(folder).environment()
    assert run("env", "--folder", folder) == 0
    assert capsys.readouterr().out == exports
    assert client(folder, "sts").get_caller_identity()["Account"] == "123456789012"
    assert [run("down", "--folder", folder) for _ in range(2)] == [0, 0]
    assert run("env", "--folder", folder) == 1
    assert "local-aws up" in capsys.readouterr().err


def test_up_fails_while_one_runs_or_the_port_is_in_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message has the address or the port, and no process is left."""
    run("up", "--folder", folder)
    state = Daemon(folder).state()
    assert state is not None
    capsys.readouterr()
    assert run("up", "--folder", folder) == 1
    assert f"already up at {state.url}" in capsys.readouterr().err
    other = folder.with_name("two")
    assert run("up", "--folder", other, "--port", str(state.port)) == 1
    assert f"port {state.port}" in capsys.readouterr().err
    assert processes_of(other) == []


def test_two_emulators_side_by_side_are_independent(folder: Path) -> None:
    """Each folder has its own port and state; stopping one leaves the other serving."""
    other = folder.with_name("two")
    run("up", "--folder", folder)
    run("up", "--folder", other)
    client(other, "s3").create_bucket(Bucket="only-in-two")
    assert client(folder, "s3").list_buckets()["Buckets"] == []
    run("down", "--folder", other)
    assert processes_of(other) == []
    assert client(folder, "s3").list_buckets()["Buckets"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_children_end_with_the_emulator(folder: Path, number: signal.Signals) -> None:
    """A model server ends with its emulator, also after SIGKILL; then the folder can be used again."""
    run("up", "--folder", folder)
    create_endpoint(folder)
    state = Daemon(folder).state()
    assert state is not None
    assert len(processes_of(folder)) >= 2
    os.kill(state.pid, number)
    wait_until(lambda: not processes_of(folder))
    assert Daemon(folder).state() is None
    assert run("up", "--folder", folder) == 0


def test_stale_state_file_is_ignored(folder: Path) -> None:
    """`down` does not kill a process that has reused the recorded id."""
    run("up", "--folder", folder)
    path = folder / "state.json"
    text = path.read_text()
    run("down", "--folder", folder)
    path.write_text(json.dumps({**json.loads(text), "pid": os.getpid()}))
    assert Daemon(folder).state() is None
    assert run("down", "--folder", folder) == 0
    assert not path.exists()
