"""The hand-over of a comparison is read back unchanged; anything else in it is refused with the field's name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ml import clock
from ml.config.hand_over import MAX_BYTES
from ml.errors import ConfigError
from ml.release import self_heal_hand_over as hand_over
from tests.release.self_heal_cases import COMMIT, COMPARED, difference


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUDOPS_NOW", clock.stamp(COMPARED + timedelta(minutes=2)))


def written() -> str:
    """A document with two differences."""
    found = [difference("alarm DriftAlarm", "mute: |\n</x>", "template"), difference()]
    return hand_over.write(commit=COMMIT, compared=COMPARED, found=found, unsettled=None, undeployed="never ä")


def test_comparison_survives_its_document() -> None:
    """What deploy.yml puts back comes first, so that it is not what is left out."""
    found = hand_over.read(written())
    assert [each.subject for each in found.found] == ["endpoint", "alarm DriftAlarm"]
    assert found.found[1] == difference("alarm DriftAlarm", "mute: |\n</x>", "template")
    assert (found.commit, found.compared, found.unsettled, found.undeployed) == (COMMIT, COMPARED, None, "never ä")


def test_long_texts_and_very_many_differences_fit() -> None:
    """They are cut, and the document is still read."""
    many = [difference(f"policy fraudops Role{number}", "x" * 5_000, "template") for number in range(300)]
    text = hand_over.write(commit=COMMIT, compared=COMPARED, found=many, unsettled="y" * 5_000, undeployed=None)
    assert len(text.encode()) <= MAX_BYTES
    assert len(hand_over.read(text).found) == 80


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("subject: endpoint", "subject: alarm X", r"found\.0 must be one of package, order, .* \(got alarm X\)"),
        ("subject: endpoint", 'subject: "a\\n::set-output"', r"found\.0\.subject"),
        ("subject: endpoint", "subject: alarm DriftAlarm", r"found\.0 must be one of"),
        ("subject: alarm DriftAlarm", "subject: endpoint", "must have each subject at most once"),
        ("remedy: deploy.yml", "remedy: train.yml", r"found\.0\.remedy must be"),
        ("remedy: deploy.yml", "remedy: deploy.yml\n  ref: x", r"found\.0\.ref is not a known key"),
        ("commit: ", "workflow: train.yml\ncommit: ", "workflow is not a known key"),
        (COMMIT, "main", "commit must"),
        ("2026-05-02", "2026-05-03", "compared must be in the past"),
        ("2026-05-02", "2026-05-01", r"compared must be within 6 hours .*start drift\.yml again"),
        ("05:20:00Z", "05:20:00", "compared must be a time with an offset"),
        ("unsettled: null", "unsettled: !!python/object/apply:os.system [id]", "hand-over"),
    ],
)
def test_hostile_document_is_refused(old: str, new: str, says: str) -> None:
    """The error names the field; no other exception escapes."""
    text = written()
    assert old in text
    with pytest.raises(ConfigError, match=says):
        hand_over.read(text.replace(old, new, 1))


def test_oversized_document_is_refused() -> None:
    """Before it is parsed."""
    with pytest.raises(ConfigError, match="must have at most"):
        hand_over.read("a" * (MAX_BYTES + 1))


def test_clocks_of_two_machines_may_disagree() -> None:
    """By a few minutes, not more."""
    ahead = hand_over.write(
        commit=COMMIT, compared=COMPARED + timedelta(minutes=6), found=[], unsettled=None, undeployed=None
    )
    assert hand_over.read(ahead).compared > clock.now()
