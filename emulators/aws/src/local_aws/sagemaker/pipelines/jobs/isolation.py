"""Isolates a job from the machine: its own /opt/ml, Python environment and environment variables.

Python: a virtual environment per job, created without pip, that reads the caller's packages through a .pth file. pip
treats these as satisfied, does not uninstall what is outside its environment, and installs missing packages into the
job's environment only.

/opt/ml: a private mount namespace if the system allows one. Otherwise /opt/ml is relocated: replaced by the job's
folder in the command, the environment and the job's scripts. A script that composes the path from parts will not find
it.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

from local_aws.sagemaker.pipelines.jobs.image_environment import ImageEnvironment, link_commands

NOT_ISOLATED = (
    "this system allows no user namespaces: /opt/ml is replaced by the job's folder, and no job's network is isolated"
)

Mode = Literal["auto", "namespace", "relocate"]

ROOT = "/opt/ml"
_ROOT = re.compile(r"/opt/ml(?![\w.-])")
_SCRIPT_BYTES = 4_000_000

# Rebuilds /opt in the job's mount namespace: existing entries stay visible, since the Python that runs the job may be
# there, and the job's folder is at /opt/ml.
_MOUNT = """
set -eu
ml=$1 stage=$2 path=$PATH PATH=$3 loopback=$4 python=$5; shift 5
if [ -n "$loopback" ]; then "$python" -I -c "$loopback"; fi
if [ -d /opt/ml ]; then mount --bind "$ml" /opt/ml
else
  mount -t tmpfs -o mode=755 tmpfs "$stage"
  for entry in /opt/* /opt/.[!.]*; do
    target="$stage/${entry##*/}"
    if [ -L "$entry" ]; then cp -P "$entry" "$target"
    elif [ -d "$entry" ]; then mkdir "$target"; mount --rbind "$entry" "$target"
    elif [ -e "$entry" ]; then : > "$target"; mount --bind "$entry" "$target"
    fi
  done
  mkdir "$stage/ml"; mount --bind "$ml" "$stage/ml"; mount --rbind "$stage" /opt
fi
cd /opt/ml
PATH=$path
exec "$@"
"""
# A new network namespace has only a loopback interface, which is down.
_LOOPBACK_UP = """
import fcntl, socket, struct
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, struct.pack("16sh", b"lo", 1))
"""
# For root, plain mount namespaces may be allowed even if user namespaces are not.
_NAMESPACE_COMMANDS = (("unshare", "--map-root-user", "--mount"), ("unshare", "--mount"))

# Variables that a job inherits: package indexes, certificates, proxies, thread limits, and what makes this machine's
# processor look like another one.
_INHERITED = {
    "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY",
    "PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "PIP_CACHE_DIR", "PIP_DEFAULT_TIMEOUT", "PIP_RETRIES",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy",
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
    "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES",
    "LD_LIBRARY_PATH",
}  # fmt: skip
_LOOPBACK = "localhost,127.0.0.1,::1"


@dataclass(frozen=True)
class JobSpace:
    """One job's folder: `ml` is its /opt/ml, `venv` its Python, `log` its output."""

    folder: Path
    prefix: tuple[str, ...]  # the command that creates the namespace; empty if /opt/ml is relocated
    restricted: bool = False  # PATH has only the commands that are linked in `commands`

    @property
    def ml(self) -> Path:
        return self.folder / "ml"

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def commands(self) -> Path:
        return self.folder / "bin"

    @property
    def log(self) -> Path:
        return self.folder / "output.log"

    def host(self, path: str) -> Path:
        """The path on this machine of the job's `path` below /opt/ml.

        Raises:
            ValueError: the path is not below /opt/ml.
        """
        normal = Path(os.path.normpath(path))
        if not normal.is_relative_to(ROOT):
            raise ValueError(f"'{path}' is not below {ROOT}")
        return self.ml / normal.relative_to(ROOT)

    def command(self, words: Sequence[str], *, network: bool = True) -> list[str]:
        """The command that runs `words` with the job's folder at /opt/ml; without `network`, with loopback alone."""
        if not self.prefix:
            return [self.relocated(word) for word in words]
        # The programs that create the namespace are not the job's: they are found on the caller's PATH.
        program, *options = self.prefix
        path = os.environ.get("PATH", os.defpath)
        prefix = [shutil.which(program) or program, *options, *([] if network else ["--net"])]
        shell, stage, python = shutil.which("sh") or "sh", self.folder / "opt", self.venv / "bin/python"
        loopback = "" if network else _LOOPBACK_UP
        return [*prefix, shell, "-c", _MOUNT, "job", str(self.ml), str(stage), path, loopback, str(python), *words]

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """The complete environment of the job: inherited and fixed variables, and `own`."""
        caller = os.environ
        env = {name: caller[name] for name in _INHERITED if name in caller}
        user = next((p for p in _user_pip_configs() if p.exists()), None)
        if user and "PIP_CONFIG_FILE" not in env:
            env["PIP_CONFIG_FILE"] = str(user)  # pip would not find it, since HOME is the job's
        if env.keys() & {"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"}:
            for name in ("NO_PROXY", "no_proxy"):
                env[name] = ",".join(filter(None, [env.get(name), _LOOPBACK]))
        env |= {
            "PATH": os.pathsep.join(
                [str(self.venv / "bin"), str(self.commands) if self.restricted else caller.get("PATH", os.defpath)]
            ),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # never write into the caller's packages
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            "VIRTUAL_ENV": str(self.venv),
        }
        env |= own
        return env if self.prefix else {name: self.relocated(value) for name, value in env.items()}

    def relocated(self, text: str) -> str:
        """`text` with /opt/ml replaced by the job's folder, if it is relocated."""
        return text if self.prefix else _ROOT.sub(lambda _: str(self.ml), text)

    def relocate_scripts(self, folder: Path) -> None:
        """Relocates /opt/ml in the scripts in `folder`, including those in a source archive."""
        if self.prefix:
            return
        for path in folder.rglob("*"):
            if not path.is_file():
                continue
            if path.name == "sourcedir.tar.gz":
                _rewrite_archive(path, self)
            elif path.stat().st_size <= _SCRIPT_BYTES and (data := _rewritten(path.name, path.read_bytes(), self)):
                path.write_bytes(data)


class Isolation:
    """How jobs are isolated. `python`, if given, runs them all; otherwise the interpreter of each job's image does.

    `mode` "auto" uses a namespace if one can be created (tested once), and relocates otherwise.
    """

    def __init__(self, mode: Mode = "auto", python: Path | None = None) -> None:
        self.mode, self._given, self.python = mode, python, python or Path(sys.executable)

    @cached_property
    def prefix(self) -> tuple[str, ...]:
        """The command that creates a mount namespace; empty if /opt/ml is relocated.

        Raises:
            RuntimeError: mode "namespace" on a system that does not allow one.
        """
        if self.mode == "relocate":
            return ()
        prefix = next((way for way in _NAMESPACE_COMMANDS if _works(way)), ())
        if not prefix and self.mode == "namespace":
            raise RuntimeError("this system does not allow mount namespaces (tried unshare); use mode 'relocate'")
        return prefix

    def create_space(self, folder: Path, image: ImageEnvironment | None = None) -> JobSpace:
        """Creates the folders and the Python environment of a new job in `folder`.

        `image` gives the interpreter, unless this isolation has one of its own, and the commands.
        """
        space = JobSpace(folder.resolve(), self.prefix, image is not None and image.commands is not None)
        for name in ("ml", "home", "tmp", "opt"):
            (space.folder / name).mkdir(parents=True)
        self._create_venv(space.venv, self._given or (image.python if image else self.python))
        if image is not None and image.commands is not None:
            link_commands(image.commands, space.commands)
        return space

    def notes(self, image: ImageEnvironment, *, network: bool) -> list[str]:
        """What a job of `image` has otherwise than on AWS, a line each, for its log."""
        differences = "; ".join(() if self._given else image.differences)
        lines = [f"this job runs with {differences}"] if differences else []
        if not self.prefix:
            lines.append(NOT_ISOLATED)
            if not network:
                lines.append("this job asked for network isolation and has the network of this machine")
        return lines

    def _create_venv(self, venv: Path, python: Path) -> None:
        subprocess.run(
            [str(python), "-I", "-m", "venv", "--without-pip", "--symlinks", str(venv)],
            check=True,
            capture_output=True,
        )
        site = next(venv.glob("lib/python*/site-packages"))
        # A path in a .pth file is added without running the .pth files in it, so that a job cannot import the caller's
        # editable installs.
        (site / "caller.pth").write_text("".join(f"{path}\n" for path in _packages(python)))
        for name in ("pip", "pip3"):
            launcher = venv / "bin" / name
            launcher.write_text(f'#!/bin/sh\nexec "{venv}/bin/python" -m pip "$@"\n')
            launcher.chmod(0o755)


@cache
def _packages(python: Path) -> list[str]:
    """The folders of an interpreter's packages, plus the bundled pip if these contain none."""
    script = (
        "import ensurepip, importlib.util, json, pathlib, site\n"
        "bundled = [] if importlib.util.find_spec('pip') else "
        "[str(p) for p in pathlib.Path(ensurepip.__file__).parent.glob('_bundled/pip-*.whl')]\n"
        "print(json.dumps(site.getsitepackages() + bundled))"
    )
    completed = subprocess.run(
        [str(python), "-I", "-c", script], check=True, capture_output=True, text=True, encoding="utf-8"
    )
    return [str(path) for path in json.loads(completed.stdout)]


def _works(way: Sequence[str]) -> bool:
    """Whether the job's folder appears at /opt/ml in a namespace that the command `way` creates."""
    with tempfile.TemporaryDirectory() as name:
        space = JobSpace(Path(name).resolve(), tuple(way))
        for folder in ("ml", "opt"):
            (space.folder / folder).mkdir()
        (space.ml / "probe").touch()
        try:
            completed = subprocess.run(
                space.command(["test", "-e", f"{ROOT}/probe"]), capture_output=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return completed.returncode == 0


def _user_pip_configs() -> Sequence[Path]:
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return (config / "pip/pip.conf", home / ".pip/pip.conf")


def _rewritten(name: str, data: bytes, space: JobSpace) -> bytes | None:
    """A script with /opt/ml relocated; None if it is not a script or does not contain /opt/ml."""
    if not (name.endswith((".py", ".sh")) or data.startswith(b"#!")) or ROOT.encode() not in data:
        return None
    try:
        return space.relocated(data.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return None


def _rewrite_archive(path: Path, space: JobSpace) -> None:
    buffer = io.BytesIO()
    with tarfile.open(path) as source, tarfile.open(fileobj=buffer, mode="w:gz") as target:
        for member in source:
            content = source.extractfile(member) if member.isfile() else None
            if content is None:
                target.addfile(member)
                continue
            data = content.read()
            data = _rewritten(member.name, data, space) or data
            member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    path.write_bytes(buffer.getvalue())
