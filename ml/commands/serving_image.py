"""`fraudops serving-image`: builds the optional serving image with docker and pushes it to ECR. Deploys nothing.

The image is built from the files of the checked-out commit, tagged with the commit and the start of the base image's
digest, and labelled with both. Tags of the repository are immutable, so the image of a commit and a base is built once.
SageMaker refuses OCI manifests and indexes; the image is pushed with Docker's media types and without attestations.

Sources: Docker, "Image and registry exporters" (`oci-mediatypes`) and "Build attestations"; Amazon ECR, DescribeImages
(`imageManifestMediaType`).
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml.aws import container_images, platform_stack
from ml.console import stage
from ml.errors import CloudError, GitError, UsageError
from ml.gitops.markdown_escaping import code
from ml.gitops.repository import Repository
from ml.workflow import runner_commands, sbom

REPOSITORY = "fraudops-serving"
DOCKERFILE = Path("infra/serving/Dockerfile")
REVISION_LABEL, BASE_LABEL = "org.opencontainers.image.revision", "org.opencontainers.image.base.digest"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
"""The media type of an image that SageMaker takes."""
_LOCK = Path("requirements/serving-image.lock")
"""What the Dockerfile installs."""
_FILES = ("infra/serving", "ml", "requirements")
"""The folders that the Dockerfile copies from."""
_PINNED = re.compile(r"\S+@(?P<digest>sha256:[0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """A serving image in ECR: the value of `image` in production.yaml."""

    image: str
    commit: str
    state: Literal["pushed", "existing"]


def build(root: Path, *, base_image: str, bill_of_materials: Path | None = None) -> BuiltImage:
    """Builds and pushes the image of the checked-out commit, or verifies the one that ECR has of it.

    In a workflow, the outputs `name` and `digest` are the image's, and `state` says whether this call pushed it.

    Args:
        base_image: a Python image by its digest, e.g. python:3.12-slim@sha256:….
        bill_of_materials: the file for the image's packages, as CycloneDX.

    Raises:
        UsageError: the base image has no digest.
        GitError: files of the image have uncommitted changes, or the lock of its packages is not in the commit or has
            none; nothing was built.
        Refused: the caller is root; nothing was built.
        CloudError: there is no repository in ECR, docker fails, or the image in ECR has other labels or a manifest that
            SageMaker refuses.
    """
    pinned = _PINNED.fullmatch(base_image)
    if pinned is None:
        given = f"got {base_image!r}" if base_image else "neither is set"
        raise UsageError(
            "--base-image or FRAUDOPS_SERVING_BASE_IMAGE must name a Python 3.12 image by its digest, such as "
            f"python:3.12-slim@sha256:… ({given}); `docker buildx imagetools inspect python:3.12-slim` shows the digest"
        )
    platform_stack.refuse_root()
    repository = Repository.find(root)
    commit = repository.head()
    changed = repository.dirty(*_FILES)
    if changed:
        raise GitError(f"{changed[0]} has uncommitted changes, and the image is that of {commit}: commit them first")
    lock = _lock(repository, commit) if bill_of_materials is not None else ""
    labels = {REVISION_LABEL: commit, BASE_LABEL: pinned["digest"]}
    tag = f"{commit}-{pinned['digest'].removeprefix('sha256:')[:12]}"
    found = container_images.tagged(REPOSITORY, tag)
    state: Literal["pushed", "existing"] = "pushed" if found is None else "existing"
    login = container_images.login()
    name = f"{login.registry}/{REPOSITORY}:{tag}"
    _docker("login", "--username", login.user, "--password-stdin", login.registry, stdin=login.password.encode())
    if found is None:
        with stage(f"Building and pushing {name}"), tempfile.TemporaryDirectory() as folder:
            repository.export(commit, Path(folder), *_FILES)
            _build_and_push(name, base_image, labels, context=Path(folder))
        found = container_images.tagged(REPOSITORY, tag)
        if found is None:
            raise CloudError(f"docker pushed {name}, and ECR has no such image; run it again")
    _verify(found, name, tag, labels)
    built = BuiltImage(image=found.uri, commit=commit, state=state)
    if bill_of_materials is not None:
        text = sbom.of_image(built.image, base_image, lock, commit)
        bill_of_materials.write_text(text, encoding="utf-8")
    image, _, digest = built.image.partition("@")
    runner_commands.output(name=image, digest=digest, state=state)
    _write_summary(built)
    return built


def _lock(repository: Repository, commit: str) -> str:
    content = repository.show(commit, _LOCK)
    if content is None:
        raise GitError(f"{_LOCK} is not in {commit}, so the image has no bill of materials")
    lock = content.decode("utf-8", "replace")
    if not sbom.packages(lock):
        raise GitError(f"{_LOCK} of {commit} has no package, so the image has no bill of materials; run `make lock`")
    return lock


def _build_and_push(name: str, base_image: str, labels: Mapping[str, str], *, context: Path) -> None:
    _docker(
        *("buildx", "build", "--platform", "linux/amd64", "--provenance=false", "--sbom=false"),
        *("--file", str(DOCKERFILE), "--build-arg", f"BASE_IMAGE={base_image}"),
        *(word for key, value in labels.items() for word in ("--label", f"{key}={value}")),
        *("--output", f"type=image,name={name},push=true,oci-mediatypes=false", "."),
        at=context,
    )


def _verify(found: container_images.TaggedImage, name: str, tag: str, labels: Mapping[str, str]) -> None:
    """Raises CloudError if SageMaker refuses the image's manifest, or if another commit or base is in it."""
    delete = f"aws ecr batch-delete-image --repository-name {REPOSITORY} --image-ids imageTag={tag}"
    remedy = f"delete it ({delete}) and run this again"
    if found.media_type != MANIFEST:
        raise CloudError(
            f"{name} has a manifest of the type {found.media_type}, which SageMaker refuses: it takes {MANIFEST}; "
            f"{remedy}"
        )
    shown = _docker("buildx", "imagetools", "inspect", "--format", "{{json .Image}}", name)
    try:
        present = json.loads(shown)["config"].get("Labels") or {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CloudError(f"docker buildx imagetools inspect shows no configuration of {name}") from error
    for key, value in labels.items():
        if present.get(key) != value:
            raise CloudError(f"{name} has the label {key}={present.get(key)}, not {value}; {remedy}")


def _write_summary(built: BuiltImage) -> None:
    again = (
        "ECR had this image before, so this run does not attest its provenance (again). If it has no attestation, "
        "delete it there and run this again.\n\n"
    )
    runner_commands.summary(
        f"Serving image of {code(built.commit)} ({built.state}):\n\n{code(f'image: {built.image}')}\n\n"
        f"{again if built.state == 'existing' else ''}"
        f"It serves once {code('model-config/serving/production.yaml')} on main has this line."
    )


def _docker(*words: str, stdin: bytes = b"", at: Path | None = None) -> str:
    try:
        done = subprocess.run(("docker", *words), cwd=at, input=stdin, capture_output=True, check=False)
    except OSError as error:
        raise CloudError(f"docker cannot be started: {error}") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise CloudError(f"docker {words[0]} ended with exit code {done.returncode}: {(lines or ['no output'])[-1]}")
    return done.stdout.decode("utf-8", "replace")
