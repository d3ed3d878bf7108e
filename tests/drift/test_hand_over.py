"""The hand-over of a drift check is read back unchanged; anything else in it is refused with the field's name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ml import config
from ml.config.hand_over import MAX_BYTES
from ml.drift import hand_over
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow
from ml.errors import ConfigError
from tests.drift.retrain_cases import NAMES, NOW, due, moment

WINDOW = TrainingWindow(start=moment(3), end=moment(4, 21), rows=4000, frauds=60, test_frauds=20, grown_days=0)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUDOPS_NOW", NOW)


def written() -> str:
    """A document with one case."""
    return hand_over.write([(due(), WINDOW)])


def test_cases_survive_their_document() -> None:
    """Id, kind, reason, evidence and window are those of the check; the strongest cause stays first."""
    evidence: dict[str, Any] = {"at": datetime(2026, 4, 1, tzinfo=UTC), "p_value": 1e-09, "of": None, "list": [1, "ä"]}
    strongest, other = due("concept"), due("data")
    found = hand_over.read(
        hand_over.write(
            [
                (replace(strongest, evidence=evidence), WINDOW),
                (other, NotEnoughLabels(reason="labels are not mature yet")),
            ]
        )
    )
    assert list(found) == [NAMES["concept"], NAMES["data"]]
    case, window = found[NAMES["concept"]]
    assert (case.kind, case.branch, case.reason) == ("concept", strongest.branch, strongest.reason)
    assert case.run_kind == strongest.run_kind
    assert (dict(case.evidence), window) == (evidence, WINDOW)
    assert found[NAMES["data"]][1] == NotEnoughLabels(reason="labels are not mature yet")


def test_nothing_due_is_an_empty_document() -> None:
    """drift.yml starts no second job for it."""
    assert hand_over.write([]) == ""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kind: data", "kind: ../../ml/model", r"due\.0\.kind must be 'concept', 'data' or 'prediction'"),
        ("kind: data", "kind: data\n  path: ml/cli/__init__.py", r"due\.0\.path is not a known key"),
        ("kind: data", "kind: data\n  name: ../../.github/workflows/ci", r"due\.0\.name is not a known key"),
        ("due:", "branch: main\ndue:", "branch is not a known key"),
        ("end: 2026-05-01T00:00:00Z", "end: 2026-05-02T00:00:00Z", r"due\.0\.fired\.end must be in the past"),
        ("end: 2026-04-21T00:00:00Z", "end: 2027-04-21T00:00:00Z", r"due\.0\.window\.end must be in the past"),
        ("end: 2026-05-01T00:00:00Z", "end: 2026-05-01T00:00:00", r"due\.0\.fired\.end must be a time with an offset"),
        ("end: 2026-04-21T00:00:00Z", "end: 2026-02-21T00:00:00Z", r"due\.0\.window must have start before end"),
        ("rows: 4000", "rows: many", r"due\.0\.window\.rows must be a whole number"),
        ("not_enough_labels: null", "not_enough_labels: both", "exactly one of window and not_enough_labels"),
        ("- kind: data", "- kind: data\n  onset: 2026-03-01T00:00:00Z", "is given twice"),
        ("kind: data", "kind: !!python/object/apply:os.system [id]", "hand-over"),
    ],
)
def test_hostile_document_is_refused(old: str, new: str, says: str) -> None:
    """The error names the field; no other exception escapes."""
    text = written()
    assert old in text
    with pytest.raises(ConfigError, match=says):
        hand_over.read(text.replace(old, new, 1))


@pytest.mark.parametrize(
    "text", ["", "[]", "due: []", "due: 1", "a: &a [*a]", "\x00", "{" * 200, "x" * (MAX_BYTES + 1)]
)
def test_other_text_is_refused(text: str) -> None:
    """Text of any kind and size is a ConfigError."""
    with pytest.raises(ConfigError, match="hand-over"):
        hand_over.read(text)


def test_each_kind_is_given_once() -> None:
    """Two documents of one cause cannot give two requests."""
    with pytest.raises(ConfigError, match="each kind at most once"):
        hand_over.read(written() + written().removeprefix("due:\n"))


def test_document_that_the_next_job_could_not_get_is_refused() -> None:
    """The limit is that of an environment variable."""
    case = due()
    large = replace(case, evidence={"text": "x" * MAX_BYTES})
    with pytest.raises(ConfigError, match=f"at most {MAX_BYTES:,} bytes"):
        hand_over.write([(large, WINDOW)])
    assert config.REQUESTS.as_posix() not in written()
