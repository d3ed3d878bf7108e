"""Keeps the joinable rows of an evaluated window in the lake, so that later labels are joined without its traffic.

A window is evaluated again whenever labels have come. Its captured traffic, thousands of objects of JSON, is the same
then; what labels are joined with is one Parquet object: `monitoring/<endpoint>/window-rows/<window>.parquet` with one
row per id. The object states which captured objects and which model it is of. Where that is not what is asked for, or
where there is none, the traffic must be read. Computes no verdict.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml.aws import session
from ml.aws.drift_check_store import PREFIX, window_name
from ml.errors import CloudError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ml.aws.labels.join import Join

_FORMAT = "1"
_CHUNK = 8 << 20


@dataclass(frozen=True, kw_only=True)
class WindowRows:
    """The rows of a window, as they are kept in the lake `bucket`.

    Args:
        capture: objects and bytes of the traffic that the rows are of.
        artifact_sha256: the digest of the model that answered.
    """

    bucket: str
    endpoint: str
    start: datetime
    end: datetime
    capture: Mapping[str, int]
    artifact_sha256: str

    @property
    def key(self) -> str:
        """The key of the object."""
        return f"{PREFIX}/{self.endpoint}/window-rows/{window_name(self.start, self.end)}.parquet"

    def keep(self, join: Join) -> None:
        """Writes the rows of `join`, whose labels were joined, with what the join has counted.

        Raises:
            CloudError: S3 refuses or cannot be reached.
        """
        counted = {"rows": join.rows, "without-id": join.without_id, "without-score": join.without_score}
        metadata = self._source | {name: str(count) for name, count in counted.items()}
        with _temporary_file() as file:
            join.write_rows(file)
            with session.explained(f"writing s3://{self.bucket}/{self.key}"):
                # In parts: a hundred million rows are more than the 5 GB of one PutObject.
                session.client("s3").upload_file(str(file), self.bucket, self.key, ExtraArgs={"Metadata": metadata})

    def restore(self, join: Join) -> bool:
        """Adds the kept rows to a new `join`; False, and nothing is added, if none of this window are kept.

        Raises:
            CloudError: S3 refuses or cannot be reached.
            DataError: the object is not what `keep` writes.
        """
        try:
            with session.explained(f"reading s3://{self.bucket}/{self.key}"):
                answer = session.client("s3").get_object(Bucket=self.bucket, Key=self.key)
        except CloudError as error:
            if session.code(error.__cause__ or error) == "NoSuchKey":
                return False
            raise
        stated: dict[str, Any] = answer["Metadata"]
        if not stated.items() >= self._source.items():
            answer["Body"].close()
            return False
        with _temporary_file() as file:
            with session.explained(f"reading s3://{self.bucket}/{self.key}"), file.open("wb") as copy:
                for chunk in answer["Body"].iter_chunks(_CHUNK):
                    copy.write(chunk)
            join.read_rows(
                file,
                f"s3://{self.bucket}/{self.key}",
                rows=int(stated["rows"]),
                without_id=int(stated["without-id"]),
                without_score=int(stated["without-score"]),
            )
        return True

    @property
    def _source(self) -> dict[str, str]:
        """The metadata that say what the rows are of."""
        return {
            "format": _FORMAT,
            "capture-objects": str(self.capture["objects"]),
            "capture-bytes": str(self.capture["bytes"]),
            "artifact-sha256": self.artifact_sha256,
        }


@contextmanager
def _temporary_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fraudops-rows-") as folder:
        yield Path(folder) / "rows.parquet"
