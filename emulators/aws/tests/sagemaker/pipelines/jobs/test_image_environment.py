"""A job has the interpreter, the packages and the commands of its image, and no network where it asks for none."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from local_aws.errors import EmulatorError
from local_aws.sagemaker.pipelines.jobs import image_environment, isolation, managed_image
from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation
from pipeline_jobs import IMAGE, PipelineAws, processing, python

OTHER = "123456789012.dkr.ecr.us-east-1.amazonaws.com/other:1"
Json = dict[str, Any]


def output(aws: PipelineAws, code: str, *, image: str = IMAGE, arguments: Json | None = None) -> Any:
    """The JSON that `code` assigns to `out` in a job of `image`."""
    program = f"import json, os, pathlib, shutil, socket, sys\n{code}\n" + (
        "pathlib.Path(sys.argv[1]).write_text(json.dumps(out))"
    )
    # As an argument, because a path inside the encoded program is not relocated.
    command = python(program, "/opt/ml/processing/out/out.json")
    step = processing("Show", command, outputs={"out": f"s3://{aws.bucket}/shown"}, arguments=arguments)
    step["Arguments"]["AppSpecification"]["ImageUri"] = image
    arn, described = aws.run([step])
    assert described["PipelineExecutionStatus"] == "Succeeded", aws.steps(arn)
    return json.loads(aws.get(f"s3://{aws.bucket}/shown/out.json"))


def environment(folder: Path) -> Path:
    """A virtual environment in `folder`, without packages; its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin/python"


def log(aws: PipelineAws) -> str:
    """The output of the only job."""
    [path] = aws.folder.rglob("output.log")
    return path.read_text()


def test_managed_image_has_no_findutils() -> None:
    """The commands are those of the image: a shell, coreutils and what its Dockerfile installs."""
    assert {"bash", "sh", "cat", "sort", "sha256sum", "tar", "gzip", "git", "curl"} <= managed_image.COMMANDS
    assert not managed_image.COMMANDS & {"find", "xargs", "gcc", "make", "pip", "sudo", "docker"}


@pytest.mark.parametrize("mode", ["auto", "relocate"])
def test_job_has_only_the_commands_of_its_image(aws: PipelineAws, mode: isolation.Mode) -> None:
    """A job of the managed image finds no `find`, `xargs` or compiler; one of an unmapped image has this machine's."""
    aws.serve(isolation=Isolation(mode))
    names = ("find", "xargs", "gcc", "mount", "bash", "sort", "python3", "pip")
    code = f"out = {{name: bool(shutil.which(name)) for name in {names!r}}}"
    found = output(aws, code)
    assert {name for name, there in found.items() if there} == {"bash", "sort", "python3", "pip"}
    assert output(aws, code, image=OTHER)["find"]


def test_mapped_image_has_its_interpreter_and_commands(aws: PipelineAws, tmp_path: Path) -> None:
    """`interpreter` and `commands` of the map hold for the images that match, and for no other."""
    own = environment(tmp_path / "own")
    [site] = own.parents[1].glob("lib/python*/site-packages")
    (site / "onlyhere.py").write_text("")
    rules = tmp_path / "local-images.yaml"
    rules.write_text("images:\n  - {match: '*/other:*', interpreter: ./own/bin/python, commands: [bash, cat]}\n")
    aws.serve(images=ImageMap.load(rules))
    code = (
        "import importlib.util\n"
        "out = [importlib.util.find_spec('onlyhere') is not None, shutil.which('cat') is not None,"
        " shutil.which('sort') is not None]"
    )
    assert output(aws, code, image=OTHER) == [True, True, False]
    assert output(aws, code) == [False, True, True]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{match: x}", "needs a command, an interpreter, commands or a dockerfile"),
        ("{match: x, interpreter: ./missing/python}", "interpreter ./missing/python of x cannot be executed"),
        ("{match: x, command: 2026-99-99}", "line 1: not a valid timestamp"),
        ("{match: !!bool maybe}", "line 1: not a valid bool"),
    ],
)
def test_invalid_map_is_refused(tmp_path: Path, rule: str, words: str) -> None:
    """The message names the file and what is wrong."""
    rules = tmp_path / "local-images.yaml"
    rules.write_text(f"images: [{rule}]")
    with pytest.raises(EmulatorError, match=r"local-images\.yaml: ") as caught:
        ImageMap.load(rules)
    assert words in str(caught.value)


def test_environment_with_the_images_versions_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """.venv-container is used if its versions are those of the image; otherwise the job says what differs."""
    own = environment(tmp_path / ".venv-container")
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    monkeypatch.setattr(managed_image, "PYTHON", here)
    monkeypatch.setattr(managed_image, "PACKAGES", {})
    used = ImageMap(folder=tmp_path).environment(IMAGE)
    assert (used.python, used.commands, used.differences) == (own, managed_image.COMMANDS, ())
    monkeypatch.setattr(managed_image, "PACKAGES", {"boto3": "0.0.1", "no-such-package": "2.0"})
    other = ImageMap(folder=tmp_path).environment(IMAGE)
    assert other.python == Path(sys.executable)
    assert other.differences[1:] == (
        "no-such-package is missing instead of 2.0",
        f"{tmp_path / '.venv-container'} is not used: its versions differ from the image's too",
    )
    assert other.differences[0].endswith(" instead of 0.0.1")
    monkeypatch.setattr(managed_image, "PYTHON", "3.99")
    assert image_environment.managed_environment(tmp_path).differences[0] == f"Python {here} instead of 3.99"


def test_differences_are_in_the_log_of_the_job_and_at_the_start(
    aws: PipelineAws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A job that runs with other versions says so in its first lines, and the emulator when it starts."""
    monkeypatch.setattr(managed_image, "PYTHON", "3.99")
    monkeypatch.setattr(managed_image, "PACKAGES", {})
    with caplog.at_level(logging.WARNING):
        aws.serve(images=ImageMap(folder=tmp_path))
    line = f"this job runs with Python {sys.version_info[0]}.{sys.version_info[1]} instead of 3.99"
    assert line in caplog.text
    output(aws, "out = 1")
    assert log(aws).startswith(f"local-aws: {line}\n")


def test_network_isolated_job_has_loopback_alone(aws: PipelineAws) -> None:
    """EnableNetworkIsolation leaves loopback; AWS's endpoint cannot be reached. Other jobs have the network."""
    if not Isolation("auto").prefix:
        pytest.skip("this system allows no user namespaces")
    code = (
        "from urllib.parse import urlsplit\n"
        "def reaches(host, port):\n"
        "    with socket.socket() as probe:\n"
        "        return probe.connect_ex((host, port)) == 0\n"
        "url = urlsplit(os.environ['AWS_ENDPOINT_URL'])\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "out = [[name for _, name in socket.if_nameindex()], reaches(url.hostname, url.port),"
        " reaches('127.0.0.1', server.getsockname()[1])]"
    )
    isolated = output(aws, code, arguments={"NetworkConfig": {"EnableNetworkIsolation": True}})
    assert isolated == [["lo"], False, True]
    assert output(aws, code)[1:] == [True, True]


def test_job_without_user_namespaces_runs_and_says_so(
    aws: PipelineAws, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Where `unshare` is refused, a job runs without the isolation that it asks for; its log and the start say so."""
    refusing = tmp_path / "bin"
    refusing.mkdir()
    (refusing / "unshare").write_text("#!/bin/sh\necho 'unshare: Operation not permitted' >&2\nexit 1\n")
    (refusing / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{refusing}{os.pathsep}{os.environ['PATH']}")
    with caplog.at_level(logging.WARNING):
        aws.serve(isolation=Isolation())
    assert isolation.NOT_ISOLATED in caplog.text
    assert output(aws, "out = 'ran'", arguments={"NetworkConfig": {"EnableNetworkIsolation": True}}) == "ran"
    assert f"local-aws: {isolation.NOT_ISOLATED}\n" in log(aws)
    assert "this job asked for network isolation and has the network of this machine" in log(aws)
