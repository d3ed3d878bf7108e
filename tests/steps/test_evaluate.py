"""The Evaluate step: the measured model is the packed one, and equal inputs give equal bytes."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

from ml.model import artifact
from ml.model.metrics import Confusion
from ml.model.training_settings import OutOfFold
from ml.steps import measurement, prepared_files
from ml.steps.prepared_files import LABEL
from tests.harness.columns import ulb_columns
from tests.model.training_samples import SETTINGS, changed
from tests.steps.step_runs import PROVENANCE, Bench

pytestmark = pytest.mark.container


def test_steps_are_deterministic(finished: Bench, tmp_path: Path) -> None:
    """Another process, folder, hash seed and number of threads give the same archive and verdict."""
    again = Bench(tmp_path).lay()
    again.data()
    evaluation = again.whole(
        FRAUDOPS_NOW="2031-05-06T07:08:09Z",
        PYTHONHASHSEED="99",
        OPENBLAS_NUM_THREADS="2",
        OMP_NUM_THREADS="2",
        TZ="Asia/Tokyo",
    )
    assert again.artifact() == finished.artifact()
    assert evaluation == finished.evaluation()


def test_archive_depends_on_provenance(finished: Bench, bench: Bench) -> None:
    """Another commit gives another archive."""
    other = ["--commit", "d" * 40, *PROVENANCE[2:]]
    assert bench.run("evaluate", *other).returncode == 0
    assert bench.artifact() != finished.artifact()
    assert json.loads(artifact.read(bench.artifact()).files["model.json"])["provenance"]["commit"] == "d" * 40


def test_archive_is_complete_and_readable(finished: Bench) -> None:
    """It has model, reference and serving code; the digest in the evaluation is that of the bytes."""
    read = artifact.read(finished.artifact())
    evaluation = finished.evaluation()
    assert evaluation["artifact"] == {"sha256": read.sha256, "bytes": len(finished.artifact())}
    assert {"model.json", "baseline.json", "code/inference.py", "code/ml/model/scorer.py"} <= set(read.files)
    assert read.baseline["windows"] == evaluation["windows"]
    assert all(read.baseline["confusion"][name] >= count for name, count in evaluation["confusion"].items())


def test_drift_reference_next_to_evaluation_equals_the_packed_one(finished: Bench) -> None:
    """The registry's reference has the bytes of the archive's."""
    beside = (finished.processing / "evaluation" / "baseline.json").read_bytes()
    read = artifact.read(finished.artifact())
    assert beside == read.files["baseline.json"]
    assert json.loads(beside) == read.baseline


@pytest.mark.parametrize("step", ["train", "evaluate"])
def test_settings_with_another_digest_fail_the_step(bench: Bench, step: str) -> None:
    """A model is registered with the digest of the settings that it was trained with."""
    provenance = PROVENANCE if step == "evaluate" else []
    done = bench.run(step, *provenance, "--config-sha256", "e" * 64)
    assert done.returncode == 1
    assert f"expected sha256 {'e' * 64} (ConfigSha256), found {SETTINGS.sha256}" in done.stderr


def test_figures_match_the_packed_model_on_test_rows(finished: Bench) -> None:
    """Recall, average precision and counts equal those recomputed from the archive."""
    evaluation, read = finished.evaluation(), artifact.read(finished.artifact())
    rows = pq.read_table(finished.processing / "prepared" / "test.parquet").to_pandas()
    scores = read.model.score(rows[list(read.model.inputs)].to_numpy())
    alerts = scores >= evaluation["threshold"]["score"]
    fraud = rows["label"].to_numpy() == 1
    assert evaluation["rows"] == len(rows)
    assert evaluation["positives"] == fraud.sum()
    assert evaluation["metrics"]["recall"]["count"] == (alerts & fraud).sum()
    assert evaluation["metrics"]["false_positive_rate"]["count"] == (alerts & ~fraud).sum()
    assert evaluation["metrics"]["average_precision"]["value"] == pytest.approx(average_precision_score(fraud, scores))


def test_evaluation_has_exactly_the_keys_of_schema_2(finished: Bench) -> None:
    """Approvals and the pipeline read these keys."""
    evaluation = finished.evaluation()
    assert set(evaluation) == {
        "schema", "verdict", "metrics", "confusion", "rows", "positives", "threshold", "threshold_change",
        "alert_budget", "champion", "windows", "row_counts", "fit", "budget", "by_kind", "amounts_found", "curves",
        "kind", "provenance", "artifact",
    }  # fmt: skip
    assert set(evaluation["metrics"]) == {
        "recall", "precision", "false_positive_rate", "average_precision", "roc_auc", "recall_at_alert_budget",
        "alert_rate",
    }  # fmt: skip
    assert evaluation["schema"] == measurement.SCHEMA == 2
    assert evaluation["champion"]["status"] == "none"
    assert evaluation["verdict"]["status"] == "passed", evaluation["verdict"]
    assert set(evaluation["windows"]) == {"train", "validation", "test"}
    assert set(evaluation["budget"]) == {"shortfall", "exceeded", "needed", "days", "options"}
    at_budget = next(each for each in evaluation["budget"]["options"] if each["alert_share"] == 0.05)
    assert at_budget["recall"]["count"] == evaluation["metrics"]["recall_at_alert_budget"]["count"]
    assert set(evaluation["fit"]) == {"expected", "synthetic_rows", "notes"}
    assert evaluation["fit"]["expected"]["source"] == "validation"
    assert 0 < len(evaluation["curves"]["precision_recall"]) <= 200
    assert evaluation["curves"]["compared"] is None
    assert {*evaluation["by_kind"]["kinds"][0]["models"]} == {"challenger"}
    assert {*evaluation["amounts_found"]["models"]} == {"challenger"}
    assert evaluation["provenance"] == {"commit": "a" * 40, "config_sha256": SETTINGS.sha256, "data_sha256": "c" * 64}


def test_gate_failure_is_a_verdict_not_a_step_failure(bench: Bench) -> None:
    """The step exits with 0 and writes the evidence; the pipeline's condition reads the verdict."""
    gate = dataclasses.replace(SETTINGS.gate, min_recall=0.999)
    bench.lay(dataclasses.replace(SETTINGS, gate=gate))
    done = bench.run("evaluate", *PROVENANCE)
    assert done.returncode == 0
    verdict = bench.evaluation()["verdict"]
    assert verdict["status"] == "failed"
    assert verdict["reason"].startswith("Recall gate failed: ")
    assert verdict["reason"].endswith("No package registered.")


def test_failure_for_lack_of_budget_asks_a_person(tmp_path: Path) -> None:
    """The reason says how many alerts the limit of recall takes, and the evaluation what they cost."""
    training = changed(alert_budget=0.01, min_recall_at_alert_budget=0.9, threshold={"value": 0.0001})
    gate = dataclasses.replace(SETTINGS.gate, min_recall=0.85)
    made = Bench(tmp_path).lay(dataclasses.replace(SETTINGS, training=training, gate=gate))
    made.data()
    evaluation = made.whole()
    assert evaluation["budget"]["exceeded"] is True  # 58 frauds, and 12 alerts
    needed, reason = evaluation["budget"]["needed"], evaluation["verdict"]["reason"]
    assert evaluation["verdict"]["status"] == "failed"
    assert f"{evaluation['budget']['shortfall']} No package registered." in reason
    assert f"is met once {100 * needed['alert_share']:.3g} % of the transactions are alerted" in reason
    assert needed["recall"]["value"] > 0.85 >= (needed["recall"]["count"] - 1) / needed["recall"]["of"]
    rows = pq.read_table(made.processing / "prepared" / "test.parquet").to_pandas()
    model = artifact.read(made.artifact()).model
    alerts = model.score(rows[list(model.inputs)].to_numpy()) >= needed["threshold"]
    assert (needed["alerts"], needed["alert_share"]) == (alerts.sum(), pytest.approx(alerts.mean()))
    assert needed["recall"]["count"] == alerts[rows["label"] == 1].sum()


def test_champion_is_compared_on_unseen_rows(finished: Bench, bench: Bench) -> None:
    """With the same windows all test rows are unseen; a model is not worse than itself."""
    sha256 = bench.crown(finished.artifact())
    assert bench.run("evaluate", *PROVENANCE, "--champion-sha256", sha256).returncode == 0
    champion = bench.evaluation()["champion"]
    assert (champion["status"], champion["artifact_sha256"]) == ("compared", sha256)
    assert champion["rows"] == bench.evaluation()["rows"]
    assert champion["average_precision"]["difference"] == 0
    curves = bench.evaluation()["curves"]
    assert (curves["compared"]["rows"], curves["compared"]["positives"]) == (champion["rows"], champion["positives"])
    assert curves["compared"]["challenger"] == curves["compared"]["champion"] == curves["precision_recall"]
    for kind in bench.evaluation()["by_kind"]["kinds"]:
        assert kind["models"]["challenger"] == kind["models"]["champion"]
    found = bench.evaluation()["amounts_found"]
    assert found["models"]["challenger"] == found["models"]["champion"]
    assert found["rows"] == champion["rows"]
    assert bench.evaluation()["verdict"]["status"] == "passed"


def test_champion_that_has_seen_all_test_rows_is_not_compared(finished: Bench, bench: Bench) -> None:
    """The comparison is not possible, and the champion stays."""

    def covering(baseline: dict[str, Any]) -> None:
        baseline["fitted"][0]["end"] = baseline["windows"]["test"]["end"]

    sha256 = bench.crown(repacked(finished, covering))
    assert bench.run("evaluate", *PROVENANCE, "--champion-sha256", sha256).returncode == 0
    evaluation = bench.evaluation()
    assert (evaluation["champion"]["status"], evaluation["champion"]["cause"]) == ("not possible", "few frauds")
    assert [check["name"] for check in evaluation["verdict"]["checks"] if not check["passed"]] == [
        "champion_comparison"
    ]
    assert evaluation["curves"]["compared"] is None
    assert evaluation["by_kind"]["rows"] == evaluation["rows"]
    assert {*evaluation["by_kind"]["kinds"][0]["models"]} == {"challenger"}
    assert "0 frauds among the 0 test rows that it has not seen" in evaluation["verdict"]["reason"]


def test_challenger_worse_than_the_champion_fails(finished: Bench, bench: Bench) -> None:
    """A challenger trained without the informative features fails on the same rows."""
    columns = ulb_columns(("V3",))
    weaker = changed(columns=columns)
    gate = dataclasses.replace(SETTINGS.gate, min_recall=0.0, max_false_positive_rate=1.0)
    bench.lay(dataclasses.replace(SETTINGS, training=weaker, gate=gate))
    assert bench.run("train").returncode == 0
    bench.pack()
    sha256 = bench.crown(finished.artifact())
    assert bench.run("evaluate", *PROVENANCE, "--champion-sha256", sha256).returncode == 0
    compared = bench.evaluation()["curves"]["compared"]
    assert [compared[name][-1][0] for name in ("challenger", "champion")] == [1, 1]
    assert compared["challenger"] != compared["champion"]
    verdict = bench.evaluation()["verdict"]
    assert verdict["status"] == "failed"
    assert "Champion gate failed: worse than the champion in average precision" in verdict["reason"]


def test_champion_with_missing_inputs_is_not_compared(finished: Bench, bench: Bench) -> None:
    """The reason names the missing column; the gate leaves it to a person, for no number of frauds would help."""
    path = bench.processing / "prepared" / "test.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["V2"]), path)
    columns = ulb_columns(("V1", "V3"))
    bench.lay(dataclasses.replace(SETTINGS, training=changed(columns=columns)))
    assert bench.run("train").returncode == 0
    bench.pack()
    sha256 = bench.crown(finished.artifact())
    assert bench.run("evaluate", *PROVENANCE, "--champion-sha256", sha256).returncode == 0
    champion = bench.evaluation()["champion"]
    assert (champion["status"], champion["cause"]) == ("not possible", "missing inputs")
    assert bench.evaluation()["verdict"]["status"] == "passed"
    assert "these transactions lack its inputs V2" in champion["reason"]


def test_data_without_time_or_amount_goes_through_all_steps(tmp_path: Path) -> None:
    """What depends on them is left out and said: bins, bands, amounts found, slices of the comparison."""
    columns = dataclasses.replace(ulb_columns(("V1", "V2", "V3")), time=None, amount=None)
    bench = Bench(tmp_path).lay(dataclasses.replace(SETTINGS, training=changed(columns=columns)))
    bench.data()
    evaluation = bench.whole()
    assert [note for note in evaluation["fit"]["notes"] if note in columns.left_out()] == list(columns.left_out())
    read = artifact.read(bench.artifact())
    document = read.model.document
    assert (document.inputs, document.time, document.amount) == (("V1", "V2", "V3"), None, None)
    assert [part.bins for part in document.parts] == [()]
    bands = read.baseline["fraud_by_amount"]
    assert (bands["edges"], len(bands["rows"]), sum(bands["frauds"])) == ([], 1, bands["frauds"][0])
    assert {option["value_missed"] for option in evaluation["budget"]["options"]} == {None}
    assert evaluation["amounts_found"] is None
    sha256 = bench.crown(bench.artifact())
    assert bench.run("evaluate", *PROVENANCE, "--champion-sha256", sha256).returncode == 0
    assert bench.evaluation()["champion"]["slices"] == []


@pytest.mark.parametrize("case", ["replaced", "absent", "unnamed", "damaged"])
def test_champion_other_than_recorded_fails_the_step(finished: Bench, bench: Bench, case: str) -> None:
    """A replaced, missing, unexpected or damaged archive fails the step."""
    sha256 = bench.crown(finished.artifact())
    path = bench.processing / "champion" / "model.tar.gz"
    if case == "replaced":
        path.write_bytes(finished.artifact() + b"x")
    elif case == "absent":
        path.unlink()
    elif case == "damaged":
        sha256 = bench.crown(finished.artifact()[:-20])
    named = [] if case == "unnamed" else ["--champion-sha256", sha256]
    done = bench.run("evaluate", *PROVENANCE, *named)
    assert done.returncode == 1
    reasons = {"replaced": "was replaced", "absent": "check ChampionUri", "unnamed": "no digest of a champion"}
    assert reasons.get(case, "archive is invalid") in done.stderr
    assert not (bench.processing / "artifact").exists()


def test_unreadable_settings_are_named(bench: Bench) -> None:
    """Missing settings, and settings of another shape."""
    path = bench.processing / "settings" / "settings.json"
    path.write_text("{}")
    assert "not the settings that this code reads (KeyError: 'training')" in bench.run("train").stderr
    path.unlink()
    done = bench.run("evaluate", *PROVENANCE)
    assert "settings.json: no such file" in done.stderr
    assert (bench.root / "output" / "message").read_text() == done.stderr.strip()


def test_evaluate_rejects_archive_of_another_program(bench: Bench) -> None:
    """A model.tar.gz without Train's files, or none, fails with a reason."""
    path = bench.processing / "model" / "model.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("model.pkl"), io.BytesIO())
    assert "model.json, baseline.json, fit.json is missing" in bench.run("evaluate", *PROVENANCE).stderr
    path.unlink()
    assert "the Train step must have run" in bench.run("evaluate", *PROVENANCE).stderr


def repacked(finished: Bench, change: Any) -> bytes:
    """The finished archive with its baseline changed."""
    files = dict(artifact.read(finished.artifact()).files)
    baseline = json.loads(files["baseline.json"])
    change(baseline)
    files["baseline.json"] = json.dumps(baseline).encode()
    return artifact.pack(files)


def test_reference_scores_are_those_of_unfitted_rows(finished: Bench) -> None:
    """Histogram, alert rate and hits come from the validation and test rows together."""
    read = artifact.read(finished.artifact())
    parts = [prepared_files.read(finished.processing / "prepared", part) for part in ("validation", "test")]
    held = pd.concat(parts, ignore_index=True)
    decisions = read.model.decide(read.model.score(held[list(read.model.inputs)].to_numpy()))
    assert read.baseline["scores"]["n"] == sum(read.baseline["scores"]["counts"]) == len(held)
    assert read.baseline["alerts"] == {"count": int(decisions.sum()), "of": len(held)}
    assert read.baseline["confusion"] == vars(Confusion.of(held[LABEL], decisions))


@pytest.fixture(scope="module")
def rethresholded(tmp_path_factory: pytest.TempPathFactory, finished: Bench) -> Bench:
    """A machine on which a run of kind threshold started from the finished model, on rows of ten days later."""
    made = Bench(tmp_path_factory.mktemp("threshold")).lay()
    made.data(seed=3, day=10)
    made.whole(kind="threshold", champion=made.crown(finished.artifact()))
    return made


def test_new_threshold_keeps_every_score(finished: Bench, rethresholded: Bench) -> None:
    """Each row has the same score to the last bit, and provenance and reference are those of the run."""
    before, after = artifact.read(finished.artifact()), artifact.read(rethresholded.artifact())
    rows = pq.read_table(rethresholded.processing / "prepared" / "test.parquet").to_pandas()
    values = rows[list(after.model.inputs)].to_numpy()
    assert (before.model.score(values) == after.model.score(values)).all()
    assert before.model.threshold.score != after.model.threshold.score
    evaluation = rethresholded.evaluation()
    assert (evaluation["kind"], set(evaluation["windows"])) == ("threshold", {"train", "test"})
    assert (after.model.document.provenance or {})["commit"] == "a" * 40
    assert after.baseline["windows"] == evaluation["windows"]
    assert after.baseline["scores"]["n"] == sum(part["rows"] for part in evaluation["windows"].values())


def test_new_threshold_is_compared_with_the_champions(finished: Bench, rethresholded: Bench) -> None:
    """The evaluation has both thresholds on the same test rows, and the gate's checks of the change."""
    evaluation = rethresholded.evaluation()
    change = evaluation["threshold_change"]
    assert change["champion"]["score"] == artifact.read(finished.artifact()).model.threshold.score
    assert change["new"]["score"] == evaluation["threshold"]["score"]
    assert change["new"]["recall"]["value"] == evaluation["metrics"]["recall"]["value"]
    assert change["new"]["recall"]["of"] == change["champion"]["recall"]["of"] == evaluation["positives"]
    names = [check["name"] for check in evaluation["verdict"]["checks"]]
    assert {"threshold_false_positive_rate", "threshold_recall"} <= set(names)
    assert evaluation["champion"]["average_precision"]["difference"] == 0


def test_model_depends_on_the_windows_of_every_number_that_it_keeps(finished: Bench, rethresholded: Bench) -> None:
    """Rows of the champion's fit stay rows that the model has seen, beside those of the new threshold."""
    before, after = (artifact.read(bench.artifact()).baseline for bench in (finished, rethresholded))
    assert before["fitted"] == [
        {side: before["windows"][part][side] for side in ("start", "end")} | {"numbers": "known"}
        for part in ("train", "validation")
    ]
    train = {side: after["windows"]["train"][side] for side in ("start", "end")} | {"numbers": "threshold"}
    assert after["fitted"] == [*before["fitted"], train]


def test_unsupported_change_of_the_threshold_fails_the_gate(finished: Bench, tmp_path: Path) -> None:
    """A policy that allows many more alarms gives a threshold that the test rows do not support."""
    made = Bench(tmp_path).lay(dataclasses.replace(SETTINGS, training=changed(threshold={"value": 0.2})))
    made.data(seed=3, day=10)
    evaluation = made.whole(kind="threshold", champion=made.crown(finished.artifact()))
    assert evaluation["verdict"]["status"] == "failed"
    assert (
        "Threshold gate failed: the new threshold would raise the false-positive rate beyond chance: "
        in (evaluation["verdict"]["reason"])
    )


def test_new_threshold_with_other_coefficients_fails_the_step(
    finished: Bench, rethresholded: Bench, tmp_path: Path
) -> None:
    """Evaluate compares every number with the champion's."""
    made = Bench(tmp_path).lay()
    for folder in ("prepared", "champion"):
        shutil.copytree(rethresholded.processing / folder, made.processing / folder, dirs_exist_ok=True)
    shutil.copytree(rethresholded.root / "model", made.root / "model")
    (made.processing / "champion" / "none.json").unlink(missing_ok=True)
    path = made.root / "model" / "model.json"
    document = json.loads(path.read_text())
    document["parts"][0]["intercept"] += 1e-12
    path.write_text(json.dumps(document))
    made.pack()
    sha256 = artifact.read(finished.artifact()).sha256
    done = made.run("evaluate", "--kind", "threshold", *PROVENANCE, "--champion-sha256", sha256)
    assert done.returncode == 1
    assert "parts differ from the champion's, and this run sets a threshold only" in done.stderr


def test_adaptation_with_another_champion_fails_the_step(finished: Bench, tmp_path: Path) -> None:
    """An adaptation leaves the part for known patterns as it was; its line and the other part are its own."""
    made = Bench(tmp_path).lay()
    made.data(seed=3, day=10, new_share=0.05)
    sha256 = made.crown(finished.artifact())
    made.whole(kind="adapt", champion=sha256)
    path = made.root / "model" / "model.json"
    document = json.loads(path.read_text())
    document["parts"][0]["features"][0]["coefficient"] += 1e-12
    path.write_text(json.dumps(document))
    made.pack()
    done = made.run("evaluate", "--kind", "adapt", *PROVENANCE, "--champion-sha256", sha256)
    assert done.returncode == 1
    assert "parts differ from the champion's, and this run sets a line and a part for new patterns only" in done.stderr


def test_test_rows_that_the_champion_was_fitted_on_fail_the_step(
    finished: Bench, rethresholded: Bench, tmp_path: Path
) -> None:
    """A model that keeps coefficients cannot be measured on the rows that they were fitted on."""

    def covering(baseline: dict[str, Any]) -> None:
        baseline["fitted"][0]["end"] = "2026-12-31T00:00:00Z"

    made = Bench(tmp_path).lay()
    shutil.copytree(rethresholded.processing / "prepared", made.processing / "prepared")
    shutil.copytree(rethresholded.root / "model", made.root / "model")
    made.pack()
    sha256 = made.crown(repacked(finished, covering))
    done = made.run("evaluate", "--kind", "threshold", *PROVENANCE, "--champion-sha256", sha256)
    assert done.returncode == 1
    assert "coefficients were fitted on 1,200 of 1,200 test rows: the window must end later" in done.stderr


def test_kind_that_starts_from_the_champion_needs_one(bench: Bench) -> None:
    """Without a digest of the champion the step fails."""
    done = bench.run("evaluate", "--kind", "threshold", *PROVENANCE)
    assert done.returncode == 1
    assert "a run of kind threshold starts from the champion, and ChampionSha256 names none" in done.stderr


def test_out_of_fold_scores_stand_for_validation_rows_in_the_reference(bench: Bench) -> None:
    """A model fitted on the validation rows is measured on them by the scores of fits that have not seen them."""
    out_of_fold = OutOfFold(below_alerts=10_000, blocks=4)
    bench.lay(dataclasses.replace(SETTINGS, training=changed(out_of_fold=out_of_fold)))
    assert bench.run("train").returncode == 0
    bench.pack()
    assert bench.run("evaluate", *PROVENANCE).returncode == 0
    evaluation = bench.evaluation()
    assert evaluation["fit"]["expected"]["source"] == "out-of-fold"
    read = artifact.read(bench.artifact())
    own = json.loads((bench.root / "model" / "fit.json").read_text())["out_of_fold_scores"]["validation"]
    validation, test = (prepared_files.read(bench.processing / "prepared", part) for part in ("validation", "test"))
    assert len(own) == len(validation)
    scores = np.concatenate([own, read.model.score(test[list(read.model.inputs)].to_numpy())])
    labels = pd.concat([validation[LABEL], test[LABEL]])
    assert read.baseline["confusion"] == vars(Confusion.of(labels, read.model.decide(scores)))


def test_scores_of_other_validation_rows_fail_the_step(bench: Bench) -> None:
    """Evaluate reads the rows that Train read, or fails."""
    bench.lay(dataclasses.replace(SETTINGS, training=changed(out_of_fold=OutOfFold(below_alerts=10_000, blocks=4))))
    assert bench.run("train").returncode == 0
    path = bench.root / "model" / "fit.json"
    document = json.loads(path.read_text())
    document["out_of_fold_scores"]["validation"].pop()
    path.write_text(json.dumps(document))
    bench.pack()
    assert "validation scores for" in bench.run("evaluate", *PROVENANCE).stderr
