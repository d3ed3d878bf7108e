"""What labels and drift checks leave in the lake, to compare a run with one that nothing has disturbed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.commands.labels_collect import INBOX
from ml.playground.chaos.environment import ChaosEnvironment

_PREFIXES = ("labels/", INBOX, "monitoring/")


def keys(environment: ChaosEnvironment, prefix: str) -> list[str]:
    """The keys of the lake below `prefix`."""
    return [item["Key"] for item in _listed(environment, prefix)]


def waiting(environment: ChaosEnvironment) -> list[str]:
    """The label files in the inbox that no run has imported."""
    return [key for key in keys(environment, INBOX) if "/" not in key.removeprefix(INBOX)]


def checks(environment: ChaosEnvironment) -> list[str]:
    """The documents of drift checks."""
    return [key for key in keys(environment, "monitoring/") if key.endswith(".json")]


def digests(environment: ChaosEnvironment) -> dict[str, str]:
    """The digest (S3's ETag) of each object that labels and checks have left."""
    return {item["Key"]: item["ETag"] for prefix in _PREFIXES for item in _listed(environment, prefix)}


def differences(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """How the objects differ from those of a run that nothing has disturbed."""
    return [
        *(f"{key} is missing" for key in sorted(expected.keys() - found.keys())),
        *(f"{key} is left over" for key in sorted(found.keys() - expected.keys())),
        *(f"{key} differs" for key in sorted(expected.keys() & found.keys()) if expected[key] != found[key]),
    ]


def _listed(environment: ChaosEnvironment, prefix: str) -> list[Any]:
    pages = environment.aws.client("s3").get_paginator("list_objects_v2")
    listed = pages.paginate(Bucket=environment.bucket, Prefix=prefix)
    return [item for page in listed for item in page.get("Contents", [])]
