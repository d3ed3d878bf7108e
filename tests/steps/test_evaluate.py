"""The Evaluate step: the measured model is the packed one, and equal inputs give equal bytes."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

from ml.model import artifact
from ml.model.metrics import Confusion
from ml.model.training_settings import Columns
from ml.steps import prepared_files
from ml.steps.prepared_files import LABEL
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


def test_evaluation_has_exactly_the_keys_of_schema_1(finished: Bench) -> None:
    """Approvals and the pipeline read these keys."""
    evaluation = finished.evaluation()
    assert set(evaluation) == {
        "schema", "verdict", "metrics", "confusion", "rows", "positives", "threshold", "alert_budget", "champion",
        "windows", "curves", "provenance", "artifact",
    }  # fmt: skip
    assert set(evaluation["metrics"]) == {
        "recall", "precision", "false_positive_rate", "average_precision", "roc_auc", "recall_at_alert_budget",
        "alert_rate",
    }  # fmt: skip
    assert evaluation["schema"] == 1
    assert evaluation["champion"]["status"] == "none"
    assert evaluation["verdict"]["status"] == "passed", evaluation["verdict"]
    assert set(evaluation["windows"]) == {"train", "validation", "test"}
    assert 0 < len(evaluation["curves"]["precision_recall"]) <= 200
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


def test_champion_is_compared_on_unseen_rows(finished: Bench, bench: Bench) -> None:
    """With the same windows all test rows are unseen; a model is not worse than itself."""
    sha256 = bench.crown(finished.artifact())
    assert bench.run("evaluate", *PROVENANCE, "--champion-sha256", sha256).returncode == 0
    champion = bench.evaluation()["champion"]
    assert (champion["status"], champion["artifact_sha256"]) == ("compared", sha256)
    assert champion["rows"] == bench.evaluation()["rows"]
    assert champion["average_precision"]["difference"] == 0
    assert bench.evaluation()["verdict"]["status"] == "passed"


def test_champion_that_has_seen_all_test_rows_is_not_compared(finished: Bench, bench: Bench) -> None:
    """The comparison is not possible, and the verdict says so."""

    def covering(baseline: dict[str, Any]) -> None:
        baseline["windows"]["train"]["end"] = baseline["windows"]["test"]["end"]

    sha256 = bench.crown(repacked(finished, covering))
    assert bench.run("evaluate", *PROVENANCE, "--champion-sha256", sha256).returncode == 0
    evaluation = bench.evaluation()
    assert evaluation["champion"]["status"] == "not possible"
    assert "0 frauds among the 0 test rows that it has not seen" in evaluation["verdict"]["reason"]


def test_challenger_worse_than_the_champion_fails(finished: Bench, bench: Bench) -> None:
    """A challenger trained without the informative features fails on the same rows."""
    columns = Columns(label="Class", time="Time", amount="Amount", features=("V3",))
    weaker = changed(columns=columns)
    gate = dataclasses.replace(SETTINGS.gate, min_recall=0.0, max_false_positive_rate=1.0)
    bench.lay(dataclasses.replace(SETTINGS, training=weaker, gate=gate))
    assert bench.run("train").returncode == 0
    bench.pack()
    sha256 = bench.crown(finished.artifact())
    assert bench.run("evaluate", *PROVENANCE, "--champion-sha256", sha256).returncode == 0
    verdict = bench.evaluation()["verdict"]
    assert verdict["status"] == "failed"
    assert "Champion gate failed: worse than the champion in average precision" in verdict["reason"]


def test_champion_with_missing_inputs_is_not_compared(finished: Bench, bench: Bench) -> None:
    """The reason names the missing column."""
    path = bench.processing / "prepared" / "test.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["V2"]), path)
    columns = Columns(label="Class", time="Time", amount="Amount", features=("V1", "V3"))
    bench.lay(dataclasses.replace(SETTINGS, training=changed(columns=columns)))
    assert bench.run("train").returncode == 0
    bench.pack()
    sha256 = bench.crown(finished.artifact())
    assert bench.run("evaluate", *PROVENANCE, "--champion-sha256", sha256).returncode == 0
    champion = bench.evaluation()["champion"]
    assert champion["status"] == "not possible"
    assert "these transactions lack its inputs V2" in champion["reason"]


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
    assert "model.json, baseline.json is missing" in bench.run("evaluate", *PROVENANCE).stderr
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
