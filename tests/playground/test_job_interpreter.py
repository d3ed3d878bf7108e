"""The demo's line about the Python of its jobs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from local_aws.sagemaker.pipelines.jobs import managed_image
from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
from local_aws.server import LocalAws

from ml.playground import job_interpreter
from tests.harness.platform.job_images import IMAGES

DIFFERENCES = ImageMap.load(IMAGES).environment(managed_image.SAMPLE).differences
VERSIONS = (
    "import importlib.metadata as m, sys; "
    "print('versions', '%d.%d' % sys.version_info[:2], *map(m.version, sys.argv[1:]))"
)
"""A program that prints the versions of Python and of the named packages."""


def make_interpreter(path: Path, python: str) -> None:
    """A program in the place of a Python, which reports version `python` and the packages of the image."""
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho '{json.dumps([python, dict(managed_image.PACKAGES)])}'\n")
    path.chmod(0o755)


def test_environment_with_the_versions_of_the_image_is_named(tmp_path: Path) -> None:
    """The line names .venv-container if its versions are those of the image."""
    make_interpreter(tmp_path / ".venv-container/bin/python", managed_image.PYTHON)
    line = job_interpreter.describe(tmp_path / "local-images.yaml")
    assert line == (
        "jobs run in .venv-container/bin/python, with the Python and the packages of SageMaker's scikit-learn image"
    )


def test_other_versions_are_said_with_the_remedy(tmp_path: Path) -> None:
    """Without the environment, or with one of other versions, jobs run in this Python, and the line says why."""
    absent = job_interpreter.describe(tmp_path / "local-images.yaml")
    assert absent.startswith(f"jobs run in {sys.executable}, whose versions differ from those of SageMaker's")
    assert "`make demo` installs these into .venv-container if this machine has Python 3.12" in absent
    make_interpreter(tmp_path / ".venv-container/bin/python", "3.11")
    assert job_interpreter.describe(tmp_path / "local-images.yaml") == absent


def test_interpreter_of_the_image_map_is_named(tmp_path: Path) -> None:
    """An interpreter from local-images.yaml comes before .venv-container, and nothing is said about its versions."""
    for name in ("own", ".venv-container"):
        make_interpreter(tmp_path / name / "bin/python", managed_image.PYTHON)
    images = tmp_path / "local-images.yaml"
    images.write_text("images:\n  - {match: '*/sagemaker-scikit-learn:*', interpreter: ./own/bin/python}\n")
    assert job_interpreter.describe(images) == "jobs run in own/bin/python"


@pytest.mark.skipif(bool(DIFFERENCES), reason=f"no environment of the image: {'; '.join(DIFFERENCES)}"[:300])
def test_job_runs_with_the_versions_of_the_image(tmp_path: Path) -> None:
    """A job of the image prints its Python and packages, with the environment that `make container` installs."""
    with LocalAws(tmp_path, images=IMAGES) as aws:
        trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        allow = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}

        def document(statement: dict[str, Any]) -> str:
            return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

        iam, sagemaker, logs = (aws.client(name) for name in ("iam", "sagemaker", "logs"))
        role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName="job", PolicyName="own", PolicyDocument=document(allow))
        sagemaker.create_processing_job(
            ProcessingJobName="versions",
            RoleArn=role,
            AppSpecification={
                "ImageUri": managed_image.SAMPLE,
                "ContainerEntrypoint": ["python3", "-c", VERSIONS],
                "ContainerArguments": list(managed_image.PACKAGES),
            },
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
            },
        )
        sagemaker.get_waiter("processing_job_completed_or_stopped").wait(
            ProcessingJobName="versions", WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
        )
        group = "/aws/sagemaker/ProcessingJobs"
        (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
    printed = [each["message"].split() for each in events if each["message"].startswith("versions")]
    assert printed == [["versions", managed_image.PYTHON, *managed_image.PACKAGES.values()]]
