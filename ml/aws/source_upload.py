"""Uploads job code and settings to S3 under their own digests.

Equal content gets the same key, which makes definitions, step caching and artifacts reproducible. An existing object is
kept if S3 confirms its digest, else uploaded again. Code is one archive: a tree of a hundred objects costs a request
for each of them at every upload, and again in every job.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ml.aws import session
from ml.aws.pipeline.definition import NO_CHAMPION
from ml.errors import CloudError, ConfigError
from ml.model.training_settings import Settings

_PACKAGES = ("ml/model", "ml/steps", "ml/spark")
_COUNTING = ("ml/aws/__init__.py", "ml/errors.py", "ml/aws/capture", "ml/aws/labels")
"""What a drift check's job needs beside these; it calls no service of AWS."""
ARCHIVE = ".tar"
_BESIDE = ("run.sh", "requirements.txt")
"""Files that the container looks for at the top of the tree: those of ml/steps, or of ml/shards for its jobs."""


def tree(root: Path, *, counting: Literal["spark", "shards"] | None = None) -> dict[str, bytes]:
    """The files of a job's container, by path: ml/__init__.py, ml/{model,steps,spark}, run.sh and requirements.txt.

    Args:
        counting: also what counts captured traffic and labels, on Spark or on instances that share the objects.

    Raises:
        ConfigError: `root` is not a checkout of this project.
    """
    files = {"ml/__init__.py": root / "ml/__init__.py"}
    sharded = ("ml/shards",) if counting == "shards" else ()
    beside = {f"{sharded[0] if sharded else 'ml/steps'}/{name}": name for name in _BESIDE}
    for package in (*_PACKAGES, *(_COUNTING if counting else ()), *sharded):
        if package.endswith(".py"):
            files[package] = root / package
        for path in (root / package).rglob("*"):
            name = path.relative_to(root).as_posix()
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                files[beside.get(name, name)] = path
    try:
        content = {name: path.read_bytes() for name, path in sorted(files.items())}
    except FileNotFoundError as error:
        raise ConfigError(f"{error.filename} is missing; run from the repository's root or give --repo") from error
    missing = sorted(set(_BESIDE) - set(content))
    if missing:
        raise ConfigError(f"{root}/ml/steps lacks {', '.join(missing)}; run from the repository's root or give --repo")
    return content


def archive(files: Mapping[str, bytes]) -> bytes:
    """A tar of the tree. Equal trees give equal bytes; not compressed, because zlib's output differs by version."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, body in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return written.getvalue()


def digest(files: Mapping[str, bytes]) -> str:
    """The sha256 of the tree's archive. A job verifies it before it unpacks it (`ml.aws.pipeline.entry_point`)."""
    return hashlib.sha256(archive(files)).hexdigest()


def upload_code(files: Mapping[str, bytes], bucket: str, *, below: str = "code") -> str:
    """Uploads the tree as one archive under its digest and returns its URI, `s3://BUCKET/BELOW/<sha256>.tar`."""
    return _upload(bucket, f"{below}/{digest(files)}{ARCHIVE}", archive(files))


def upload_settings(settings: Settings, bucket: str) -> str:
    """Uploads settings.json under its digest and returns its prefix, `s3://BUCKET/configs/<sha256>/`."""
    return _upload(bucket, f"configs/{settings.sha256}/", settings.to_json().encode(), name="settings.json")


def upload_no_champion(bucket: str) -> str:
    """Uploads a placeholder for the champion, for runs while no model serves; returns its prefix."""
    return _upload(bucket, NO_CHAMPION, json.dumps({"champion": None}).encode(), name="none.json")


def _upload(bucket: str, prefix: str, body: bytes, *, name: str = "") -> str:
    """Makes the object `prefix` + `name` exactly `body`, and returns the URI that a job reads.

    A job reads every object whose key begins with `prefix`, so there must be no other.
    """
    s3 = session.client("s3")
    where, key = f"s3://{bucket}/{prefix}", prefix + name
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
    with session.explained(f"uploading to {where}"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        there = {item["Key"] for page in pages for item in page.get("Contents", [])}
        if others := sorted(there - {key}):
            raise CloudError(
                f"s3://{bucket} holds {', '.join(others[:5])}, which this project did not upload; jobs would read it "
                f"with {where}: find out who did, delete them, then run this again"
            )
        if there:
            head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            if head.get("ChecksumSHA256") == checksum:
                return where
        # S3 verifies this digest on arrival and stores it with the object.
        s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum)
    return where
