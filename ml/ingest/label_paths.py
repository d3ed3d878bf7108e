"""Lists the label files that paths name (local or s3://; a file, a folder, a prefix), and reads their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ml.aws import s3_objects
from ml.errors import DataError
from ml.ingest import quarantine

ENDINGS = (".csv", ".csv.gz", ".parquet", ".pq")


def expand(paths: Iterable[str]) -> list[str]:
    """The files that `paths` name, in order, each once.

    A folder and an S3 prefix that ends in a slash stand for the label files directly in them, by name: those that end
    as `ENDINGS`, without hidden files and quarantines.

    Raises:
        DataError: a path does not exist, or no label file is in it.
        CloudError: S3 refuses or cannot be reached.
    """
    found: dict[str, None] = {}
    for path in paths:
        found.update(dict.fromkeys(_expand(path)))
    return list(found)


def read(path: str) -> bytes:
    """The bytes of the file at `path`. Raises DataError if there is none, CloudError if S3 refuses."""
    if path.startswith(s3_objects.SCHEME):
        return s3_objects.read(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a readable file of labels") from error


def is_label_file(name: str) -> bool:
    """Whether a file of this name in a folder is taken for a label file."""
    return name.lower().endswith(ENDINGS) and not name.startswith(".") and not name.endswith(quarantine.SUFFIX)


def _expand(path: str) -> Iterator[str]:
    if path.startswith(s3_objects.SCHEME):
        if not path.endswith("/"):
            yield path
            return
        bucket, prefix = s3_objects.split(path)
        names = (key.removeprefix(prefix) for key in s3_objects.keys(bucket, prefix))
        files = [f"{path}{name}" for name in names if "/" not in name and is_label_file(name)]
    else:
        place = Path(path)
        if not place.exists():
            raise DataError(f"{path}: no such file or folder; give the path of a label file")
        if not place.is_dir():
            yield path
            return
        files = [str(file) for file in sorted(place.iterdir()) if file.is_file() and is_label_file(file.name)]
    if not files:
        raise DataError(f"{path}: has no file that ends in {', '.join(ENDINGS)}; give a folder with label files")
    yield from files
