"""Tests of the inference handler: alone, in each of SageMaker's servers, and from the archive."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.model.scoring_responses import CSV, JSON, JSONLINES
from ml.steps import inference
from tests.harness.fuzzing import examples
from tests.model.scoring_samples import ADAPTED, CATEGORIES, DOCUMENT, INPUTS, files, rows, unpack

pytestmark = pytest.mark.container

LINE = "3600.0,0.5,-1.25,9.99"


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as /opt/ml/model."""
    return unpack(tmp_path_factory.mktemp("model"), files())


@pytest.fixture(scope="module")
def model(model_dir: Path) -> inference.Model:
    """The model that the handler loads from it."""
    return inference.model_fn(str(model_dir))


def test_responses_match_the_scorer_for_all_types(model: inference.Model) -> None:
    """One row or many, each type in and out: scores are the scorer's, decisions those of its threshold."""
    for count in (1, 3, 24, 25, 500):
        X = rows(count)
        expected = model.scorer.score(X)
        csv_body = "\n".join(",".join(map(repr, row)) for row in X.tolist())
        json_body = json.dumps({"instances": [dict(zip(INPUTS, row, strict=True)) for row in X.tolist()]})
        lines_body = "\n".join(json.dumps(row) for row in X.tolist())
        for body, kind in ((csv_body, CSV), (json_body.encode(), JSON), (lines_body.encode(), JSONLINES)):
            answer, out = inference.transform_fn(model, body, kind, JSON)
            predictions = json.loads(answer)["predictions"]
            assert out == JSON
            np.testing.assert_allclose([item["score"] for item in predictions], expected, rtol=0, atol=1e-12)
            assert [item["decision"] for item in predictions] == (expected >= 0.5).astype(int).tolist()
            assert {item["model_version"] for item in predictions} == {model.scorer.version}
            answer, out = inference.transform_fn(model, body, kind, CSV)
            assert out == CSV
            assert [float(line.split(",")[0]) for line in answer.decode().splitlines()] == [
                item["score"] for item in predictions
            ]


@pytest.mark.parametrize("count", [1, 24, 25, 300])
def test_calibrated_request_gets_fraud_rates_and_changes_nothing_else(model: inference.Model, count: int) -> None:
    """Row by row and as a batch: the scorer's fraud rates, beside the answer to the request without the key."""
    instances = [dict(zip(INPUTS, row, strict=True)) | {"event_id": "a"} for row in rows(count).tolist()]
    plain, calibrated, refused = (
        json.dumps({"instances": instances} | more) for more in ({}, {"calibrated": True}, {"calibrated": False})
    )
    before = json.loads(inference.transform_fn(model, plain, JSON, JSON)[0])["predictions"]
    after = json.loads(inference.transform_fn(model, calibrated, JSON, JSON)[0])["predictions"]
    assert [each.pop("fraud_rate") for each in after] == model.scorer.calibrated(rows(count)).tolist()
    assert after == before
    assert inference.transform_fn(model, refused, JSON, JSON) == inference.transform_fn(model, plain, JSON, JSON)
    assert inference.transform_fn(model, calibrated, JSON, CSV).status_code == 406


@pytest.mark.parametrize("document", [DOCUMENT, ADAPTED, CATEGORIES], ids=["one part", "adapted", "categories"])
@pytest.mark.parametrize("count", [1, 40])
def test_explained_request_gets_the_exact_terms_and_changes_nothing_else(
    document: dict[str, Any], count: int, tmp_path: Path
) -> None:
    """Each part's reasons and intercept add up to its log-odds; score, decision and fraud rate are those without."""
    model = inference.model_fn(str(unpack(tmp_path, files(document))))
    names, X = model.scorer.inputs, rows(count).tolist()
    shops = ["food", "", "never seen"]
    values = [[*row, *shops[place % 3 :][: len(names) - len(row)]] for place, row in enumerate(X)]
    instances = [dict(zip(names, each, strict=True)) for each in values]
    explained, calibrated = (
        inference.transform_fn(model, json.dumps({"instances": instances, key: True}), JSON, JSON)[0]
        for key in ("explain", "calibrated")
    )
    found = json.loads(explained)["predictions"]
    for each, row in zip(found, values, strict=True):
        explanation = each.pop("explanation")
        assert len(explanation["parts"]) == len(model.scorer.document.parts)
        for part in explanation["parts"]:
            terms = [reason["log_odds"] for reason in part["reasons"]]
            assert part["intercept"] + sum(terms) == pytest.approx(part["log_odds"], abs=1e-9)
            assert terms == sorted(terms, key=abs, reverse=True)
            given = {reason["input"]: reason["value"] for reason in part["reasons"]}
            assert given == {name: value for name, value in zip(names, row, strict=True) if name in given}
        strongest = max(explanation["parts"], key=lambda part: part["log_odds"])
        assert strongest["pattern"] == explanation["pattern"]
    assert found == json.loads(calibrated)["predictions"]


def test_explanations_are_not_written_in_csv(model: inference.Model) -> None:
    """A reader of CSV knows columns by their place."""
    body = json.dumps({"instances": rows(1).tolist(), "explain": True})
    assert inference.transform_fn(model, body, JSON, CSV).status_code == 406


def test_event_id_is_echoed_and_not_scored(model: inference.Model) -> None:
    """Two rows that differ only by event_id have the same score and keep their ids."""
    row = dict(zip(INPUTS, [1.0, 2.0, 3.0, 4.0], strict=True))
    body = json.dumps([row | {"event_id": "a"}, row | {"event_id": "b"}])
    answer = json.loads(inference.transform_fn(model, body, JSON, "*/*")[0])["predictions"]
    assert [item["event_id"] for item in answer] == ["a", "b"]
    assert answer[0]["score"] == answer[1]["score"]


def test_version_is_the_approval_number_if_set(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FRAUDOPS_MODEL_VERSION is the version in responses; without it the model's digest is."""
    monkeypatch.setenv("FRAUDOPS_MODEL_VERSION", "12")
    answer, _ = inference.transform_fn(inference.model_fn(str(model_dir)), LINE, CSV, JSON)
    assert json.loads(answer)["predictions"][0]["model_version"] == "12"


def test_other_server_gets_an_answer_with_status(model: inference.Model) -> None:
    """Without a framework an error is an object with Flask's names: status_code, data, mimetype."""
    answer = inference.transform_fn(model, "1,2,abc,4", CSV, JSON)
    assert (answer.status_code, answer.mimetype) == (400, JSON)
    error = json.loads(answer.data)["error"]
    assert (error["row"], error["column"], error["value"], error["expected"]) == (1, "V2", "abc", "a finite number")
    assert inference.transform_fn(model, LINE, CSV, "text/html").status_code == 406
    assert inference.transform_fn(model, LINE, "image/png", JSON).status_code == 415


def test_single_model_server_gets_a_flask_response(model: inference.Model) -> None:
    """Within a Flask request, as in SageMaker's scikit-learn container, an error is a Flask response."""
    flask = pytest.importorskip("flask")
    app = flask.Flask("worker")
    with app.test_request_context("/invocations", method="POST"):
        answer = inference.transform_fn(model, "1,2", CSV, JSON)
        assert isinstance(answer, flask.Response)
        assert (answer.status_code, answer.mimetype) == (400, JSON)
        assert json.loads(answer.get_data())["error"]["status"] == 400
        assert isinstance(inference.transform_fn(model, LINE, CSV, JSON), tuple)


def test_multi_model_server_gets_its_error_type(model: inference.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """With sagemaker_inference loaded and no Flask request, its error is raised."""

    class GenericInferenceToolkitError(Exception):
        def __init__(self, status_code: int, message: str, phrase: str) -> None:
            self.status_code, self.message, self.phrase = status_code, message, phrase

    toolkit: Any = ModuleType("sagemaker_inference.errors")
    toolkit.GenericInferenceToolkitError = GenericInferenceToolkitError
    monkeypatch.setitem(sys.modules, "sagemaker_inference.errors", toolkit)
    with pytest.raises(GenericInferenceToolkitError) as caught:
        inference.transform_fn(model, b"\xff", CSV, JSON)
    assert caught.value.status_code == 400
    assert json.loads(caught.value.message)["error"]["expected"] == "UTF-8"
    assert "\n" not in caught.value.phrase


@given(st.binary(max_size=80) | st.text(max_size=80), st.text(max_size=20) | st.sampled_from([CSV, JSON, JSONLINES]))
@examples(200)
def test_handler_answers_every_request_without_5xx(body: bytes | str, kind: str) -> None:
    """Any body of any type gets a response below 500."""
    loaded = _loaded()
    answer = inference.transform_fn(loaded, body, kind, JSON)
    if not isinstance(answer, tuple):
        assert 400 <= answer.status_code < 500


def _loaded() -> inference.Model:
    from ml.model.request_parser import RequestParser
    from ml.model.scorer import Scorer

    scorer = Scorer.from_json(files()["model.json"])
    return inference.Model(scorer, RequestParser(scorer.inputs, scorer.document.amount), scorer.version)


def test_archive_code_needs_only_numpy_and_the_standard_library(model_dir: Path) -> None:
    """The unpacked code/ loads the model and scores in a process where any other import fails."""
    program = f"""
import importlib.abc, sys
class Only(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names | {{"numpy", "ml", "inference"}}:
            raise ImportError("not in the container: " + name)
sys.meta_path.insert(0, Only())
sys.path.insert(0, {str(model_dir / "code")!r})
import inference, ml
assert ml.__file__ == {str(model_dir / "code/ml/__init__.py")!r}, ml.__file__
print(inference.transform_fn(inference.model_fn({str(model_dir)!r}), {LINE!r}, "text/csv", "text/csv")[0].decode())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=model_dir)
    assert done.returncode == 0, done.stderr
    score, decision, version = done.stdout.strip().split(",")
    scorer = _loaded().scorer
    assert float(score) == scorer.score_row([float(part) for part in LINE.split(",")])
    assert (decision, version) == (str(int(float(score) >= 0.5)), scorer.version)


def test_model_fn_rejects_invalid_model(tmp_path: Path) -> None:
    """With an invalid model.json model_fn raises, so the endpoint never becomes healthy."""
    unpack(tmp_path, files() | {"model.json": b"{}"})
    with pytest.raises(ValueError, match="schema is missing"):
        inference.model_fn(str(tmp_path))
