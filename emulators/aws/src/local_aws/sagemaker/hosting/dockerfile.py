"""Reads a Dockerfile and lays out its files in a folder, so that its command can run here without Docker.

RUN is not executed: the Python that runs the emulator must have the packages that the image installs. Absolute paths of
the image are paths below the folder. One stage, COPY from the build context and the JSON form of ENTRYPOINT and CMD;
everything else is refused.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local_aws.errors import EmulatorError

_IGNORED = frozenset({"ARG", "EXPOSE", "LABEL", "RUN", "USER", "STOPSIGNAL"})
_PYTHON = re.compile(r"python(3(\.\d+)?)?")


@dataclass(frozen=True, kw_only=True)
class LaidOut:
    """An image whose files are in a folder: what its container would start with."""

    folder: Path
    """The working directory."""
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    environment: Mapping[str, str]

    def command(self, *arguments: str) -> list[str]:
        """The words of `docker run IMAGE ARGUMENTS`; an image's Python is the one that runs the emulator."""
        first, *rest = [*self.entrypoint, *(arguments or self.cmd)]
        return [sys.executable if _PYTHON.fullmatch(first) else first, *rest]


def lay_out(dockerfile: Path, context: Path, root: Path) -> LaidOut:
    """Copies the files of an image from the build context `context` below `root`.

    Raises:
        EmulatorError: the Dockerfile cannot be read, has an instruction that is not supported, or copies a file that
            does not exist; the message has the line.
    """
    workdir = root
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    stages = 0
    for number, instruction, rest in _instructions(dockerfile):
        place = f"{dockerfile}: line {number}: {instruction}"
        match instruction:
            case "FROM":
                stages += 1
                if stages > 1:
                    raise EmulatorError(f"{place}: only one stage is supported")
            case "ENV":
                environment |= _variables(rest, place)
            case "WORKDIR":
                workdir = _below(root, workdir, rest)
                workdir.mkdir(parents=True, exist_ok=True)
            case "COPY":
                _copy(context, root, workdir, rest, place)
            case "ENTRYPOINT":
                entrypoint = _words(rest, place)
            case "CMD":
                cmd = _words(rest, place)
            case _ if instruction not in _IGNORED:
                raise EmulatorError(f"{place} is not supported")
    if not stages or not (entrypoint or cmd):
        raise EmulatorError(f"{dockerfile}: must have FROM, and ENTRYPOINT or CMD")
    return LaidOut(folder=workdir, entrypoint=entrypoint, cmd=cmd, environment=environment)


def _instructions(dockerfile: Path) -> Iterator[tuple[int, str, str]]:
    """Line, instruction and the rest of each instruction; continued lines are joined."""
    try:
        lines = dockerfile.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EmulatorError(f"{dockerfile}: {error}") from error
    joined, begun = "", 0
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begun = begun or number
        joined += line.strip().removesuffix("\\") + " "
        if not line.rstrip().endswith("\\"):
            instruction, _, rest = joined.strip().partition(" ")
            yield begun, instruction.upper(), rest.strip()
            joined, begun = "", 0


def _variables(rest: str, place: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in shlex.split(rest)]
    if not pairs or not all(sign for _, sign, _ in pairs):
        raise EmulatorError(f"{place}: must have the form NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _words(rest: str, place: str) -> tuple[str, ...]:
    try:
        words = json.loads(rest)
    except ValueError:
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise EmulatorError(f"{place}: must be a JSON array of words; the shell form is not supported")
    return tuple(words)


def _copy(context: Path, root: Path, workdir: Path, rest: str, place: str) -> None:
    *sources, target = shlex.split(rest)
    if not sources or any(word.startswith("--") for word in sources):
        raise EmulatorError(f"{place}: must have sources and a target, and no option")
    to = _below(root, workdir, target)
    for name in sources:
        source = context / name
        if source.is_dir():
            shutil.copytree(source, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            file = to / source.name if target.endswith("/") or len(sources) > 1 else to
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, file)
        else:
            raise EmulatorError(f"{place}: there is no {source}")


def _below(root: Path, workdir: Path, path: str) -> Path:
    """An absolute or relative path of the image as a path below `root`."""
    made = (root / path.lstrip("/") if path.startswith("/") else workdir / path).resolve()
    if not made.is_relative_to(root.resolve()):
        raise EmulatorError(f"{path}: leads out of the image")
    return made
