"""The smoke test's rows depend on every term of a model, so another model than the approved one fails."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from ml.aws import endpoint
from ml.errors import CloudError, DeploymentFailed
from ml.model import artifact
from ml.model.model_document import Time
from ml.model.model_parts import NEW, Bins, Line, Part
from ml.model.request_parser import RequestParser
from ml.model.scorer import Scorer
from ml.release import smoke_test
from tests.harness.platform.served import archive
from tests.model.scoring_samples import CATEGORIES
from tests.model.scoring_samples import changed as changed_document

PROVENANCE = {"commit": "c" * 40, "config_sha256": "e" * 64, "data_sha256": "d" * 64}
Score = Callable[..., list[endpoint.Answer]]


@pytest.fixture(params=["one part", "two parts"])
def model(request: pytest.FixtureRequest) -> Scorer:
    """A model with scaled features, a logarithm and bins; and one with a second part, for new patterns."""
    fitted = artifact.read(archive(-1.0, PROVENANCE)).model
    if request.param == "one part":
        return fitted
    (known,) = fitted.document.parts
    recalibrated = dataclasses.replace(known, recalibration=Line(slope=0.9, intercept=-0.2))
    tails = Bins(input="V1", kind="value", edges=(-2.0, 3.0), coefficients=(0.5, 0.0, 1.0))
    amounts = Bins(input="Amount", kind="value", edges=(5.0, 250.0), coefficients=(0.0, 0.1, 2.0))
    new = dataclasses.replace(known, pattern=NEW, intercept=-2.0, bins=(amounts, tails))
    return Scorer(dataclasses.replace(fitted.document, parts=(recalibrated, new)))


def answering(model: Scorer, version: str = "0007") -> Score:
    """A scripted endpoint that answers with `model`."""

    def score(
        name: str, inputs: Sequence[str], rows: Sequence[Sequence[float]], *, inference_id: str
    ) -> list[endpoint.Answer]:
        assert (name, tuple(inputs)) == ("e", model.inputs)
        assert inference_id == "smoke-order-1"
        scores = model.score(np.array(rows))
        pairs = zip(scores.tolist(), model.decide(scores).tolist(), strict=True)
        return [endpoint.Answer(score=score, decision=decision, model_version=version) for score, decision in pairs]

    return score


def test_approved_model_passes(model: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint's answers equal those of the scorer."""
    monkeypatch.setattr(endpoint, "score", answering(model))
    result = smoke_test.check("e", model, 7, token="order-1")
    assert result.rows > 15
    assert 0 < result.alerts < result.rows
    assert result.largest_difference == 0


def test_smoke_rows_are_valid_transactions() -> None:
    """All values are finite, and amount and time are never negative."""
    model = artifact.read(archive(-1.0, PROVENANCE)).model
    rows = smoke_test.transactions(model)
    assert np.isfinite(rows).all()
    assert (rows[:, [model.inputs.index("Amount"), model.inputs.index("Time")]] >= 0).all()


@pytest.mark.parametrize("unit", ["iso", "epoch_milliseconds"])
def test_times_are_sent_in_the_unit_of_the_model(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As text if it is iso, else in milliseconds; the endpoint's parser reads them, and every hour bin is reached."""
    fitted = artifact.read(archive(-1.0, PROVENANCE)).model
    model = Scorer(dataclasses.replace(fitted.document, time=Time(column="Time", unit=unit, zone="UTC")))
    parser = RequestParser(model.inputs, "Amount", model.document.iso_times)
    hours: set[int] = set()

    def score(_name: str, inputs: Sequence[str], rows: Sequence[Any], **_options: str) -> list[endpoint.Answer]:
        body = json.dumps({"instances": [dict(zip(inputs, row, strict=True)) for row in rows]})
        values = np.array(parser.parse(body, "application/json").rows)
        hours.update((values[:, 0] // (3600 if unit == "iso" else 3_600_000)).astype(int).tolist())
        return answering(model)("e", inputs, values.tolist(), inference_id="smoke-order-1")

    monkeypatch.setattr(endpoint, "score", score)
    assert smoke_test.check("e", model, 7, token="order-1").largest_difference == 0
    assert {8, 16} <= hours


@pytest.mark.parametrize(
    "path", ["parts.0.levels.0.coefficients.1", "parts.0.levels.0.other", "parts.1.levels.0.coefficients.0", None]
)
def test_change_of_any_level_is_detected(path: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every level of each part is sent as text, and one value that no level has; a changed coefficient fails."""
    model = Scorer.from_json(json.dumps(CATEGORIES))
    served = model if path is None else Scorer.from_json(json.dumps(changed_document(path, 0.7, CATEGORIES)))
    parser = RequestParser.of(served.document)
    places: set[float] = set()

    def score(_name: str, inputs: Sequence[str], rows: Sequence[Any], **_options: str) -> list[endpoint.Answer]:
        body = json.dumps({"instances": [dict(zip(inputs, row, strict=True)) for row in rows]})
        values = parser.parse(body, "application/json").rows
        places.update(row[-1] for row in values)
        scores = served.score(values)
        pairs = zip(scores.tolist(), served.decide(scores).tolist(), strict=True)
        return [endpoint.Answer(score=score, decision=decision, model_version="0007") for score, decision in pairs]

    monkeypatch.setattr(endpoint, "score", score)
    if path is None:
        assert smoke_test.check("e", model, 7, token="order-1").largest_difference == 0
    else:
        with pytest.raises(DeploymentFailed, match="it does not run the model that was approved"):
            smoke_test.check("e", model, 7, token="order-1")
    assert places == {0.0, 1.0, 2.0, 3.0}


def test_change_of_any_term_is_detected(model: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each coefficient and the intercept of each part is changed by a thousandth in turn."""
    document = model.document
    changed: list[tuple[int, Part]] = []
    for place, part in enumerate(document.parts):
        changed.append((place, dataclasses.replace(part, intercept=part.intercept + 0.001)))
        for index, term in enumerate(part.features):
            terms = list(part.features)
            terms[index] = dataclasses.replace(term, coefficient=term.coefficient + 0.001)
            changed.append((place, dataclasses.replace(part, features=tuple(terms))))
        for index, table in enumerate(part.bins):
            for bin_number in range(len(table.coefficients)):
                values = [value + 0.001 * (at == bin_number) for at, value in enumerate(table.coefficients)]
                tables = list(part.bins)
                tables[index] = dataclasses.replace(table, coefficients=tuple(values))
                changed.append((place, dataclasses.replace(part, bins=tuple(tables))))
    assert len(changed) == (1 + 2 + 6) * len(document.parts)
    for place, other in changed:
        parts = tuple(other if at == place else part for at, part in enumerate(document.parts))
        monkeypatch.setattr(endpoint, "score", answering(Scorer(dataclasses.replace(document, parts=parts))))
        with pytest.raises(DeploymentFailed, match="does not run the model that was approved"):
            smoke_test.check("e", model, 7, token="order-1")


def test_another_threshold_is_detected(model: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores are equal, the decisions differ."""
    threshold = dataclasses.replace(model.document.threshold, score=0.9)
    other = Scorer(dataclasses.replace(model.document, threshold=threshold))
    monkeypatch.setattr(endpoint, "score", answering(other))
    with pytest.raises(DeploymentFailed, match="decides"):
        smoke_test.check("e", model, 7, token="order-1")


@pytest.mark.parametrize("version", ["0006", "7", "a1b2c3d4e5f6"])
def test_another_version_is_detected(model: Scorer, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Also with equal scores, because captured traffic must name the approval that scored it."""
    monkeypatch.setattr(endpoint, "score", answering(model, version))
    with pytest.raises(DeploymentFailed, match=f"answers as model {version}, not as approval 0007"):
        smoke_test.check("e", model, 7, token="order-1")


def test_score_that_is_not_a_number_is_detected(model: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons with NaN are false, so NaN must not count as equal."""

    def score(*arguments: object, **options: object) -> list[endpoint.Answer]:
        rows = len(smoke_test.transactions(model))
        return [endpoint.Answer(score=float("nan"), decision=0, model_version="0007")] * rows

    monkeypatch.setattr(endpoint, "score", score)
    with pytest.raises(DeploymentFailed, match="nan"):
        smoke_test.check("e", model, 7, token="order-1")


def test_missing_answer_fails_deployment(model: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the endpoint's reason."""

    def score(*arguments: object, **options: object) -> list[endpoint.Answer]:
        raise CloudError("ModelError: 500")

    monkeypatch.setattr(endpoint, "score", score)
    with pytest.raises(DeploymentFailed, match="no answer: ModelError: 500"):
        smoke_test.check("e", model, 7, token="order-1")
