"""`fraudops data profile`: the figures of a lake's labelled transactions, and stand-in data like them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ml import config
from ml.aws.labels import join
from ml.aws.lake import Lake
from ml.commands import data_profile
from ml.commands.data_import import import_data
from ml.errors import ConfigError, DataError, FraudopsError
from ml.model.training_settings import Columns
from ml.simulate import profile as profiles
from ml.simulate import stand_in_data, table_files
from tests.harness import bank_case
from tests.harness.aws import moto_server
from tests.harness.bank_case import BankCase

COLUMNS = config.parse(bank_case.DATA_YAML, config.DATA, config.DataFile).to_columns()
CASE = BankCase(rows=6_000, days=10, fraud_share=0.05)
NOW = "2026-03-01T00:00:00Z"


@pytest.fixture
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake in a bucket of its own, on a day after the case."""
    moto_server.point_at(server, monkeypatch)
    monkeypatch.setenv("FRAUDOPS_NOW", NOW)
    return Lake(moto_server.make_bucket(f"lake-{uuid4().hex}"))


@pytest.fixture
def files(lake: Lake, tmp_path: Path) -> list[Path]:
    """The bank's files, imported."""
    written = CASE.write(tmp_path / "bank")
    import_data(str(tmp_path / "bank"), lake=lake, columns=COLUMNS, start=None, quarantine=False)
    return written


def profile(lake: Lake, folder: Path, columns: Columns = COLUMNS, **window: date) -> profiles.Profile:
    """The profile of the lake, through its file."""
    given = {"start": None, "end": None} | window
    path = folder / "profile.json"
    path.write_text(json.dumps(data_profile.profile_of(lake.bucket, columns, floor=10, **given)))
    return profiles.read(path)


def test_profile_has_the_figures_of_the_lake_and_no_row(lake: Lake, files: list[Path], tmp_path: Path) -> None:
    """Counts by class and medians are the files'; no card, no event and no amount of a row is in the file."""
    found = profile(lake, tmp_path)
    rows = pa.concat_tables([pq.read_table(path).select(sorted(pq.read_schema(path).names)) for path in files])
    frauds = pc.sum(rows["is_fraud"]).as_py()
    assert (found.full_set.rows, found.full_set.frauds) == (rows.num_rows, frauds)
    assert found.layout.time is not None and found.layout.time.unit == "epoch_seconds"
    middle = found.quantile_levels.index(0.5)
    for group in found.groups:
        values = rows.filter(pc.equal(rows["is_fraud"], group.label))["feat_a"].to_numpy()
        assert group.quantiles["feat_a"][middle] == pytest.approx(float(np.median(values)), abs=0.15)
    assert found.decimals["txn_amount"] == 2
    assert found.categories == ("merchant_category",)
    assert set(found.groups[0].categories["merchant_category"]) == set(bank_case.CATEGORIES)
    text = (tmp_path / "profile.json").read_text()
    assert not [card for card in rows["card_id"].to_pylist() if f'"{card}"' in text]
    highest = float(max(rows["txn_amount"].to_pylist()))
    assert all(group.quantiles["txn_amount"][-1] < highest for group in found.groups)


def test_drawn_data_import_with_the_same_data_yaml(lake: Lake, files: list[Path], tmp_path: Path) -> None:
    """What is drawn from the profile passes the contract of the data that it was made from."""
    assert files
    table = stand_in_data.draw(2_000, seed=5, start=date(2026, 2, 1), months=1, profile=profile(lake, tmp_path))
    table_files.write(tmp_path / "drawn.parquet", table.drop_columns(["event_time"]))
    without_text = Columns(**{**vars(COLUMNS), "keep": (), "entity": None})
    report = import_data(str(tmp_path / "drawn.parquet"), lake=lake, columns=without_text, start=None, quarantine=False)
    assert (report.rows, report.quarantined) == (2_000, 0)
    assert report.frauds == round(2_000 * profile(lake, tmp_path, end=date(2026, 1, 20)).full_set.fraud_rate)


def test_labels_that_come_later_count_and_analysts_alone_do_not(lake: Lake, tmp_path: Path) -> None:
    """As in training: a chargeback makes a row labelled; a finding of an analyst alone does not."""
    rows = 200
    frame = pa.table(
        {
            "id": [f"e{place:03d}" for place in range(rows)],
            "event_time": pa.array([datetime(2026, 1, 5, 12, tzinfo=UTC)] * rows, pa.timestamp("us", "UTC")),
            "x": np.arange(rows, dtype=np.float64),
        }
    )
    pq.write_table(frame, tmp_path / "unlabelled.parquet")
    columns = Columns(
        label="y", time=None, amount=None, event_id="id", entity=None, features=("x",), categories=(), keep=()
    )
    import_data(
        str(tmp_path / "unlabelled.parquet"),
        lake=lake,
        columns=columns,
        start=None,
        quarantine=False,
        labelled=False,
    )
    with pytest.raises(DataError, match="class 0 has 0 transactions with a label"):
        profile(lake, tmp_path, columns)
    known = datetime(2026, 1, 20, tzinfo=UTC)
    delivered = {
        "event_id": frame["id"],
        "label": pa.array([int(place < 60) for place in range(rows)], pa.int8()),
        "known_at": pa.array([known] * rows, pa.timestamp("us", "UTC")),
        "channel": ["analyst" if place == 199 else "chargeback" for place in range(rows)],
    }
    join.deliver(lake.bucket, pa.table(delivered))
    found = profile(lake, tmp_path, columns)
    assert (found.full_set.rows, found.full_set.frauds) == (199, 60)
    assert (found.layout.amount, found.layout.time) == (None, None)


def test_an_empty_window_and_missing_columns_are_named(lake: Lake, files: list[Path], tmp_path: Path) -> None:
    """No import in the window; a column that an import has not."""
    assert files
    with pytest.raises(DataError, match="has no import in the window"):
        profile(lake, tmp_path, start=date(2027, 1, 1))
    more = Columns(**{**vars(COLUMNS), "features": (*COLUMNS.features, "feat_z")})
    with pytest.raises(DataError, match=r"has no column feat_z; import its files again"):
        profile(lake, tmp_path, more)


def test_a_low_floor_and_a_file_of_others_are_refused(tmp_path: Path) -> None:
    """A floor below ten could reveal rows; a file that is no profile is never replaced."""
    with pytest.raises(FraudopsError, match=r"must be 10 or more \(got 3\)"):
        data_profile.write(tmp_path, tmp_path / "profile.json", floor=3)
    other = tmp_path / "notes.txt"
    other.write_text("notes")
    with pytest.raises(ConfigError, match=r"notes\.txt: line 1 is not JSON"):
        data_profile.write(tmp_path, other)
    assert other.read_text() == "notes"
