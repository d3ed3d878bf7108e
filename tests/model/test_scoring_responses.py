"""Predictions are written in the media type that the request prefers."""

from __future__ import annotations

import json

import pytest

from ml.model import scoring_responses
from ml.model.scoring_responses import CSV, JSON, JSONLINES, PayloadError


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV; charset=utf-8", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        ("application/jsonlines", JSONLINES),
        ("text/html, application/jsonlines;q=0.5, text/csv;q=0.9", CSV),
        ("text/csv, application/json", CSV),
        ("text/csv;q=0, */*;q=0.1", JSON),
    ],
)
def test_negotiate_prefers_best_supported_type(accept: str | None, kind: str) -> None:
    """Accept's best supported type wins; empty or */* means JSON."""
    assert scoring_responses.negotiate(accept) == (kind, False)


@pytest.mark.parametrize("accept", ["text/html", "image/*", "text/csv;q=0", "text/csv;q=x", "nonsense", "text/csv;q=7"])
def test_negotiate_rejects_unsupported_types(accept: str) -> None:
    """An unsupported Accept is 406, and the error names the supported types."""
    with pytest.raises(
        PayloadError, match="Accept must be application/json, text/csv, application/jsonlines"
    ) as caught:
        scoring_responses.negotiate(accept)
    assert caught.value.status == 406


def test_write_has_score_decision_version_and_id() -> None:
    """The three types have the same content; event_id is present if the request had any."""
    scores, decisions, ids = [0.25, 1e-12], [0, 1], ["a,b", None]

    def write(kind: str, ids: list[str | None] | None, header: bool = False) -> str:
        return scoring_responses.write(scores, decisions, ids, model_version="7", kind=kind, header=header).decode()

    rows = [
        {"score": 0.25, "decision": 0, "model_version": "7", "event_id": "a,b"},
        {"score": 1e-12, "decision": 1, "model_version": "7", "event_id": None},
    ]
    assert json.loads(write(JSON, ids)) == {"predictions": rows}
    assert [json.loads(line) for line in write(JSONLINES, ids).splitlines()] == rows
    assert write(CSV, ids) == '0.25,0,7,"a,b"\n1e-12,1,7,\n'
    assert write(CSV, None) == "0.25,0,7\n1e-12,1,7\n"
    assert write(CSV, ids, header=True).splitlines()[0] == "score,decision,model_version,event_id"
    assert "event_id" not in write(JSON, None)


def test_fraud_rates_are_written_in_json_only() -> None:
    """In CSV they would stand in the place of the event id where no row has one."""
    plain = {"score": 0.25, "decision": 0, "model_version": "7"}

    def write(kind: str) -> str:
        return scoring_responses.write([0.25], [0], None, model_version="7", kind=kind, fraud_rates=[0.01]).decode()

    assert json.loads(write(JSON)) == {"predictions": [plain | {"fraud_rate": 0.01}]}
    assert json.loads(write(JSONLINES)) == plain | {"fraud_rate": 0.01}
    with pytest.raises(PayloadError, match="if the request is calibrated or explained") as caught:
        write(CSV)
    assert caught.value.status == 406


def test_long_headers_are_rejected_unread() -> None:
    """A Content-Type or Accept beyond any real one is 415 or 406, and its parameters are not parsed."""
    long = "text/csv;" + 'a=";"' * 20_000
    with pytest.raises(PayloadError, match="Content-Type must be") as caught:
        scoring_responses.content_type(long)
    assert (caught.value.status, len(str(caught.value)) < 300) == (415, True)
    with pytest.raises(PayloadError, match="Accept must be") as caught:
        scoring_responses.negotiate(long)
    assert (caught.value.status, len(str(caught.value)) < 300) == (406, True)
