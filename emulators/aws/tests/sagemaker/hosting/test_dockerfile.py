"""Dockerfiles laid out in a folder, and those that are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from local_aws.errors import EmulatorError
from local_aws.sagemaker.hosting import dockerfile

DOCKERFILE = """\
# a comment
ARG BASE
FROM ${BASE}
ENV WORD="two words" \\
    OTHER=1
WORKDIR /opt/program
RUN pip install nothing
COPY code/ package/
COPY one.txt two.txt texts/
COPY one.txt /etc/renamed.txt
USER 1000:1000
ENTRYPOINT ["python3", "-m", "package"]
CMD ["serve"]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A build context with two texts and a package."""
    folder = tmp_path / "context"
    (folder / "code/__pycache__").mkdir(parents=True)
    (folder / "code/__main__.py").write_text("import os, sys; print(sys.argv[1], os.environ['WORD'])")
    for name in ("one", "two"):
        (folder / f"{name}.txt").write_text(name)
    return folder


def lay_out(context: Path, text: str) -> dockerfile.LaidOut:
    """The image of a Dockerfile with this text, in a folder beside the context."""
    file = context / "Dockerfile"
    file.write_text(text)
    return dockerfile.lay_out(file, context, context.parent / "image")


def test_files_are_laid_out(context: Path) -> None:
    """Relative targets are below the working directory, absolute ones below the folder; byte code is left out."""
    image = lay_out(context, DOCKERFILE)
    root = context.parent / "image"
    assert image.folder == root / "opt/program"
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    texts = {"opt/program/texts/one.txt", "opt/program/texts/two.txt", "etc/renamed.txt"}
    assert files == {"opt/program/package/__main__.py", *texts}
    assert not list(root.rglob("__pycache__"))


def test_command_runs_with_its_environment(context: Path) -> None:
    """The image's Python is this one; arguments replace CMD, as those of `docker run` do."""
    image = lay_out(context, DOCKERFILE)
    assert image.command() == [sys.executable, "-m", "package", "serve"]
    command = image.command("other")
    done = subprocess.run(command, cwd=image.folder, env=dict(image.environment), capture_output=True, check=True)
    assert done.stdout == b"other two words\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("USER 1000:1000", "FROM other"), "line 11: FROM: only one stage"),
        (("USER 1000:1000", "ADD http://x /x"), "line 11: ADD is not supported"),
        (('CMD ["serve"]', "CMD serve"), "line 13: CMD: must be a JSON array"),
        (('WORD="two words" \\\n    OTHER=1', "WORD two"), "line 4: ENV: must have the form NAME=VALUE"),
        (("COPY code/ package/", "COPY absent ./"), "line 8: COPY: there is no .*absent"),
        (("COPY code/ package/", "COPY --from=x code/ package/"), "line 8: COPY: .*no option"),
        (("COPY code/ package/", "COPY code/ ../../../package/"), "leads out of the image"),
        (("FROM ${BASE}", ""), "must have FROM"),
    ],
)
def test_other_dockerfiles_are_refused(context: Path, change: tuple[str, str], message: str) -> None:
    """With the line, because a wrong layout would fail later and less clearly."""
    assert change[0] in DOCKERFILE
    with pytest.raises(EmulatorError, match=message):
        lay_out(context, DOCKERFILE.replace(*change))


def test_absent_dockerfile_is_refused(tmp_path: Path) -> None:
    """The message has the path."""
    with pytest.raises(EmulatorError, match=r"absent/Dockerfile"):
        dockerfile.lay_out(tmp_path / "absent/Dockerfile", tmp_path, tmp_path / "image")
