"""Text columns go through the three steps: learned, scored, adapted; a column that is no category is refused."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from ml.model import artifact
from ml.model.explanation import OTHER, explain
from ml.model.request_parser import RequestParser
from ml.steps import category_columns
from ml.steps.job_runner import StepFailed
from tests.model.scoring_samples import unpack
from tests.model.training_samples import SETTINGS, SHOPS, WITH_CATEGORIES, changed, rows_with_categories
from tests.steps.step_runs import Bench, transactions

pytestmark = pytest.mark.container
TRAINING = changed(columns=WITH_CATEGORIES, categories={"min_rows": 20, "max_values": 10})
TEXT = dataclasses.replace(SETTINGS, training=TRAINING)


def with_crypto(n: int, share: float, seed: int) -> tuple[pd.DataFrame, NDArray[np.int8]]:
    """Rows with a shop that no earlier row has: half of its transactions are frauds, which look like others."""
    X, y = rows_with_categories(n, share, seed)
    random = np.random.default_rng(seed)
    chosen = random.random(n) < 0.02
    X.loc[chosen, "shop"] = "crypto"
    y[chosen & (random.random(n) < 0.5)] = 1
    return X, y


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A finished fit on rows with text columns."""
    bench = Bench(tmp_path_factory.mktemp("opt")).lay(TEXT)
    bench.data(draw=rows_with_categories)
    bench.whole()
    return bench


def test_fit_learns_levels_from_the_training_part_alone(fitted: Bench) -> None:
    """The document has the values that 20 training rows have, whatever later parts hold; the evaluation says so."""
    model = artifact.read(fitted.artifact()).model
    (part,) = model.document.parts
    train = pq.read_table(fitted.processing / "prepared" / "train.parquet").to_pandas()
    for table in part.levels:
        counts = train[table.input].value_counts()
        assert list(table.levels) == sorted(counts.index[counts >= 20])
    assert [table.input for table in part.levels] == ["shop", "country"]
    notes = fitted.evaluation()["fit"]["notes"]
    assert any(note.startswith("Category shop: 4 values have 20 training rows or more") for note in notes)


def test_scores_are_equal_in_every_form(fitted: Bench, tmp_path: Path) -> None:
    """The archive's scorer, its own code in a process with nothing else, JSON and CSV: the same to 1e-9."""
    archive = artifact.read(fitted.artifact())
    frame = pq.read_table(fitted.processing / "prepared" / "test.parquet").to_pandas().head(60)
    frame.loc[frame.index[:3], "shop"] = ["never seen", " Süßes ", 'say "hi", twice']
    stripped = frame.assign(shop=frame["shop"].str.strip(" "))
    expected = archive.model.score(archive.model.matrix(stripped))
    inputs = frame[list(archive.model.inputs)]
    bodies = {
        "application/json": json.dumps({"instances": inputs.to_dict("records")}),
        "text/csv": inputs.to_csv(index=False),
    }
    parser = RequestParser.of(archive.model.document)
    served = unpack(tmp_path / "served", dict(archive.files))
    program = (
        "import json, sys; sys.path.insert(0, 'code'); import inference\n"
        "model = inference.model_fn('.')\n"
        "for kind, body in json.load(sys.stdin).items():\n"
        "    answer, _ = inference.transform_fn(model, body, kind, 'application/json')\n"
        "    print(json.dumps([row['score'] for row in json.loads(answer)['predictions']]))\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('sklearn', 'pandas', 'imblearn')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(bodies), cwd=served, env={"PYTHONPATH": ""}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *answers, others = done.stdout.splitlines()
    assert others == "[]"
    for (kind, body), answer in zip(bodies.items(), answers, strict=True):
        assert archive.model.score(parser.parse(body, kind).rows).tolist() == expected.tolist()
        assert np.abs(np.array(json.loads(answer)) - expected).max() < 1e-9


def test_reference_counts_every_value(fitted: Bench) -> None:
    """Rare values are in the drift reference too, so that only values that no row had are unseen."""
    shops = artifact.read(fitted.artifact()).baseline["inputs"][5]
    assert (shops["name"], shops["kind"]) == ("shop", "category")
    parts = ("train", "validation", "test")
    every = pd.concat([pq.read_table(fitted.processing / "prepared" / f"{part}.parquet").to_pandas() for part in parts])
    counts = every["shop"].value_counts()
    assert dict(zip(shops["values"], shops["counts"], strict=True)) == counts.to_dict()
    assert shops["values"] == sorted(SHOPS)


def test_adaptation_learns_a_new_level_and_keeps_the_known_part(fitted: Bench, tmp_path: Path) -> None:
    """Frauds of a shop that the champion does not know get a coefficient in the part for new patterns alone."""
    bench = Bench(tmp_path / "opt").lay(TEXT)
    bench.data(8000, 0.03, 5, day=10, draw=with_crypto)
    champion = artifact.read(fitted.artifact()).model
    bench.whole(kind="adapt", champion=bench.crown(fitted.artifact()))
    model = artifact.read(bench.artifact()).model
    assert re.search("was added, with amounts(,| and) categories", " ".join(bench.evaluation()["fit"]["notes"]))
    known, new = model.document.parts
    assert known.levels == champion.document.parts[0].levels
    by_level = {table.input: dict(zip(table.levels, table.coefficients, strict=True)) for table in new.levels}
    assert max(by_level["shop"], key=by_level["shop"].__getitem__) == "crypto"
    row: list[float | str] = [3600.0, 0.0, 0.0, 0.0, 20.0, "crypto", "DE"]
    found = explain(model, row)
    assert found.pattern == "new"
    levels = [term.level for part in found.parts for term in part.contributions if term.input == "shop"]
    assert levels == [OTHER, "crypto"]
    assert found.score > 10 * explain(model, [*row[:5], "food", "DE"]).score


def test_threshold_run_keeps_categories(fitted: Bench, tmp_path: Path) -> None:
    """A new threshold leaves every level and coefficient, also where the rows have other values."""
    bench = Bench(tmp_path / "opt").lay(TEXT)
    bench.data(8000, 0.03, 5, day=10, draw=with_crypto)
    bench.whole(kind="threshold", champion=bench.crown(fitted.artifact()))
    model, champion = (artifact.read(each.artifact()).model for each in (bench, fitted))
    assert model.document.parts == champion.document.parts
    assert model.threshold.score != champion.threshold.score


def test_champion_without_the_categories_is_compared(fitted: Bench, tmp_path: Path) -> None:
    """A challenger with text columns is compared with a champion that has none: its inputs are there."""
    bench = Bench(tmp_path / "opt").lay()
    bench.data()
    bench.whole()
    digest = bench.crown(bench.artifact())
    bench.lay(TEXT)
    bench.data(8000, 0.03, 5, day=10, draw=rows_with_categories)
    (bench.processing / "dataset" / "raw" / "20260101-abc" / "transactions.parquet").unlink()
    (bench.processing / "dataset" / "labels" / "20260101-abc" / "labels.parquet").unlink()
    assert bench.whole(champion=digest)["champion"]["status"] != "not possible"


def test_column_with_too_many_values_is_refused(tmp_path: Path) -> None:
    """The message gives the counts, the setting, and what to do."""

    def ids(n: int, share: float, seed: int) -> tuple[pd.DataFrame, NDArray[np.int8]]:
        X, y = rows_with_categories(n, share, seed)
        return X.assign(shop=[f"card {place}" for place in range(n)]), y

    bench = Bench(tmp_path / "opt").lay(TEXT)
    bench.data(draw=ids)
    done = bench.run("prepare")
    assert done.returncode == 1
    assert "column shop: 2,000 different values in 2,000 training rows, and categories.max_values in" in done.stderr
    assert "it is an id or free text, not a category; remove it from categories in data.yaml" in done.stderr


def test_column_that_is_stored_as_numbers_is_refused(tmp_path: Path) -> None:
    """A feature that became a category must be imported again."""

    def numbers(n: int, share: float, seed: int) -> tuple[pd.DataFrame, NDArray[np.int8]]:
        X, y = rows_with_categories(n, share, seed)
        return X.assign(shop=np.arange(n) % 3), y

    bench = Bench(tmp_path / "opt").lay(TEXT)
    bench.data(draw=numbers)
    done = bench.run("prepare")
    assert done.returncode == 1
    assert "column shop is stored as double, and data.yaml names it in categories" in done.stderr


def test_kept_column_is_read_as_a_category() -> None:
    """A column that was kept as it was loses outer spaces; free text is refused."""
    table = transactions(["a", "b"], rows_with_categories(2)[0].assign(shop=[" food ", ""]))
    assert category_columns.trimmed(table, WITH_CATEGORIES)["shop"].to_pylist() == ["food", ""]
    long = table.set_column(table.column_names.index("shop"), "shop", pa.array(["x" * 129, "food"]))
    assert category_columns.too_long(long, WITH_CATEGORIES) == {"shop": 1}
    with pytest.raises(StepFailed, match="column shop: 1 of 2 values have more than 128 characters: it is free text"):
        category_columns.refuse_long({"shop": 1}, 2)
