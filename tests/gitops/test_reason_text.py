"""Tests of the reason of a run, in the title and the text."""

from __future__ import annotations

from typing import get_args

import pytest

from ml import config
from ml.drift import repeated_adaptation
from ml.gitops import reason_text
from ml.gitops.settings_changes import Change
from tests.gitops.test_approval_text import REQUEST, request
from tests.harness.git.repositories import record

CHANGED = [Change(name="threshold.value", words="threshold.value 0.0025 → 0.0095")]


def why(
    requests: dict[str, config.RetrainRequest] | None = None,
    *,
    asked: str = "",
    settings: list[Change] | None = None,
    first: bool = False,
    changed: bool = False,
) -> str:
    """The paragraph for a record that resolves these requests."""
    found = requests or {}
    return reason_text.why(
        record(7, requests=tuple(found)), found, asked=asked, settings=settings or [], first=first, changed=changed
    )


def test_title_has_causes_and_changed_settings() -> None:
    """In plain text, each cause once; nothing of what a person wrote."""
    requests = {"a": request(), "b": request()}
    assert reason_text.title(requests, CHANGED) == "data drift, threshold.value 0.0025 → 0.0095"
    assert reason_text.title({}, []) == ""


def test_changed_settings_are_the_reason_of_a_commit() -> None:
    """With both values; else the text says that only the data are new, or that the change is below."""
    said = why(settings=CHANGED)
    assert said.startswith("**Why:** started by a commit or a person; no retrain request was open.")
    assert said.endswith("Settings changed since the champion: `threshold.value 0.0025 → 0.0095`.")
    assert why().endswith("The settings are those of the champion; only the data are new.")
    assert why(changed=True).endswith("The configuration changed since the champion (below).")
    assert why(first=True).endswith("There is no champion.")
    many = [Change(name=f"s{i}", words=f"s{i} 1 → 2") for i in range(8)]
    assert why(settings=many).endswith("`s5 1 → 2`, and 2 more (below).")


@pytest.mark.parametrize("kind", get_args(config.RunKind))
def test_what_is_new_depends_on_the_kind_of_run(kind: config.RunKind) -> None:
    """Only a fit has nothing but new data; every kind has its words."""
    made = record(7, requests=()).model_copy(update={"kind": kind})
    said = reason_text.why(made, {}, asked="", settings=[], first=False, changed=False)
    assert said.endswith(f"The settings are those of the champion; {reason_text.unchanged(kind)}.")
    assert ("only the data are new" in said) is (kind == "fit")


def test_reason_of_a_person_comes_first() -> None:
    """The sentence about a commit adds nothing then; the text is escaped."""
    said = why(asked="half-yearly <b>retrain</b>")
    assert said.startswith("**Why:** half-yearly &lt;b")
    assert "reason of the manual run" in said
    assert "started by" not in said


def test_requests_are_listed_with_their_reasons() -> None:
    """The reason of each, and a request whose file is not available."""
    said = why({REQUEST: request()}, settings=CHANGED)
    assert f"- `{REQUEST}`: V3 moved by 0.4 sd" in said
    assert said.endswith("`threshold.value 0.0025 → 0.0095`.")
    missing = reason_text.why(record(7, requests=(REQUEST,)), {}, asked="", settings=[], first=False, changed=False)
    assert missing.endswith("its file is not available")
    assert reason_text.evidence(record(7, requests=(REQUEST,)), {}) == ""


def test_first_lines_keep_whole_lines() -> None:
    """A single line that is too long is cut."""
    assert reason_text.first_lines("one\ntwo\nthree", 8) == ("one\ntwo", 1)
    assert reason_text.first_lines("x" * 20, 10) == ("x" * 9 + "…", 0)


def test_days_and_dates_in_reasons_are_explained() -> None:
    """Each of the two once; a reason without them has no explanation."""
    fitted = "The part for new patterns of approval 0003 was fitted on 31 days; 51 days have passed since 2026-07-01."
    alarm = "Concept drift since 2026-06-30, found by the daily test before labels are mature: 9 known frauds"
    both = reason_text.explanations([alarm, fitted])
    assert [text.split(" ")[:3] for text in both] == [["A", "day", "after"], ["“Fitted", "on”", "counts"]]
    assert reason_text.explanations([alarm]) == both[:1]
    assert reason_text.explanations(["V3 moved by 0.4 sd"]) == []
    assert repeated_adaptation.LENGTHS[0] == 3
    assert "due when three times these days have passed since the onset" in both[1]
