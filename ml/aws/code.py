"""What a run takes from the working tree, in S3 under its own digest: the jobs' source and the settings.

Equal content has an equal address, whoever uploads it and when: that is what makes definitions, step caching and
artifacts repeatable. An object that is there already is left alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from ml.aws import session
from ml.aws.pipeline import NO_CHAMPION
from ml.errors import ConfigError
from ml.model.settings import Settings

_PACKAGES = ("ml/model", "ml/steps")
_BESIDE = {"ml/steps/run.sh": "run.sh", "ml/steps/requirements.txt": "requirements.txt"}
"""Files of ml/steps that the container looks for at the top of the tree."""


def tree(root: Path) -> dict[str, bytes]:
    """What a job's container gets, by path: ml/__init__.py, ml/model, ml/steps, run.sh and requirements.txt.

    Raises:
        ConfigError: `root` is not a checkout of this project.
    """
    files = {"ml/__init__.py": root / "ml/__init__.py"}
    for package in _PACKAGES:
        for path in (root / package).rglob("*"):
            name = path.relative_to(root).as_posix()
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
                files[_BESIDE.get(name, name)] = path
    try:
        content = {name: path.read_bytes() for name, path in sorted(files.items())}
    except FileNotFoundError as error:
        raise ConfigError(f"{error.filename} is missing; run from the repository's root or give --repo") from error
    missing = sorted(set(_BESIDE.values()) - set(content))
    if missing:
        raise ConfigError(f"{root}/ml/steps lacks {', '.join(missing)}; run from the repository's root or give --repo")
    return content


def digest(files: Mapping[str, bytes]) -> str:
    """The sha256 of the canonical listing: every path with the sha256 of its content, sorted by path."""
    listing = [[name, hashlib.sha256(body).hexdigest()] for name, body in sorted(files.items())]
    return hashlib.sha256(json.dumps(listing, separators=(",", ":")).encode()).hexdigest()


def upload_code(files: Mapping[str, bytes], bucket: str) -> str:
    """Puts the tree under its digest and returns its prefix, `s3://BUCKET/code/<sha256>/`."""
    return _upload(bucket, f"code/{digest(files)}/", files)


def upload_settings(settings: Settings, bucket: str) -> str:
    """Puts settings.json under its digest and returns its prefix, `s3://BUCKET/configs/<sha256>/`."""
    return _upload(bucket, f"configs/{settings.sha256}/", {"settings.json": settings.to_json().encode()})


def upload_no_champion(bucket: str) -> str:
    """Puts what stands in for a champion where no model serves, and returns its prefix."""
    return _upload(bucket, NO_CHAMPION, {"none.json": json.dumps({"champion": None}).encode()})


def _upload(bucket: str, prefix: str, files: Mapping[str, bytes]) -> str:
    s3 = session.client("s3")
    with session.explained(f"uploading to s3://{bucket}/{prefix}"):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        there = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}
        for name, body in files.items():
            if there.get(prefix + name) != len(body):
                s3.put_object(Bucket=bucket, Key=prefix + name, Body=body)
    return f"s3://{bucket}/{prefix}"
