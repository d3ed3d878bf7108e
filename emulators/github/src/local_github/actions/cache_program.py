"""Implements actions/cache: its steps run `python -I -S cache_program.py VERB` with inputs in `env`.

Standard library only, and no import of this package: it runs with the interpreter of a job. An entry belongs to a ref
and is found by key and version; the version is the list of paths, as in the original action. A job restores entries of
its own ref, of the base of its pull request and of the default branch, and saves for its own ref.
https://docs.github.com/actions/reference/workflows-and-actions/dependency-caching
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

_KEY_CHARACTERS = 512


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


def _key() -> str:
    key = _env("KEY")
    if not key or "," in key or len(key) > _KEY_CHARACTERS:
        raise StepFailed(f"Key Validation Error: {key} must have 1 to {_KEY_CHARACTERS} characters and no commas.")
    return key


def _split(lines: list[str]) -> tuple[list[Path], list[Path]]:
    """The paths below RUNNER_TOOL_CACHE, which outlive a job anyway, and the others."""
    tools = Path(os.environ["RUNNER_TOOL_CACHE"]).resolve()
    workspace = Path(os.environ["GITHUB_WORKSPACE"])
    paths = [(workspace / Path(line).expanduser()) for line in lines]
    kept = [path for path in paths if path.resolve().is_relative_to(tools)]
    return kept, [path for path in paths if path not in kept]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _folder(ref: str, lines: list[str]) -> Path:
    """The folder of a ref's entries of one version."""
    return Path(os.environ["LOCAL_GITHUB_CACHES"]) / _digest(ref) / _digest("|".join(lines))


def restore() -> None:
    """Restores the entry of `key`, or of the newest key with a prefix of `restore-keys`; notes it to be saved."""
    key, lines = _key(), _lines("PATHS")
    kept, others = _split(lines)
    hit = all(path.is_dir() and any(path.iterdir()) for path in kept)
    matched = key if hit else ""
    if others and hit:
        archive, matched = _find(key, lines)
        if archive is not None and _env("LOOKUP") != "true":
            _unpack(archive, others)
    if not matched and _env("FAIL") == "true":
        raise StepFailed(f"Failed to restore cache entry. Exiting as fail-on-cache-miss is set. Input key: {key}")
    _print(f"Cache restored from key: {matched}" if matched else f"Cache not found for input keys: {key}")
    _output(cache_hit=str(matched == key).lower() if matched else "", cache_matched_key=matched)
    if _env("SAVE") == "true" and matched != key and _env("LOOKUP") != "true":
        with Path(os.environ["LOCAL_GITHUB_CACHES_TO_SAVE"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "paths": lines}) + "\n")


def _find(key: str, lines: list[str]) -> tuple[Path | None, str]:
    """The archive and key of the entry to restore: ref by ref, first the exact key, then prefixes in order."""
    for ref in _lines("LOCAL_GITHUB_CACHE_REFS"):
        folder = _folder(ref, lines)
        exact = folder / f"{_digest(key)}.tar"
        if exact.is_file():
            return exact, key
        named = sorted(folder.glob("*.key"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        known = [(path.with_suffix(".tar"), path.read_text(encoding="utf-8")) for path in named]
        for prefix in [key, *_lines("RESTORE_KEYS")]:
            for archive, name in known:
                if name.startswith(prefix):
                    return archive, name
    return None, ""


def _unpack(archive: Path, paths: list[Path]) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ["RUNNER_TEMP"]) as folder, tarfile.open(archive) as file:
        file.extractall(folder, filter="tar")
        for index, path in enumerate(paths):
            stored = Path(folder) / str(index)
            path.parent.mkdir(parents=True, exist_ok=True)
            if stored.is_dir():
                shutil.copytree(stored, path, symlinks=True, dirs_exist_ok=True)
            elif stored.exists():
                shutil.copy2(stored, path)


def save() -> None:
    """Saves `path` under `key`, unless the ref has that key."""
    _save(_key(), _lines("PATHS"))


def post() -> None:
    """Saves what the job's uses of actions/cache did not find, last first, as their post steps do. Never fails."""
    notes = Path(os.environ["LOCAL_GITHUB_CACHES_TO_SAVE"])
    entries = notes.read_text(encoding="utf-8").splitlines() if notes.is_file() else []
    for entry in map(json.loads, reversed(entries)):
        try:
            _save(entry["key"], entry["paths"])
        except OSError as error:
            _print(f"::warning::Failed to save: {error}")


def _save(key: str, lines: list[str]) -> None:
    _, others = _split(lines)
    archive = _folder(_lines("LOCAL_GITHUB_CACHE_REFS")[0], lines) / f"{_digest(key)}.tar"
    if not others:
        return
    if archive.is_file():
        _print(f"Unable to reserve cache with key {key}, another job may be creating this cache.")
        return
    if not any(path.exists() for path in others):
        _print(
            "::warning::Path Validation Error: Path(s) specified in the action for caching do(es) not exist, "
            "hence no cache is being saved."
        )
        return
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial = archive.with_suffix(f".{os.getpid()}")
    with tarfile.open(partial, "w") as file:
        for index, path in enumerate(others):  # stored by index, because the workspace path differs between jobs
            if path.exists():
                file.add(path, arcname=str(index))
    partial.replace(archive)
    archive.with_suffix(".key").write_text(key, encoding="utf-8")
    _print(f"Cache saved with key: {key}")


VERBS: dict[str, Callable[[], None]] = {"restore": restore, "save": save, "post": post}

if __name__ == "__main__":
    try:
        VERBS[sys.argv[1]]()
    except StepFailed as failure:
        _print(f"::error::{failure}")
        sys.exit(1)
