"""`fraudops serving-image` with ECR on a moto server; docker is a program that records its arguments and its input."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from ml.aws.session import client
from ml.commands.serving_image import MANIFEST, REPOSITORY, build
from ml.errors import CloudError, GitError, UsageError
from tests.harness.aws import moto_server
from tests.harness.git import checkout
from tests.harness.git.repositories import GitWorkspace

BASE = f"python:3.12-slim@sha256:{'b' * 64}"
OTHER_BASE = f"python:3.12-slim@sha256:{'c' * 64}"
OCI = "application/vnd.oci.image.index.v1+json"
# It calls ECR without an SDK, whose import would take most of the time of these tests.
DOCKER = f"""#!{sys.executable}
import json, os, sys, urllib.request
words, folder = sys.argv[1:], os.environ["RECORDS"]
step = {{"login": "login", "build": "build", "imagetools": "inspect"}}[words[words[0] == "buildx"]]
given = sys.stdin.read() if step == "login" else ""
context = [os.path.relpath(os.path.join(at, name)) for at, _, names in os.walk(".") for name in names]
with open(os.path.join(folder, "calls.jsonl"), "a") as calls:
    calls.write(json.dumps([words, given, sorted(context) if step == "build" else []]) + chr(10))
if step == os.environ.get("FAILS"):
    sys.exit("no space left on device")
labels = os.path.join(folder, "labels.json")
if step == "build" and "LOST" not in os.environ:
    output = dict(each.split("=", 1) for each in words[words.index("--output") + 1].split(","))
    name, _, tag = output["name"].partition("/")[2].partition(":")
    media = os.environ.get("MEDIA_TYPE", "{MANIFEST}")
    manifest = json.dumps({{"schemaVersion": 2, "mediaType": media, "config": {{}}, "layers": [{{"digest": tag}}]}})
    region = output["name"].split(".")[3]
    scope = os.environ["AWS_ACCESS_KEY_ID"] + "/20260101/" + region + "/ecr/aws4_request"
    body = json.dumps({{"repositoryName": name, "imageManifest": manifest, "imageTag": tag}}).encode()
    request = urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], body)
    request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=" + scope)
    request.add_header("Content-Type", "application/x-amz-json-1.1")
    request.add_header("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.PutImage")
    urllib.request.urlopen(request).close()
    with open(labels, "w") as file:
        json.dump(dict(words[at + 1].split("=", 1) for at, word in enumerate(words) if word == "--label"), file)
if step == "inspect":
    with open(labels) as file:
        print(json.dumps({{"architecture": "amd64", "os": "linux", "config": {{"Labels": json.load(file)}}}}))
"""


@pytest.fixture
def workspace(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitWorkspace:
    """A repository, ECR with the image's repository, and the docker that records."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    client("ecr").create_repository(repositoryName=REPOSITORY)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "docker").write_text(DOCKER)
    (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RECORDS", str(tmp_path))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    checkout.copy(tmp_path / "repository", "infra/serving", "ml/model", "requirements")
    return GitWorkspace.begin(tmp_path / "repository")


def calls(folder: Path) -> list[Any]:
    """The words of each call of docker, the standard input of a login, and the files that a build gets."""
    file = folder / "calls.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def builds(folder: Path) -> list[Any]:
    """The calls that build."""
    return [call for call in calls(folder) if call[0][:2] == ["buildx", "build"]]


def test_image_is_built_and_pushed(workspace: GitWorkspace, tmp_path: Path) -> None:
    """With Docker's media types and no attestations; the result and the summary have the image by its digest."""
    built = build(workspace.root, base_image=BASE)
    commit = workspace.repository.head()
    registry = built.image.partition("/")[0]
    (found,) = client("ecr").describe_images(repositoryName=REPOSITORY)["imageDetails"]
    assert (built.image, built.commit, built.state) == (
        f"{registry}/{REPOSITORY}@{found['imageDigest']}",
        commit,
        "pushed",
    )
    login, build_call, inspect = calls(tmp_path)
    assert login[0][:1] + login[0][-2:] == ["login", "--password-stdin", registry]
    assert login[1] not in ("", "None")
    name = f"{registry}/{REPOSITORY}:{commit}-{'b' * 12}"
    assert build_call[0] == [
        *("buildx", "build", "--platform", "linux/amd64", "--provenance=false", "--sbom=false"),
        *("--file", "infra/serving/Dockerfile", "--build-arg", f"BASE_IMAGE={BASE}"),
        *("--label", f"org.opencontainers.image.revision={commit}"),
        *("--label", f"org.opencontainers.image.base.digest=sha256:{'b' * 64}"),
        *("--output", f"type=image,name={name},push=true,oci-mediatypes=false", "."),
    ]
    assert inspect[0] == ["buildx", "imagetools", "inspect", "--format", "{{json .Image}}", name]
    assert f"`image: {built.image}`" in (tmp_path / "summary.md").read_text()


def test_bill_of_materials_is_of_the_lock_in_the_commit(workspace: GitWorkspace, tmp_path: Path) -> None:
    """Its subject is the image by its digest, as in the step's outputs; an existing image has the same bill."""
    outputs, bill = tmp_path / "outputs", tmp_path / "bill.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_OUTPUT", str(outputs))
        built = build(workspace.root, base_image=BASE, bill_of_materials=bill)
    document = json.loads(bill.read_text())
    assert document["metadata"]["component"]["bom-ref"] == built.image
    pins = re.findall(r"^([\w.-]+)==", (workspace.root / "requirements/serving-image.lock").read_text(), re.M)
    assert [each["name"] for each in document["components"]] == ["python:3.12-slim", *pins]
    name, _, digest = built.image.partition("@")
    assert re.findall(r"^(?:name|digest)<<.*\n(.*)$", outputs.read_text(), re.M) == [name, digest]
    again = tmp_path / "again.json"
    build(workspace.root, base_image=BASE, bill_of_materials=again)
    assert again.read_bytes() == bill.read_bytes()


@pytest.mark.parametrize("content", [None, "# no package\n"])
def test_bill_of_materials_needs_packages(workspace: GitWorkspace, tmp_path: Path, content: str | None) -> None:
    """Without the lock, or with an empty one, nothing is built and no bill is written."""
    lock, bill = workspace.root / "requirements/serving-image.lock", tmp_path / "bill.json"
    if content is None:
        lock.unlink()
    else:
        lock.write_text(content)
    workspace.git("commit", "-q", "--all", "-m", "Change the lock")
    with pytest.raises(GitError, match=r"serving-image\.lock .*so the image has no bill of materials"):
        build(workspace.root, base_image=BASE, bill_of_materials=bill)
    assert calls(tmp_path) == []
    assert not bill.exists()


def test_image_has_the_files_of_the_commit_only(workspace: GitWorkspace, tmp_path: Path) -> None:
    """Ignored files of the working tree, such as byte code, are not in the build context."""
    (workspace.root / ".git/info/exclude").write_text("__pycache__/\n")
    ignored = workspace.root / "infra/serving/__pycache__/server.pyc"
    ignored.parent.mkdir(exist_ok=True)
    ignored.write_bytes(b"stale")
    build(workspace.root, base_image=BASE)
    ((_, _, names),) = builds(tmp_path)
    repository = workspace.repository
    assert set(names) == {
        name for folder in ("infra/serving", "ml", "requirements") for name in repository.files("HEAD", folder)
    }
    assert "infra/serving/Dockerfile" in names


def test_image_of_a_commit_and_a_base_is_built_once(workspace: GitWorkspace, tmp_path: Path) -> None:
    """Tags are immutable: a second run names the image that is there, after a look at its labels.

    Its output `state` keeps the workflow from attesting that it built the image, and the summary says so.
    """
    outputs, summary = tmp_path / "outputs", tmp_path / "summary.md"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_OUTPUT", str(outputs))
        first = build(workspace.root, base_image=BASE)
        assert "attest" not in summary.read_text()
        again = build(workspace.root, base_image=BASE)
    assert re.findall(r"^state<<.*\n(.*)$", outputs.read_text(), re.M) == ["pushed", "existing"]
    assert "does not attest its provenance" in summary.read_text()
    assert (again.image, again.state) == (first.image, "existing")
    assert len(builds(tmp_path)) == 1
    assert calls(tmp_path)[-1][0][:3] == ["buildx", "imagetools", "inspect"]


def test_another_base_is_another_image_of_the_same_commit(workspace: GitWorkspace, tmp_path: Path) -> None:
    """Security fixes of the base reach the image without a commit."""
    first = build(workspace.root, base_image=BASE)
    second = build(workspace.root, base_image=OTHER_BASE)
    assert (second.commit, second.state) == (first.commit, "pushed")
    assert second.image != first.image
    assert [words[words.index("--build-arg") + 1] for words, _, _ in builds(tmp_path)] == [
        f"BASE_IMAGE={BASE}",
        f"BASE_IMAGE={OTHER_BASE}",
    ]


@pytest.mark.parametrize("label", ["org.opencontainers.image.revision", "org.opencontainers.image.base.digest"])
@pytest.mark.parametrize("value", ["sha256:0", None])
def test_existing_image_with_another_label_is_refused(
    workspace: GitWorkspace, tmp_path: Path, label: str, value: str | None
) -> None:
    """A tag alone does not say what is in an image; nothing is summarised, and the message says what to delete."""
    build(workspace.root, base_image=BASE)
    (tmp_path / "summary.md").unlink()
    labels = json.loads((tmp_path / "labels.json").read_text())
    labels = {key: each for key, each in (labels | {label: value}).items() if each is not None}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(CloudError, match=rf"the label {label}={value}, not .*batch-delete-image.*imageTag="):
        build(workspace.root, base_image=BASE)
    assert not (tmp_path / "summary.md").exists()


def test_image_without_labels_or_configuration_is_refused(workspace: GitWorkspace, tmp_path: Path) -> None:
    """Labels are null in an image that has none, and an index has no configuration."""
    build(workspace.root, base_image=BASE)
    (tmp_path / "labels.json").write_text("null")
    with pytest.raises(CloudError, match=r"has the label .*=None, not"):
        build(workspace.root, base_image=BASE)
    docker = tmp_path / "bin/docker"
    docker.write_text(docker.read_text().replace('"config": {', '"other": {'))
    with pytest.raises(CloudError, match="imagetools inspect shows no configuration of"):
        build(workspace.root, base_image=BASE)


def test_oci_manifest_is_refused(workspace: GitWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CreateModel takes none; neither a fresh push nor the existing image is named."""
    monkeypatch.setenv("MEDIA_TYPE", OCI)
    for _ in range(2):
        with pytest.raises(CloudError, match=rf"type {re.escape(OCI)}, which SageMaker refuses: .*batch-delete-image"):
            build(workspace.root, base_image=BASE)
    assert len(builds(tmp_path)) == 1
    assert not (tmp_path / "summary.md").exists()


@pytest.mark.parametrize("base", ["", "python:3.12-slim", "python@sha256:1"])
def test_base_image_must_have_a_digest(workspace: GitWorkspace, tmp_path: Path, base: str) -> None:
    """A tag can be moved; nothing is built, and the message says how to find the digest."""
    with pytest.raises(
        UsageError, match=r"--base-image or FRAUDOPS_SERVING_BASE_IMAGE must name .* by its digest.*imagetools"
    ):
        build(workspace.root, base_image=base)
    assert calls(tmp_path) == []


def test_uncommitted_changes_are_refused(workspace: GitWorkspace) -> None:
    """The tag would name a commit without them."""
    file = workspace.root / "infra/serving/Dockerfile"
    file.write_text(file.read_text() + "# more\n")
    with pytest.raises(GitError, match=r"infra/serving/Dockerfile has uncommitted changes"):
        build(workspace.root, base_image=BASE)


@pytest.mark.parametrize("step", ["login", "build", "inspect"])
def test_failure_of_docker_is_reported(workspace: GitWorkspace, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """With its last line."""
    monkeypatch.setenv("FAILS", step)
    with pytest.raises(CloudError, match=r"docker (login|buildx) ended with exit code 1: no space left on device"):
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
