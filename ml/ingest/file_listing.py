"""Finds the data files that a path means: a file, a folder, a glob or an S3 prefix. Reads none of them."""

from __future__ import annotations

import fnmatch
import glob
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from ml.aws import s3_objects
from ml.errors import DataError
from ml.ingest import quarantine

ENDINGS = (".csv", ".csv.gz", ".csv.zst", ".parquet", ".pq")
"""The endings of data files in a folder or under a prefix; a file that is named itself may have any."""
_WILD = re.compile(r"[*?\[]")
_DAY = re.compile(r"(?<!\d)(20\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """One data file.

    `name` is for people: with the folders from the one on that was given. `partition` are the columns that its folders
    name, as Hive's `day=2026-03-01`.
    """

    path: str
    name: str
    partition: Mapping[str, str]

    @property
    def day(self) -> date | None:
        """The last date in its path, such as 2026-03-01 or 20260301; None if there is none."""
        found = _DAY.findall(self.path)
        try:
            return date(*map(int, found[-1])) if found else None
        except ValueError:
            return None


def find(paths: Iterable[str]) -> list[FoundFile]:
    """The data files that `paths` mean, each once, in the order of the paths and then of names.

    A folder or a prefix means all files below it that end in `ENDINGS`; names that begin with `_` or `.` and quarantine
    files are left out.

    Raises:
        DataError: a path means no file.
        CloudError: S3 denies access or cannot be reached.
    """
    found: dict[str, str] = {}
    for given in paths:
        for path in _in_s3(given) if given.startswith(s3_objects.SCHEME) else _local(given):
            found.setdefault(path, _name(given, path))
    several = Counter(found.values())
    return [
        FoundFile(path=path, name=name if several[name] == 1 else path, partition=partition_of(path))
        for path, name in found.items()
    ]


def require(paths: Sequence[str]) -> None:
    """Checks that one of `paths` may mean a file, without asking S3. A caller reports one missing file among others.

    Raises:
        DataError: every path is local and there is no such file.
    """
    if not any(path.startswith(s3_objects.SCHEME) or _WILD.search(path) or Path(path).exists() for path in paths):
        raise DataError(f"{', '.join(paths)}: no such file; give the path of a CSV or Parquet file")


def _name(given: str, path: str) -> str:
    """The name of the file `path` for people, which the path `given` has found."""
    start, file = (PurePosixPath(each.removeprefix(s3_objects.SCHEME)) for each in (given, path))
    if start == file:
        return file.name if file.is_absolute() or given.startswith(s3_objects.SCHEME) else str(file)
    fixed = itertools.takewhile(lambda part: not _WILD.search(part), start.parts)
    return str(file.relative_to(PurePosixPath(*fixed).parent))


def partition_of(path: str) -> dict[str, str]:
    """The `name=value` folders of a path."""
    folders = PurePosixPath(path.removeprefix(s3_objects.SCHEME)).parts[:-1]
    pairs = (folder.split("=", 1) for folder in folders if "=" in folder)
    return {unquote(name): unquote(value) for name, value in pairs if name}


def _local(path: str) -> list[str]:
    if Path(path).is_dir():
        names = [str(item) for item in sorted(Path(path).rglob("*")) if item.is_file()]
        return _data_files(path, names, [str(PurePosixPath(name).relative_to(path)) for name in names])
    if _WILD.search(path) and not Path(path).exists():
        names = sorted(name for name in glob.glob(path, recursive=True) if Path(name).is_file())  # noqa: PTH207 - pathlib refuses absolute patterns
        if not names:
            raise DataError(f"{path}: matches no file; check the pattern, and quote it for the shell")
        return [name for name in names if not name.endswith(quarantine.SUFFIX)]
    return [path]


def _in_s3(uri: str) -> list[str]:
    bucket, _, key = uri.removeprefix(s3_objects.SCHEME).partition("/")
    if not bucket:
        raise DataError(f"{uri}: must be s3://BUCKET/KEY")
    wild = _WILD.search(key)
    if wild:
        keys = [item for item in _keys(bucket, key[: wild.start()]) if fnmatch.fnmatchcase(item, key)]
        if not keys:
            raise DataError(f"{uri}: matches no object; check the pattern")
        return [f"s3://{bucket}/{item}" for item in keys if not item.endswith(quarantine.SUFFIX)]
    keys = _keys(bucket, key)
    if key in keys:
        return [uri]
    folder = key if not key or key.endswith("/") else f"{key}/"
    below = [item for item in keys if item.startswith(folder)]
    if not below:
        raise DataError(f"{uri}: no such object; check the bucket's name and the key")
    return _data_files(uri, [f"s3://{bucket}/{item}" for item in below], [item[len(folder) :] for item in below])


def _keys(bucket: str, prefix: str) -> list[str]:
    """The keys under a prefix, without those that stand for folders."""
    return [key for key in s3_objects.keys(bucket, prefix) if not key.endswith("/")]


def _data_files(where: str, names: list[str], relative: list[str]) -> list[str]:
    """Those of `names` that are data files, by their paths below the folder."""
    kept = [
        name
        for name, inside in zip(names, relative, strict=True)
        if inside.lower().endswith(ENDINGS)
        and not inside.endswith(quarantine.SUFFIX)
        and not any(part.startswith(("_", ".")) for part in PurePosixPath(inside).parts)
    ]
    if not kept:
        raise DataError(f"{where}: holds no data file ({', '.join(ENDINGS)}); name the files themselves")
    return kept
