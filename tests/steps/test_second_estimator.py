"""Naive Bayes goes through the three jobs as one more file of the code: fit, gate, champion, archive, adaptation."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from ml.model import artifact, estimators
from ml.model.explanation import explain
from ml.model.run_kinds import RunKind
from ml.model.training_settings import Settings
from tests.harness import estimator_files
from tests.model.training_samples import SETTINGS, WITH_CATEGORIES, changed, rows_with_categories
from tests.steps.step_runs import ROOT, Bench

pytestmark = pytest.mark.container


def naming(estimator: str) -> Settings:
    """Settings with text columns and an estimator."""
    training = dataclasses.replace(changed(columns=WITH_CATEGORIES), estimator=estimator)
    return dataclasses.replace(SETTINGS, training=training)


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the product's code and naive Bayes."""
    return str(estimator_files.copy_product(tmp_path_factory.mktemp("code"), ROOT))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, code: str) -> Bench:
    """A fit of naive Bayes, compared with a champion that logistic regression fitted to the same rows."""
    bench = Bench(tmp_path_factory.mktemp("opt")).lay(naming("logistic_regression"))
    bench.data(draw=rows_with_categories)
    bench.whole(PYTHONPATH=code)
    champion = bench.crown(bench.artifact())
    bench.lay(naming(estimator_files.NAIVE_BAYES))
    bench.whole(champion=champion, PYTHONPATH=code)
    return bench


def test_gate_decides_and_compares_with_the_champion(fitted: Bench) -> None:
    """Limits, intervals and the paired comparison are those of any model; nothing is said of resampling."""
    evaluation = fitted.evaluation()
    assert evaluation["verdict"]["status"] == "passed"
    assert evaluation["champion"]["status"] == "compared"
    assert evaluation["fit"]["synthetic_rows"] == 0
    assert not any("SMOTE" in note for note in evaluation["fit"]["notes"])
    assert any(note.startswith("Category shop: ") for note in evaluation["fit"]["notes"])


def test_archive_has_the_numbers_and_no_estimator(fitted: Bench) -> None:
    """The part is tables, the code is the scorer's alone, and the drift reference counts every input."""
    archive = artifact.read(fitted.artifact())
    (part,) = archive.model.document.parts
    assert part.features == ()
    assert [table.input for table in part.bins] == ["V1", "V2", "V3", "Amount", "Time"]
    assert [table.input for table in part.levels] == ["shop", "country"]
    assert not any("estimator" in name for name in archive.files)
    assert estimator_files.NAIVE_BAYES not in archive.files["model.json"].decode()
    assert [each["name"] for each in archive.baseline["inputs"]] == list(archive.model.inputs)


@pytest.mark.parametrize("kind", ["adapt", "threshold"])
def test_runs_from_the_champion_need_no_estimator(fitted: Bench, tmp_path: Path, kind: RunKind) -> None:
    """The code has lost the file by then: an adaptation and a new threshold take the champion's numbers."""
    bench = Bench(tmp_path / "opt").lay(naming(estimator_files.NAIVE_BAYES))
    bench.data(8000, 0.03, 5, day=10, new_share=0.01, draw=rows_with_categories)
    bench.whole(kind=kind, champion=bench.crown(fitted.artifact()))
    champion, model = (artifact.read(each.artifact()).model for each in (fitted, bench))
    known = dataclasses.replace(model.document.parts[0], recalibration=None)
    assert known == champion.document.parts[0]
    assert len(model.document.parts) == (2 if kind == "adapt" else 1)
    row: list[float | str] = [3600.0, 0.0, 0.0, 0.0, 20.0, "food", "DE"]
    for part in explain(model, row).parts:
        assert part.intercept + sum(each.log_odds for each in part.contributions) == pytest.approx(part.log_odds)


def test_job_names_an_estimator_that_its_code_lacks(tmp_path: Path) -> None:
    """A fit with the product's own code fails; SageMaker's failure reason lists the estimators."""
    bench = Bench(tmp_path / "opt").lay(naming(estimator_files.NAIVE_BAYES))
    bench.data(draw=rows_with_categories)
    assert bench.run("prepare").returncode == 0
    assert bench.run("train").returncode == 1
    reason = (bench.root / "output" / "failure").read_text()
    assert f"estimator must be one of {', '.join(estimators.names())}, the files of ml/model/estimators" in reason
    assert "(got 'naive_bayes')" in reason


def test_estimator_does_not_change_other_settings() -> None:
    """Settings that differ in the estimator alone differ in their digest, and survive their JSON."""
    settings = naming(estimator_files.NAIVE_BAYES)
    assert Settings.from_json(settings.to_json()) == settings
    assert settings.sha256 != naming("logistic_regression").sha256
    assert json.loads(settings.to_json())["training"]["estimator"] == estimator_files.NAIVE_BAYES
