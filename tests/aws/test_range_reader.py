"""Reading parts of an object as a file."""

from __future__ import annotations

import io
import re
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.awsrequest import AWSPreparedRequest

from ml.aws import s3_objects
from ml.aws.range_reader import RangeReader
from ml.aws.session import client
from ml.errors import CloudError
from tests.harness.aws import moto_server

DATA = bytes(range(200))


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return moto_server.make_bucket(f"ranges-{uuid4().hex}")


def test_reader_reads_as_a_file_does(bucket: str) -> None:
    """Positions from the start, from here and from the end; nothing beyond the end."""
    s3_objects.write(f"s3://{bucket}/a", DATA, "application/octet-stream")
    reader, file = RangeReader(bucket, "a", len(DATA)), io.BytesIO(DATA)
    for offset, whence, size in ((0, 0, 7), (-10, 2, 20), (5, 0, 0), (3, 1, 4), (500, 0, 1), (190, 0, -1)):
        assert reader.seek(offset, whence) == file.seek(offset, whence)
        assert (reader.read(size), reader.tell()) == (file.read(size), file.tell())
    assert reader.readable()
    assert reader.seekable()


def test_two_columns_of_a_file_need_no_download_of_the_others(bucket: str) -> None:
    """Parquet's footer and the two columns are read: less than a quarter of a file of ten equal columns."""
    table = pa.table({f"c{place}": pa.array(range(place, place + 50_000)) for place in range(10)})
    stream = pa.BufferOutputStream()
    pq.write_table(table, stream, use_dictionary=False, compression="none")
    data = stream.getvalue().to_pybytes()
    s3_objects.write(f"s3://{bucket}/t.parquet", data, "application/octet-stream")
    asked: list[int] = []

    def count(request: AWSPreparedRequest, **_: object) -> None:
        first, last = re.findall(r"\d+", str(request.headers["Range"]))
        asked.append(int(last) - int(first) + 1)

    events = client("s3").meta.events
    events.register("before-send.s3.GetObject", count, unique_id="count")
    try:
        found = pq.read_table(RangeReader(bucket, "t.parquet", len(data)), columns=["c0", "c1"])
    finally:
        events.unregister("before-send.s3.GetObject", count, unique_id="count")
    assert found.equals(table.select(["c0", "c1"]))
    assert 0 < sum(asked) < len(data) / 4


def test_missing_object_is_an_error(bucket: str) -> None:
    """The error names it."""
    with pytest.raises(CloudError, match=rf"reading s3://{bucket}/gone: GetObject was refused with NoSuchKey"):
        RangeReader(bucket, "gone", 10).read(4)
