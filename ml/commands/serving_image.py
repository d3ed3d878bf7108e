"""`fraudops serving-image`: builds the optional serving image with docker and pushes it to ECR. Deploys nothing.

The image is tagged with the commit and its base and named by its digest; tags of the repository are immutable, so a
pair that has an image is not built again. docker gets the files of the commit, not those of the working tree, where
ignored ones may lie beside them.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml.aws import container_images, platform_stack
from ml.console import stage
from ml.errors import CloudError, ConfigError, Refused
from ml.gitops.markdown_escaping import code
from ml.gitops.repository import Repository
from ml.workflow import runner_commands

REPOSITORY = "fraudops-serving"
DOCKERFILE = Path("infra/serving/Dockerfile")
_FORM = ("--platform=linux/amd64", "--provenance=false", "--sbom=false", "--output=type=docker")
"""One image of Docker's own form for SageMaker's machines: SageMaker refuses an OCI index, which attestations make."""
_PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """A serving image in ECR: the value of `image` in production.yaml."""

    image: str
    commit: str
    state: Literal["pushed", "existing"]


def build(root: Path, *, base_image: str) -> BuiltImage:
    """Builds and pushes the image of the checked-out commit.

    Args:
        base_image: a Python image by its digest, e.g. python:3.12-slim@sha256:….

    Raises:
        ConfigError: the base image has no digest.
        Refused: files of the image have uncommitted changes, or the caller is root; nothing was built.
        CloudError: there is no repository in ECR, or docker fails.
    """
    if not _PINNED.fullmatch(base_image):
        raise ConfigError(
            "FRAUDOPS_SERVING_BASE_IMAGE must name a Python 3.12 image by its digest, such as "
            f"python:3.12-slim@sha256:… (got {base_image or 'nothing'!r}); `docker buildx imagetools inspect "
            "python:3.12-slim` shows the digest"
        )
    platform_stack.refuse_root()
    repository = Repository.find(root)
    commit = repository.head()
    changed = repository.dirty("infra/serving", "ml", "requirements")
    if changed:
        raise Refused(f"{changed[0]} has uncommitted changes, and the image is that of {commit}: commit them first")
    tag = f"{commit}-{base_image.rpartition(':')[2][:12]}"
    uri = container_images.tagged(REPOSITORY, tag)
    if uri is not None:
        return _summarized(BuiltImage(image=uri, commit=commit, state="existing"))
    login = container_images.login()
    name = f"{login.registry}/{REPOSITORY}:{tag}"
    with stage(f"Building {name}"):
        _docker("login", "--username", login.user, "--password-stdin", login.registry, given=login.password)
        with tempfile.TemporaryDirectory() as folder:
            repository.export(commit, Path(folder), "infra/serving", "ml", "requirements")
            words = ["--file", str(DOCKERFILE), "--build-arg", f"BASE_IMAGE={base_image}", "--tag", name, "."]
            _docker("buildx", "build", *_FORM, *words, at=Path(folder))
    with stage("Pushing it"):
        _docker("push", name)
    uri = container_images.tagged(REPOSITORY, tag)
    if uri is None:
        raise CloudError(f"docker pushed {name}, and ECR has no such image; run it again")
    return _summarized(BuiltImage(image=uri, commit=commit, state="pushed"))


def _summarized(built: BuiltImage) -> BuiltImage:
    runner_commands.summary(
        f"Serving image of {code(built.commit)} ({built.state}):\n\n{code(f'image: {built.image}')}\n\n"
        f"It serves once {code('model-config/serving/production.yaml')} on main has this line."
    )
    return built


def _docker(*words: str, given: str | None = None, at: Path | None = None) -> None:
    command: Sequence[str] = ("docker", *words)
    try:
        done = subprocess.run(command, cwd=at, input=given, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CloudError(f"docker cannot be started: {error}") from error
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no output"]
        raise CloudError(f"docker {words[0]} ended with exit code {done.returncode}: {last[0]}")
