"""Stand-in data: drawn from published statistics, and similar to the data behind them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp, spearmanr

from ml.errors import FraudopsError
from ml.simulate import stand_in_data, table_files
from ml.simulate.stand_in_data import StandIn, copula_factor, draw, months_later

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT.parent / "shared" / "data" / "ulb_day1_sample.csv"
KAGGLE = ["Time", *(f"V{i}" for i in range(1, 29)), "Amount", "Class"]


@pytest.fixture(scope="module")
def full() -> pd.DataFrame:
    """The stand-in data at full size."""
    frame: pd.DataFrame = draw(seed=0).to_pandas()
    return frame


def test_draw_default_has_the_size_of_the_original(full: pd.DataFrame) -> None:
    """284,807 rows with 492 frauds in Kaggle's layout, over two days, in the order of time, without gaps."""
    assert list(full.columns) == KAGGLE
    assert (len(full), int(full["Class"].sum())) == (284_807, 492)
    assert full["Time"].is_monotonic_increasing
    assert 0 <= full["Time"].min() < 3_600
    assert 172_800 - 3_600 < full["Time"].max() < 172_800
    assert np.isfinite(full.to_numpy(dtype=float)).all()
    assert (full["Amount"] >= 0).all()


def test_draw_resembles_the_real_sample(full: pd.DataFrame) -> None:
    """The median Kolmogorov–Smirnov distance over columns is at most 0.03 for legitimate rows and 0.08 for frauds."""
    if not SAMPLE.exists():
        pytest.skip(f"{SAMPLE} is not there: the fidelity of the stand-in to real transactions was not measured")
    real = pd.read_csv(SAMPLE)
    for label, limit in ((0, 0.03), (1, 0.08)):
        ours, theirs = full[full["Class"] == label], real[real["Class"] == label]
        distances = [ks_2samp(ours[name], theirs[name], method="asymp").statistic for name in KAGGLE[1:-1]]
        assert float(np.median(distances)) <= limit, f"class {label}: {np.median(distances):.4f}"


def test_draw_reproduces_rank_correlations(full: pd.DataFrame) -> None:
    """Drawn rows have the copula's rank correlations to within 0.03 over all pairs of columns."""
    profile = json.loads((ROOT / "ml/simulate/profile.json").read_text())
    legitimate = full[full["Class"] == 0][KAGGLE[1:-1]].to_numpy()
    drawn = spearmanr(legitimate[:50_000]).statistic
    assert np.abs(drawn - np.array(profile["groups"][0]["rank_correlation"])).max() < 0.03


def test_frauds_are_mixed_by_row() -> None:
    """The amount and the V-columns of a fraud come from one group."""
    frauds = StandIn.load().frauds(2_000, np.random.default_rng(3))
    constant = frauds[frauds[:, -1] == 99.99]  # one kind has this one amount
    rest = frauds[frauds[:, -1] != 99.99]
    distances = [abs(constant[:, i].mean() - rest[:, i].mean()) / rest[:, i].std() for i in range(28)]
    assert max(distances) > 1


def test_draw_hours_match_the_profile(full: pd.DataFrame) -> None:
    """Each hour of the day has its share of legitimate rows, to within 0.3 percentage points."""
    profile = json.loads((ROOT / "ml/simulate/profile.json").read_text())
    counts = np.array(profile["hourly_counts"]["0"])
    hours = (full.loc[full["Class"] == 0, "Time"] // 3_600 % 24).astype(int)
    shares = np.bincount(hours, minlength=24) / len(hours)
    assert np.abs(shares - counts / counts.sum()).max() < 0.003


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_draw_is_deterministic_across_processes(name: str, tmp_path: Path) -> None:
    """A file drawn in a new process with another number of threads is equal, byte for byte."""
    table_files.write(tmp_path / name, draw(3_000, seed=7, start=date(2026, 1, 1), months=2))
    code = (
        "import sys; from datetime import date; from pathlib import Path\n"
        "from ml.simulate import stand_in_data, table_files; "
        "table_files.write(Path(sys.argv[1]), stand_in_data.draw(3_000, seed=7, start=date(2026, 1, 1), months=2))"
    )
    again = tmp_path / "again" / name
    environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PATH": "", "PYTHONHASHSEED": "5"}
    subprocess.run([sys.executable, "-c", code, str(again)], cwd=ROOT, env=environment, check=True, timeout=60)
    one, two = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / name, again))
    assert one == two


def test_draw_depends_on_the_seed() -> None:
    """Two seeds give different rows."""
    assert not draw(500, seed=1).equals(draw(500, seed=2))


def test_draw_covers_calendar_months() -> None:
    """Every calendar month has rows, Time counts from the start, and event_time agrees."""
    table = draw(6_000, seed=1, start=date(2025, 12, 1), months=3)
    frame = table.to_pandas()
    assert list(frame.columns) == ["event_time", *KAGGLE]
    assert set(frame["event_time"].dt.strftime("%Y-%m")) == {"2025-12", "2026-01", "2026-02"}
    midnight = datetime(2025, 12, 1, tzinfo=UTC)
    assert ((frame["event_time"] - midnight).dt.total_seconds() == frame["Time"]).all()


def test_csv_and_parquet_give_the_same_rows(tmp_path: Path) -> None:
    """Rows read back from CSV and from Parquet equal the drawn ones, to the last bit."""
    table = draw(2_000, seed=4)
    table_files.write(tmp_path / "a.csv", table)
    table_files.write(tmp_path / "a.parquet", table)
    drawn = table.to_pandas().astype(float)
    for frame in (
        pd.read_csv(tmp_path / "a.csv", float_precision="round_trip"),
        pd.read_parquet(tmp_path / "a.parquet"),
    ):
        pd.testing.assert_frame_equal(frame.astype(float), drawn, check_exact=True)


@pytest.mark.parametrize(
    "arguments",
    [
        {"rows": 0},
        {"rows": 10, "frauds": 11},
        {"rows": 10, "frauds": -1},
        {"seed": -1},
        {"months": 2},
        {"start": date(2026, 1, 1), "months": 0},
        {"start": date(9999, 1, 1), "months": 12},
    ],
)
def test_draw_rejects_invalid_arguments(arguments: dict[str, object]) -> None:
    """Invalid numbers are an error in one line."""
    with pytest.raises(FraudopsError):
        draw(**{"rows": 10, **arguments})  # type: ignore[arg-type]  # what the values are is the point


def test_draw_accepts_extreme_counts() -> None:
    """No fraud, only frauds, and a single row are valid."""
    assert draw(50, frauds=0)["Class"].to_pylist() == [0] * 50
    assert draw(50, frauds=50)["Class"].to_pylist() == [1] * 50
    assert draw(1).num_rows == 1


@settings(deadline=None)
@given(day=st.dates(date(1970, 1, 1), date(2200, 1, 1)), months=st.integers(1, 400))
def test_months_later_gives_same_or_last_day(day: date, months: int) -> None:
    """The month is `months` later, and the day is the same or the month's last."""
    later = months_later(day, months)
    assert later.year * 12 + later.month == day.year * 12 + day.month + months
    assert later.day == day.day or later.day < day.day <= 31


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(0, 10_000))
def test_copula_factor_exists_for_any_rank_correlation(size: int, seed: int) -> None:
    """Also impossible correlations give a factor with unit rows, that is, a correlation matrix."""
    ranks = np.random.default_rng(seed).uniform(-1, 1, (size, size))
    ranks = (ranks + ranks.T) / 2
    np.fill_diagonal(ranks, 1)
    factor = copula_factor(ranks)
    np.testing.assert_allclose((factor**2).sum(axis=1), 1, atol=1e-9)


def test_copula_factor_reproduces_valid_correlation() -> None:
    """If 2 sin(πr/6) is a correlation matrix, the factor reproduces it."""
    ranks = np.array([[1, 0.5], [0.5, 1]])
    factor = copula_factor(ranks)
    assert (factor @ factor.T)[0, 1] == pytest.approx(2 * np.sin(np.pi / 12))


def test_profile_names_source_and_licence() -> None:
    """The profile names its source, and the README beside it states the same."""
    profile = json.loads((ROOT / "ml/simulate/profile.json").read_text())
    readme = (ROOT / "ml/simulate/README.md").read_text()
    assert "ULB" in profile["source"]
    assert "DbCL" in profile["licence"]
    assert "DbCL" in readme
    assert [group["label"] for group in profile["groups"]] == [0, 1, 1, 1]
    for group in profile["groups"]:
        assert all(values == sorted(values) for values in group["quantiles"].values())


def test_write_rejects_unknown_extension(tmp_path: Path) -> None:
    """Only .csv, .csv.gz and .parquet are written."""
    with pytest.raises(FraudopsError, match=r"must end in \.csv"):
        table_files.write(tmp_path / "a.txt", draw(5))


def test_write_names_unwritable_path(tmp_path: Path) -> None:
    """A folder at the path is an error that names it, and no file is left behind."""
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(FraudopsError, match=r"a\.csv: cannot be written"):
        table_files.write(tmp_path / "a.csv", draw(5))
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_draw_has_float64_inputs() -> None:
    """Inputs are float64, as the lake requires; the class is int8."""
    schema = stand_in_data.draw(5).schema
    assert {str(schema.field(name).type) for name in KAGGLE[:-1]} == {"double"}
    assert schema.field("Class").type == pa.int8()
