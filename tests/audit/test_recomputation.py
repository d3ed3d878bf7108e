"""The score of a captured row is computed again by the endpoint's own parser, and explained."""

from __future__ import annotations

import json
import math

import pytest

from ml.audit.recomputation import compute
from ml.model import document_fields
from ml.model.scorer import Scorer
from ml.model.scoring_responses import PayloadError
from tests.model.scoring_samples import ADAPTED, CATEGORIES, INPUTS

ROW = {"V1": 1.5, "V2": -0.5, "Amount": 7.0, "Time": 3600.0}


@pytest.mark.parametrize(
    ("shop", "levels"), [("food", ["food", "food"]), ("crypto", ["(other values)", "crypto"]), (17, None), (None, None)]
)
def test_category_is_explained_by_its_text(shop: object, levels: list[str] | None) -> None:
    """The text is that of the row in the request, whatever the other rows have."""
    scorer = Scorer.from_json(document_fields.canonical(CATEGORIES))
    body = json.dumps({"instances": [ROW | {"shop": "unseen"}, ROW | {"shop": shop}]})
    found = compute(scorer, body, "application/json", 1)
    terms = [next(term for term in part.terms if term.input == "shop") for part in found.parts]
    assert {term.value for term in terms} == {"" if shop is None else str(shop)}
    assert levels is None or [term.level for term in terms] == levels
    for part in found.parts:
        total = math.fsum([part.intercept, *(term.log_odds for term in part.terms)])
        assert total == pytest.approx(part.log_odds, rel=1e-9, abs=1e-9)
    known, new = (part.probability for part in found.parts)
    assert found.score == pytest.approx(1 - (1 - known) * (1 - new))


def test_open_ends_of_bins_are_none() -> None:
    """JSON has no infinity."""
    scorer = Scorer.from_json(document_fields.canonical(ADAPTED))
    body = ",".join(repr(ROW[name]) for name in INPUTS)
    found = compute(scorer, body, "text/csv", 0)
    assert found.score == scorer.score([[ROW[name] for name in INPUTS]])[0]
    ends = [end for part in found.parts for term in part.terms for end in (term.low, term.high) if end is not None]
    assert ends
    assert all(map(math.isfinite, ends))


def test_difference_is_named_and_rounding_is_none() -> None:
    """The last bit of a score may differ between libraries; another decision or a score of NaN may not."""
    scorer = Scorer.from_json(document_fields.canonical(ADAPTED))
    found = compute(scorer, json.dumps(ROW), None, 0)
    decision, limit = int(found.alert), scorer.threshold.score
    assert found.differences(found.score + 1e-12, decision, limit) == []
    assert found.differences(found.score, -1, limit) == []
    assert len(found.differences(math.nan, decision, limit)) == 1
    assert len(found.differences(found.score, 1 - decision, limit)) == 1
    assert found.differences(found.score, 1 - decision, found.score) == []  # at the threshold both are right


def test_request_that_the_model_refuses_is_an_error() -> None:
    """Another model answered it: a column or a row is missing."""
    scorer = Scorer.from_json(document_fields.canonical(ADAPTED))
    with pytest.raises(PayloadError, match="column V2 is missing"):
        compute(scorer, json.dumps({name: 1.0 for name in ROW if name != "V2"}), None, 0)
    with pytest.raises(PayloadError, match="has 1 rows for this model, and row 3 was answered"):
        compute(scorer, json.dumps(ROW), None, 3)
