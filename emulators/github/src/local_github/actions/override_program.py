"""Implements the action overrides: their steps run `python -I -S override_program.py VERB` with inputs in `env`.

Standard library only, and no import of this package: it runs with the interpreter of a job.
"""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Callable
from pathlib import Path

_BOUND = re.compile(r"(>=|<=|>|<|)\s*(\d+(?:\.\d+){0,2})")
_FORBIDDEN = re.compile(r'["\\:<>|*?\r\n/]')


class StepFailed(Exception):
    """Fails the step with its message."""


def _env(name: str) -> str:
    return os.environ.get(name, "").strip()


def _lines(name: str) -> list[str]:
    return [line.strip() for line in _env(name).splitlines() if line.strip()]


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _output(**values: str) -> None:
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name.replace('_', '-')}={value}\n" for name, value in values.items())


# --- artifacts


def artifact_id(run: str, name: str) -> int:
    """The id of a run's artifact, a hash of its name."""
    return int(hashlib.sha256(f"{run}/{name}".encode()).hexdigest()[:10], 16)


def _select_files(patterns: list[str], *, hidden: bool) -> tuple[list[Path], Path]:
    """The files that `patterns` select, and the folder that stored paths are relative to, as in the original action."""
    workspace = Path(os.environ["GITHUB_WORKSPACE"])
    files: dict[Path, None] = {}
    roots: list[Path] = []
    for pattern in patterns:
        text = str(workspace / pattern.removeprefix("!"))
        matched = [Path(path) for path in sorted(glob.glob(text, recursive=True, include_hidden=hidden))]  # noqa: PTH207 - pathlib's glob takes no absolute pattern
        inside = [file for path in matched for file in ([path] if path.is_file() else sorted(path.rglob("*")))]
        selected = [file for file in inside if file.is_file()]
        if pattern.startswith("!"):
            for file in selected:
                files.pop(file, None)
            continue
        if not hidden:
            selected = [file for file in selected if not _is_hidden(file, workspace)]
        files.update(dict.fromkeys(selected))
        stem = Path(re.split(r"[*?\[]", text)[0].rpartition("/")[0] if glob.has_magic(text) else text)
        roots.append(stem if glob.has_magic(text) or stem.is_dir() else stem.parent)
    root = Path(os.path.commonpath(roots)) if roots else workspace
    return list(files), root


def _is_hidden(file: Path, workspace: Path) -> bool:
    """Whether a file of the workspace lies below a hidden folder, or a file elsewhere is hidden."""
    parts = file.relative_to(workspace).parts if file.is_relative_to(workspace) else (file.name,)
    return any(part.startswith(".") for part in parts)


def upload_artifact() -> None:
    """Copies the files of `path` into the run's artifacts; without `archive`, one file that is served as it is."""
    files, root = _select_files(_lines("PATHS"), hidden=_env("HIDDEN") == "true")
    if not files:
        message = f"No files were found with the provided path: {_env('PATHS')}. No artifacts will be uploaded."
        if _env("NONE_FOUND") == "error":
            raise StepFailed(message)
        _print(message if _env("NONE_FOUND") == "ignore" else f"::warning::{message}")
        return
    name = _env("NAME")
    if _env("ARCHIVE") == "false":  # as the original: one file, whose name is the artifact's
        if len(files) > 1:
            raise StepFailed(f"Only one file can be uploaded without an archive, and {len(files)} were found")
        name, root = files[0].name, files[0].parent
    if not name or _FORBIDDEN.search(name):
        raise StepFailed(f"The artifact name is not valid: {name!r}")
    folder = Path(os.environ["LOCAL_GITHUB_ARTIFACTS"]) / name
    if folder.exists():
        if _env("OVERWRITE") != "true":
            raise StepFailed(f"An artifact with the name '{name}' already exists in this run")
        shutil.rmtree(folder)
    for file in files:
        target = folder / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
    number = artifact_id(os.environ["GITHUB_RUN_ID"], name)
    url = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}/actions/runs"
    _output(artifact_id=str(number), artifact_url=f"{url}/{os.environ['GITHUB_RUN_ID']}/artifacts/{number}")
    _print(f"Artifact {name}: {len(files)} file(s)")


def download_artifact() -> None:
    """Copies artifacts of this run: one by name, those of a pattern, or all."""
    folder = Path(os.environ["LOCAL_GITHUB_ARTIFACTS"])
    target = Path(os.environ["GITHUB_WORKSPACE"]) / (_env("DESTINATION") or ".")
    name, pattern = _env("NAME"), _env("PATTERN") or "*"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    wanted = [name] if name else [entry for entry in names if fnmatch.fnmatchcase(entry, pattern)]
    if name and name not in names:
        raise StepFailed(f"Unable to download artifact(s): Artifact not found for name: {name}")
    target.mkdir(parents=True, exist_ok=True)
    for entry in wanted:
        separate = not name and _env("MERGE") != "true"
        shutil.copytree(folder / entry, target / entry if separate else target, dirs_exist_ok=True)
        _print(f"Artifact {entry} downloaded")
    _output(download_path=str(target))


def deploy_pages() -> None:
    """Checks the artifact as Pages does: one artifact.tar with files and folders only. Publishes nothing."""
    name = _env("NAME")
    archive = Path(os.environ["LOCAL_GITHUB_ARTIFACTS"]) / name / "artifact.tar"
    if not archive.is_file():
        raise StepFailed(f"No artifact named {name!r} with an artifact.tar was uploaded by this run")
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
    if wrong := [each.name for each in members if not (each.isfile() or each.isdir()) or each.islnk()]:
        raise StepFailed(f"Pages takes files and folders only, and the artifact has links: {', '.join(wrong)}")
    owner, _, repository = os.environ["GITHUB_REPOSITORY"].partition("/")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"page_url=https://{owner}.github.io/{repository}/\n")
    _print(f"{sum(each.isfile() for each in members)} file(s) would be published; the emulator serves no Pages")


def attest_build_provenance() -> None:
    """Checks what the action needs to attest a digest, and writes the statement. Signs nothing."""
    name, digest = _env("SUBJECT"), _env("DIGEST")
    if not name or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise StepFailed(f"subject-name and subject-digest must be a name and sha256:… (got {name!r} and {digest!r})")
    if not os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"):
        raise StepFailed('missing "id-token" permission. Please add "permissions: id-token: write" to your workflow.')
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest.partition(":")[2]}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"runDetails": {"metadata": {"invocationId": os.environ["GITHUB_RUN_ID"]}}},
    }
    bundle = Path(os.environ["RUNNER_TEMP"]) / "attestation.json"
    bundle.write_text(json.dumps(statement), encoding="utf-8")
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"bundle_path={bundle}\n")
    _print(f"the provenance of {name}@{digest} would be attested; the emulator signs nothing")


# --- tools and tokens


def setup_python() -> None:
    """Puts a matching Python first on PATH: the emulator's own if it matches, else the newest installed."""
    wanted = _env("WANTED") or _version_of_file(_env("FILE"))
    others = [f"python3.{minor}" for minor in range(30, 7, -1)]
    for name in filter(None, map(shutil.which, [os.environ["LOCAL_GITHUB_PYTHON"], *others])):
        version, path = _version_and_path(name)
        if matches_version(version, wanted):
            break
    else:
        raise StepFailed(f"The version '{wanted}' of Python was not found on this machine: install it")
    folder = Path(os.environ["RUNNER_TEMP"]) / "python" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for link in ("python", "python3", f"python{version.rpartition('.')[0]}"):
        (folder / link).unlink(missing_ok=True)
        (folder / link).symlink_to(path)
    with Path(os.environ["GITHUB_PATH"]).open("a", encoding="utf-8") as file:
        file.write(f"{folder}\n")
    _output(version=version, path=str(folder / "python"))
    _print(f"Python {version} ({path})")


def _version_and_path(python: str) -> tuple[str, str]:
    """The version and the path of an interpreter; another than the running one is started for it."""
    if python == sys.executable:
        return platform.python_version(), sys.executable
    query = "import platform, sys; print(platform.python_version(), sys.executable)"
    version, _, path = subprocess.check_output([python, "-I", "-c", query], text=True).strip().partition(" ")
    return version, path


def matches_version(version: str, wanted: str) -> bool:
    """Whether `version` matches `3.12`, `3.12.1` or bounds such as `>=3.11,<3.14`."""
    actual = [int(part) for part in re.findall(r"\d+", version)[:3]]
    for part in filter(None, (part.strip() for part in wanted.split(","))):
        bound = _BOUND.fullmatch(part)
        if bound is None:
            raise StepFailed(f"python-version must be X.Y, X.Y.Z or bounds of these (got {wanted!r})")
        limit = [int(number) for number in bound[2].split(".")]
        matches = {
            "": actual[: len(limit)] == limit,
            ">=": actual >= limit,
            ">": actual > limit,
            "<=": actual[: len(limit)] <= limit,
            "<": actual < limit,
        }
        if not matches[bound[1]]:
            return False
    return True


def _version_of_file(name: str) -> str:
    if not name:
        return ""
    path = Path(os.environ["GITHUB_WORKSPACE"]) / name
    text = path.read_text(encoding="utf-8")
    if path.name == "pyproject.toml":
        return str(tomllib.loads(text).get("project", {}).get("requires-python", ""))
    return text.strip()


def create_github_app_token() -> None:
    """Requests a token of an App that is installed in the emulator."""
    import urllib.error  # here, because the other verbs start in half the time without it
    import urllib.request

    names = {name: value for name, value in os.environ.items() if name.startswith("PERMISSION_") and value}
    body = {
        "app": _env("APP"),
        "private_key": _env("PRIVATE_KEY"),
        "permissions": {name.removeprefix("PERMISSION_").replace("_", "-"): value for name, value in names.items()},
    }
    request = urllib.request.Request(  # noqa: S310 - the emulator's own address
        f"{os.environ['GITHUB_API_URL']}/repos/{os.environ['GITHUB_REPOSITORY']}/local/app-token",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {_env('RUN_TOKEN')}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            result = json.load(response)
    except urllib.error.HTTPError as error:
        raise StepFailed(f"no token for the App {_env('APP')}: {error.read().decode()}") from error
    _print(f"::add-mask::{result['token']}")
    _output(token=result["token"], installation_id=str(result["installation_id"]), app_slug=result["app_slug"])


VERBS: dict[str, Callable[[], None]] = {
    "upload-artifact": upload_artifact,
    "download-artifact": download_artifact,
    "deploy-pages": deploy_pages,
    "attest-build-provenance": attest_build_provenance,
    "setup-python": setup_python,
    "create-github-app-token": create_github_app_token,
}

if __name__ == "__main__":
    try:
        VERBS[sys.argv[1]]()
    except StepFailed as failure:
        _print(f"::error::{failure}")
        sys.exit(1)
