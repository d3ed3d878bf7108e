"""`fraudops serving-image` with ECR on a moto server; docker is a program that records its calls."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from ml.aws.session import client
from ml.commands.serving_image import REPOSITORY, build
from ml.errors import CloudError, ConfigError, Refused
from tests.harness.aws import moto_server
from tests.harness.git import checkout
from tests.harness.git.repositories import GitWorkspace

BASE = f"python:3.12-slim@sha256:{'b' * 64}"
DOCKER = f"""#!{sys.executable}
import json, os, sys, boto3
with open(os.environ["CALLS"], "a") as calls:
    given = sys.stdin.read() if "--password-stdin" in sys.argv else ""
    there = sorted(os.path.join(at, name) for at, _, names in os.walk(".") for name in names)
    calls.write(json.dumps([sys.argv[1:], there if sys.argv[1] == "buildx" else [], given]) + chr(10))
if sys.argv[1] == os.environ.get("FAILS"):
    sys.exit("no space left on device")
if sys.argv[1] == "push" and "LOST" not in os.environ:
    name, _, tag = sys.argv[2].partition("/")[2].partition(":")
    form = os.environ.get("FORM", "m")
    manifest = json.dumps({{"schemaVersion": 2, "mediaType": form, "config": {{}}, "layers": []}})
    boto3.client("ecr", sys.argv[2].split(".")[3]).put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)
"""


@pytest.fixture
def workspace(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitWorkspace:
    """A repository, ECR with the image's repository, and a docker that records its calls."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    client("ecr").create_repository(repositoryName=REPOSITORY)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls.jsonl"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    checkout.copy(tmp_path / "repository", "infra", "ml", "requirements", ".gitignore")
    return GitWorkspace.begin(tmp_path / "repository")


def calls(folder: Path) -> list[Any]:
    """The words of each call of docker, the files that a build gets, and the standard input."""
    file = folder / "calls.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_image_is_built_and_pushed(workspace: GitWorkspace, tmp_path: Path) -> None:
    """From the commit, on the pinned base; the result and the summary have the image by its digest."""
    ignored = workspace.root / "ml/model/__pycache__/gate.cpython-312.pyc"
    ignored.parent.mkdir(parents=True, exist_ok=True)
    ignored.touch()
    built = build(workspace.root, base_image=BASE)
    commit = workspace.repository.head()
    registry = built.image.partition("/")[0]
    (found,) = client("ecr").describe_images(repositoryName=REPOSITORY)["imageDetails"]
    assert (built.image, built.commit, built.state) == (
        f"{registry}/{REPOSITORY}@{found['imageDigest']}",
        commit,
        "pushed",
    )
    login, build_call, push = calls(tmp_path)
    assert login[0][:1] + login[0][-2:] == ["login", "--password-stdin", registry]
    assert login[2] not in ("", None)
    tag = f"{registry}/{REPOSITORY}:{commit}-{'b' * 12}"
    form = ["--platform=linux/amd64", "--provenance=false", "--sbom=false", "--output=type=docker"]
    words = ["--file", "infra/serving/Dockerfile", "--build-arg", f"BASE_IMAGE={BASE}", "--tag", tag, "."]
    assert build_call[0] == ["buildx", "build", *form, *words]
    assert "./infra/serving/Dockerfile" in build_call[1]
    assert not [name for name in build_call[1] if "__pycache__" in name]
    assert push[0] == ["push", tag]
    assert f"`image: {built.image}`" in (tmp_path / "summary.md").read_text()


def test_image_of_a_commit_and_base_is_built_once(workspace: GitWorkspace, tmp_path: Path) -> None:
    """Tags are immutable: a second run names the image that is there. A renewed base gives another image."""
    first = build(workspace.root, base_image=BASE)
    count = len(calls(tmp_path))
    again = build(workspace.root, base_image=BASE)
    assert (again.image, again.state) == (first.image, "existing")
    assert len(calls(tmp_path)) == count
    assert build(workspace.root, base_image=BASE.replace("b" * 64, "c" * 64)).state == "pushed"


def test_form_that_sagemaker_refuses_is_reported(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """CreateModel takes no manifest of OCI, which newer versions of docker write by default."""
    monkeypatch.setenv("FORM", "application/vnd.oci.image.manifest.v1+json")
    with pytest.raises(Refused, match=r"is application/vnd\.oci\.image\.manifest.*which SageMaker refuses"):
        build(workspace.root, base_image=BASE)


@pytest.mark.parametrize("base", ["", "python:3.12-slim", "python@sha256:1"])
def test_base_image_must_have_a_digest(workspace: GitWorkspace, tmp_path: Path, base: str) -> None:
    """A tag can be moved; nothing is built, and the message says how to find the digest."""
    with pytest.raises(ConfigError, match=r"FRAUDOPS_SERVING_BASE_IMAGE must name .* by its digest.*imagetools"):
        build(workspace.root, base_image=base)
    assert calls(tmp_path) == []


def test_uncommitted_changes_are_refused(workspace: GitWorkspace) -> None:
    """The tag would name a commit without them."""
    file = workspace.root / "infra/serving/Dockerfile"
    file.write_text(file.read_text() + "# more\n")
    with pytest.raises(Refused, match=r"infra/serving/Dockerfile has uncommitted changes"):
        build(workspace.root, base_image=BASE)


@pytest.mark.parametrize("step", ["login", "buildx", "push"])
def test_failure_of_docker_is_reported(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """With its last line."""
    monkeypatch.setenv("FAILS", step)
    with pytest.raises(CloudError, match=f"docker {step} ended with exit code 1: no space left on device"):
        build(workspace.root, base_image=BASE)


def test_push_without_an_image_is_a_failure(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is named that ECR does not have."""
    monkeypatch.setenv("LOST", "1")
    with pytest.raises(CloudError, match="ECR has no such image"):
        build(workspace.root, base_image=BASE)


def test_absent_repository_and_docker_are_reported(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each before anything is built."""
    monkeypatch.setenv("PATH", os.environ["PATH"].partition(os.pathsep)[0] + "/absent:/usr/bin")
    with pytest.raises(CloudError, match="docker cannot be started"):
        build(workspace.root, base_image=BASE)
    client("ecr").delete_repository(repositoryName=REPOSITORY)
    with pytest.raises(CloudError, match="looking for the image fraudops-serving"):
        build(workspace.root, base_image=BASE)
