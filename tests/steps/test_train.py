"""The Train step: the model depends on the training and validation rows alone; a failure has one reason.

A run of kind `threshold` changes nothing of the champion but the threshold; one of kind `adapt` adds to it.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.special import logit

from ml.model import artifact, explanation
from ml.model.drift.reference import Summary
from ml.model.metrics import Confusion
from ml.model.model_parts import NEW
from ml.steps import ended_pattern
from tests.harness.columns import ulb_columns
from tests.model.training_samples import SETTINGS, changed
from tests.steps.step_runs import Bench

pytestmark = pytest.mark.container
FEWER = ulb_columns(("V1", "V2"))


def test_train_does_not_read_test_rows(bench: Bench) -> None:
    """Train gives the same model without them."""
    (bench.processing / "prepared" / "test.parquet").unlink()
    assert bench.run("train").returncode == 0
    assert sorted(file.name for file in (bench.root / "model").iterdir()) == ["baseline.json", "fit.json", "model.json"]


def test_threshold_keeps_its_limit_on_validation_rows(finished: Bench) -> None:
    """At most 2 % of the legitimate validation rows are alerted."""
    model = artifact.read(finished.artifact()).model
    rows = pq.read_table(finished.processing / "prepared" / "validation.parquet").to_pandas()
    honest = rows[rows["label"] == 0]
    assert 0 < model.decide(model.score(honest[list(model.inputs)].to_numpy())).mean() <= 0.02


def test_failed_training_writes_the_reason_for_sagemaker(bench: Bench) -> None:
    """One line on stderr, the same in output/failure, exit code 1, and no model."""
    training = changed(resampling={"neighbours": 500})
    bench.lay(dataclasses.replace(SETTINGS, training=training))
    done = bench.run("train")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "needs at least 501 frauds among the training rows" in done.stderr
    assert (bench.root / "output" / "failure").read_text() == done.stderr.strip()
    assert not (bench.root / "model").exists()


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory, finished: Bench) -> Bench:
    """The prepared rows of ten days later, for a run of kind threshold that starts from the finished model."""
    made = Bench(tmp_path_factory.mktemp("later")).lay()
    made.data(seed=3, day=10)
    made.crown(finished.artifact())
    assert made.run("prepare", "--kind", "threshold").returncode == 0
    return made


def test_new_threshold_leaves_every_other_number(finished: Bench, later: Bench) -> None:
    """Train takes the champion's document, and its threshold keeps the policy on the legitimate training rows."""
    champion = artifact.read(finished.artifact())
    assert later.run("train", "--kind", "threshold", "--champion-sha256", champion.sha256).returncode == 0
    text = (later.root / "model" / "model.json").read_text()
    made, theirs = json.loads(text), json.loads(champion.files["model.json"])
    assert {key: made[key] for key in made if key not in ("threshold", "provenance")} == {
        key: theirs[key] for key in theirs if key not in ("threshold", "provenance")
    }
    assert made["threshold"]["score"] != theirs["threshold"]["score"]
    rows = pq.read_table(later.processing / "prepared" / "train.parquet").to_pandas()
    honest = champion.model.score(rows[rows["label"] == 0][list(champion.model.inputs)].to_numpy())
    assert 0 < (honest >= made["threshold"]["score"]).mean() <= 0.02
    reference = json.loads((later.root / "model" / "baseline.json").read_text())
    assert sum(reference["fraud_by_amount"]["rows"]) == len(rows)


def test_new_threshold_needs_rows_that_the_champion_was_not_fitted_on(finished: Bench, tmp_path: Path) -> None:
    """Rows of the champion's own windows say nothing about new ones; without others the step fails."""
    made = Bench(tmp_path).lay()
    made.data()
    sha256 = made.crown(finished.artifact())
    assert made.run("prepare", "--kind", "threshold").returncode == 0
    done = made.run("train", "--kind", "threshold", "--champion-sha256", sha256)
    assert done.returncode == 1
    assert "the champion was fitted on all 2,800 training rows: a new threshold needs later rows" in done.stderr


@pytest.mark.parametrize(
    ("kind", "named", "reason"),
    [
        ("threshold", False, "a run of kind threshold starts from the champion, and BaseModelSha256 names none"),
        ("adapt", False, "a run of kind adapt starts from the champion, and BaseModelSha256 names none"),
        ("fit", True, "a run of kind fit starts from no model, and BaseModelSha256 names one"),
    ],
)
def test_kind_and_champion_must_agree(finished: Bench, later: Bench, kind: str, named: bool, reason: str) -> None:
    """A fit starts from no model, every other kind from the champion."""
    champion = ["--champion-sha256", artifact.read(finished.artifact()).sha256] if named else []
    done = later.run("train", "--kind", kind, *champion)
    assert (done.returncode, reason in done.stderr) == (1, True)


def test_other_inputs_need_a_fit(finished: Bench, later: Bench, tmp_path: Path) -> None:
    """The champion's coefficients belong to its inputs, so other columns in data.yaml need a refit."""
    made = Bench(tmp_path).lay(dataclasses.replace(SETTINGS, training=changed(columns=FEWER)))
    shutil.copytree(later.processing / "prepared", made.processing / "prepared")
    sha256 = made.crown(finished.artifact())
    done = made.run("train", "--kind", "threshold", "--champion-sha256", sha256)
    assert done.returncode == 1
    assert (
        "the champion takes the inputs Time, V1, V2, V3, Amount, and data.yaml names Time, V1, V2, Amount: "
        "only a run of kind fit can change the inputs"
    ) in done.stderr


def test_another_unit_of_the_time_needs_a_fit(finished: Bench, later: Bench, tmp_path: Path) -> None:
    """The champion reads the hour of day in its own unit, so the same column in another one needs a refit."""
    columns = SETTINGS.training.columns
    assert columns.time is not None
    other = dataclasses.replace(columns, time=dataclasses.replace(columns.time, unit="epoch_milliseconds"))
    made = Bench(tmp_path).lay(dataclasses.replace(SETTINGS, training=changed(columns=other)))
    shutil.copytree(later.processing / "prepared", made.processing / "prepared")
    done = made.run("train", "--kind", "threshold", "--champion-sha256", made.crown(finished.artifact()))
    assert done.returncode == 1
    assert (
        "the champion takes the time Time as seconds_since_start (UTC), and data.yaml names epoch_milliseconds (UTC): "
        "only a run of kind fit can change the unit or the zone"
    ) in done.stderr


@pytest.fixture(scope="module")
def changed_later(tmp_path_factory: pytest.TempPathFactory, finished: Bench) -> Bench:
    """A machine on which a run of kind adapt ended, on rows of ten days later with high amounts that are frauds now."""
    made = Bench(tmp_path_factory.mktemp("changed")).lay()
    made.data(seed=3, day=10, new_share=0.05)
    made.whole(kind="adapt", champion=made.crown(finished.artifact()))
    return made


def test_adaptation_adds_a_part_and_keeps_the_champions(finished: Bench, changed_later: Bench) -> None:
    """The part for known patterns has the champion's numbers and a line; new frauds are found by the other part."""
    champion, made = artifact.read(finished.artifact()).model, artifact.read(changed_later.artifact()).model
    known, new = made.document.parts
    assert dataclasses.replace(known, recalibration=None) == champion.document.parts[0]
    assert known.recalibration is not None
    assert new.pattern == "new"
    assert made.document.history == champion.document.history
    rows = pq.read_table(changed_later.processing / "prepared" / "test.parquet").to_pandas()
    X, fraud = rows[list(made.inputs)].to_numpy(), rows["label"].to_numpy() == 1
    caught, before = (model.decide(model.score(X))[fraud].mean() for model in (made, champion))
    assert caught > before + 0.2
    assert made.decide(made.score(X))[~fraud].mean() < 0.04
    assert changed_later.evaluation()["verdict"]["status"] == "passed", changed_later.evaluation()["verdict"]


def test_second_adaptation_replaces_the_first(changed_later: Bench, tmp_path: Path) -> None:
    """Adapting the adapted model to the same rows gives the same parts: slopes and experts do not add up."""
    made = Bench(tmp_path).lay()
    shutil.copytree(changed_later.processing / "prepared", made.processing / "prepared")
    sha256 = made.crown(changed_later.artifact())
    assert made.run("train", "--kind", "adapt", "--champion-sha256", sha256).returncode == 0
    again, once = (json.loads((bench.root / "model" / "model.json").read_text()) for bench in (made, changed_later))
    assert again == once


def test_new_threshold_for_an_adapted_model_keeps_both_parts(changed_later: Bench, tmp_path: Path) -> None:
    """The champion of a run of kind threshold may be an adapted model."""
    made = Bench(tmp_path).lay()
    made.data(seed=5, day=20, new_share=0.05)
    made.whole(kind="threshold", champion=made.crown(changed_later.artifact()))
    before, after = (artifact.read(bench.artifact()).model.document for bench in (changed_later, made))
    assert (after.parts, after.history) == (before.parts, before.history)
    assert after.threshold.score != before.threshold.score


def test_adaptation_logs_what_it_chose_and_how_sure_the_threshold_is(finished: Bench, changed_later: Bench) -> None:
    """The log has the candidates with their likelihoods and the rate to expect; fit.json has the choice."""
    sha256 = artifact.read(finished.artifact()).sha256
    log = changed_later.run("train", "--kind", "adapt", "--champion-sha256", sha256).stdout
    assert "adapting to 2800 rows with " in log
    assert "A part for new patterns was added, with amounts: the log-likelihood of out-of-fold scores is " in log
    assert re.search(r"\d+ of \d+ out-of-fold rows reach the threshold; a false_positive_rate of \d", log)
    fit = json.loads((changed_later.root / "model" / "fit.json").read_text())
    assert fit["notes"][0] in log
    assert len(fit["out_of_fold_scores"]["train"]) == 2800
    assert fit["synthetic_rows"] == 0


def test_adapted_reference_has_the_scores_of_all_rows_of_the_run(changed_later: Bench) -> None:
    """Training rows count with their out-of-fold scores, so a short window has enough frauds for a drift check."""
    reference, rows = artifact.read(changed_later.artifact()).baseline, {}
    for part in ("train", "test"):
        rows[part] = pq.read_table(changed_later.processing / "prepared" / f"{part}.parquet").to_pandas()
    count = sum(len(table) for table in rows.values())
    assert reference["scores"]["n"] == reference["alerts"]["of"] == sum(reference["fraud_by_amount"]["rows"]) == count
    fit = json.loads((changed_later.root / "model" / "fit.json").read_text())
    model = artifact.read(changed_later.artifact()).model
    scores = [*fit["out_of_fold_scores"]["train"], *model.score(rows["test"][list(model.inputs)].to_numpy())]
    labels = [*rows["train"]["label"], *rows["test"]["label"]]
    assert reference["confusion"] == vars(Confusion.of(labels, model.decide(scores)))


def test_adapted_reference_has_the_distribution_of_the_models_own_scores(changed_later: Bench) -> None:
    """Fits without a block move all scores a little; traffic is scored by the model itself, and is compared with it."""
    read = artifact.read(changed_later.artifact())
    parts = [pq.read_table(changed_later.processing / "prepared" / f"{part}.parquet") for part in ("train", "test")]
    values = pd.concat([part.to_pandas() for part in parts])[list(read.model.inputs)].to_numpy()
    own = Summary.reference(read.model.score(values)).to_dict()
    moments = ("mean", "std")  # whose last bit depends on the memory that the sum runs over
    exact = [key for key in own if key not in moments]
    assert [read.baseline["scores"][key] for key in exact] == [own[key] for key in exact]
    assert [read.baseline["scores"][key] for key in moments] == pytest.approx([own[key] for key in moments], rel=1e-12)
    fit = json.loads((changed_later.root / "model" / "fit.json").read_text())
    assert not np.allclose(fit["out_of_fold_scores"]["train"], read.model.score(values)[:2800])


def test_adaptation_leaves_out_rows_of_the_champions_fit(finished: Bench, tmp_path: Path) -> None:
    """A window that begins before the champion's end: its fitted rows are neither fitted to, nor in the reference."""
    made = Bench(tmp_path).lay()
    made.data()  # the champion's rows: 2,800 of training and validation, 1,200 that it has not seen
    made.data(seed=3, day=10, new_share=0.05)
    made.whole(kind="adapt", champion=made.crown(finished.artifact()))
    fit = json.loads((made.root / "model" / "fit.json").read_text())
    note = "2,800 of 5,600 training rows were left out: the champion's coefficients were fitted on them."
    assert fit["notes"][-1] == note
    assert len(fit["out_of_fold_scores"]["train"]) == 2_800
    adapted = artifact.read(made.artifact())
    assert adapted.baseline["scores"]["n"] == adapted.baseline["alerts"]["of"] == 8_000 - 2_800
    assert [window["numbers"] for window in adapted.baseline["fitted"]] == ["known", "known", "new"]


def test_second_adaptation_uses_the_rows_of_the_first(changed_later: Bench, tmp_path: Path) -> None:
    """Only the part for known patterns is kept, so the rows of the replaced part count again."""
    made = Bench(tmp_path).lay()
    shutil.copytree(changed_later.processing / "prepared", made.processing / "prepared")
    sha256 = made.crown(changed_later.artifact())
    assert "adapting to 2800 rows with " in made.run("train", "--kind", "adapt", "--champion-sha256", sha256).stdout
    done = made.run("train", "--kind", "threshold", "--champion-sha256", sha256)
    assert "the champion was fitted on all 2,800 training rows: a new threshold needs later rows" in done.stderr


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory, changed_later: Bench) -> Bench:
    """A machine on which a run of kind drop ended: high amounts are frauds before day 26, not from then on."""
    made = Bench(tmp_path_factory.mktemp("dropped")).lay()
    made.data(n=9_300, seed=5, day=20, new_share=0.05)
    made.data(seed=7, day=26)
    made.whole(kind="drop", champion=made.crown(changed_later.artifact()))
    return made


def test_dropped_part_leaves_the_first_fit(finished: Bench, changed_later: Bench, dropped: Bench) -> None:
    """The model is the one that was adapted first, to the last bit, with a threshold of its own; the gate passes it."""
    first, made = (json.loads(artifact.read(bench.artifact()).files["model.json"]) for bench in (finished, dropped))
    assert {key for key in made if made[key] != first[key]} == {"threshold"}
    evaluation = dropped.evaluation()
    assert evaluation["verdict"]["status"] == "passed", evaluation["verdict"]
    checks = {check["name"]: check for check in evaluation["verdict"]["checks"]}
    assert checks["drop_false_positive_rate"]["bound"] < 0
    assert checks["drop_recall"]["observed"] >= checks["drop_recall"]["limit"]
    assert {"known pattern", "new pattern"} <= {part["name"] for part in evaluation["champion"]["slices"]}
    test = pq.read_table(dropped.processing / "prepared" / "test.parquet").to_pandas()
    before, after = (artifact.read(bench.artifact()).model for bench in (changed_later, dropped))
    values = test[list(after.inputs)].to_numpy()
    alerts, former = after.score(values) >= after.threshold.score, before.score(values) >= before.threshold.score
    alone = before.log_odds(values)[:, 0] >= logit(before.threshold.score)
    assert (alerts >= alone).all()  # the alerts of the part for known patterns stay
    assert (
        alerts[~former].sum() < (former & ~alerts).sum()
    )  # others take half of the places of the removed ones, at most
    assert evaluation["threshold_change"]["champion"]["alerts"] > evaluation["threshold_change"]["new"]["alerts"]


def test_reference_of_a_dropped_part_has_none_of_its_frauds(changed_later: Bench, dropped: Bench) -> None:
    """Frauds of the ended pattern are in the training rows, and neither in the rates nor in the recall to expect."""
    champion, made = (artifact.read(bench.artifact()) for bench in (changed_later, dropped))
    rows = {
        part: pq.read_table(dropped.processing / "prepared" / f"{part}.parquet").to_pandas()
        for part in ("train", "test")
    }
    follows = (
        explanation.patterns(champion.model.log_odds(rows["train"][list(champion.model.inputs)].to_numpy())) == NEW
    )
    left_out = follows & (rows["train"]["label"].to_numpy() == 1)
    assert (ended_pattern.still_valid(champion, rows["train"]) == ~left_out).all()
    ended = int(left_out.sum())
    assert ended > 0.4 * rows["train"]["label"].sum()
    frauds = sum(int(part["label"].sum()) for part in rows.values())
    assert sum(made.baseline["fraud_by_amount"]["frauds"]) == frauds - ended
    assert sum(made.baseline["fraud_by_amount"]["rows"]) == sum(map(len, rows.values())) - ended
    counts = made.baseline["confusion"]
    assert counts["true_positives"] / (counts["true_positives"] + counts["false_negatives"]) > 0.8
    assert {window["numbers"] for window in made.baseline["fitted"]} == {"known", "threshold"}
    assert made.baseline["new_pattern"] == {"alerts": 0, "frauds": 0}


def test_part_whose_frauds_go_on_is_not_dropped(changed_later: Bench, tmp_path: Path) -> None:
    """If the test rows have frauds of the pattern, recall falls beyond chance and the gate fails."""
    made = Bench(tmp_path).lay()
    made.data(seed=5, day=20, new_share=0.05)
    evaluation = made.whole(kind="drop", champion=made.crown(changed_later.artifact()))
    assert evaluation["verdict"]["status"] == "failed"
    failed = {check["name"] for check in evaluation["verdict"]["checks"] if not check["passed"]}
    assert {"drop_recall", "champion_recall"} <= failed


def test_champion_of_one_part_has_nothing_to_drop(finished: Bench, later: Bench, tmp_path: Path) -> None:
    """The step fails, and says why."""
    made = Bench(tmp_path).lay()
    shutil.copytree(later.processing / "prepared", made.processing / "prepared")
    sha256 = made.crown(finished.artifact())
    done = made.run("train", "--kind", "drop", "--champion-sha256", sha256)
    assert done.returncode == 1
    assert f"the champion {sha256} has no part for new patterns, so a run of kind drop has nothing to drop" in (
        done.stderr
    )
