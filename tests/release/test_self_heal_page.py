"""The issue about a deployment that was started: what it says, what it hides, and how it is read back."""

from __future__ import annotations

import pytest

from ml.config.hand_over import Difference
from ml.gitops import comments
from ml.release import self_heal_page as page
from ml.release import self_heal_policy as policy
from ml.release.self_heal_policy import Decision
from tests.release.self_heal_cases import COMMIT, comparison, difference, run

ALARM = difference("alarm DriftAlarm", "alarm has Threshold 9 @alice", "template")


@pytest.fixture
def decision() -> Decision:
    """Two differences that deploy.yml puts back, and one that it does not."""
    found = comparison(difference(detail="endpoint runs by-hand | #1"), difference("order"), ALARM)
    return policy.decide(found, enabled=True, overtaken=None, runs=[], attempts=[])


def test_issue_says_what_differed_and_what_is_started(decision: Decision) -> None:
    """Escaped, with what is not put back and by whom it is; the run is linked."""
    text = page.body(decision, commit=COMMIT, page="https://git.invalid/runs/1")
    assert (
        "[A run of drift.yml](https://git.invalid/runs/1) found 2 subjects that differ from Git at `aaaaaaaaaaaa`"
        in text
    )
    assert r"| endpoint | endpoint runs by-hand \| #&#8203;1 |" in text
    assert "`deploy.yml` is started on main for this, because `model-config/serving/production.yaml` says" in text
    assert "It is started once for these differences." in text
    assert "| alarm DriftAlarm | alarm has Threshold 9 @&#8203;alice | infra.yml or `fraudops bootstrap`" in text


def test_blocked_page_says_why_and_counts_as_no_attempt(decision: Decision) -> None:
    """The reason is escaped, and no line of it is read as something that was started."""
    found = policy.decide(
        comparison(difference(), undeployed="it failed: <b>@alice</b>"),
        enabled=True,
        overtaken=None,
        runs=[],
        attempts=[],
    )
    text = page.blocked(found, commit=COMMIT, page=None)
    assert text.startswith("**This needs a person.** `fraudops status` found 1 subject that differs from Git at `")
    assert "is not started: it failed: &lt;b&gt;@&#8203;alice" in text
    assert page.attempts(4, [text], []) == []


def test_attempts_are_read_back(decision: Decision) -> None:
    """By the hidden line; started if a comment or the title of a run of this issue says so."""
    body = page.body(decision, commit=COMMIT, page=None)
    first, again = comments.marker_line(page.CAUSE), comments.marker_line("again x")
    texts = [f"{first}\n{again}\n{body}"]
    digest = policy.digest(decision.differences)
    (found,) = page.attempts(4, texts, [])
    assert (found.digest, found.started, found.run) == (digest, False, None)
    assert found.differences == {policy.digest([each]) for each in decision.differences}

    elsewhere = run(title=f"deploy: {page.reason(14, decision)}")
    assert page.attempts(4, texts, [elsewhere])[0].started is False
    mine = run(2, title=f"deploy: {page.reason(4, decision)}")
    assert page.attempts(4, texts, [mine, elsewhere])[0].run == mine

    said = f"{comments.marker_line(page.dispatched(digest))}\n{page.started(4, decision, None)}"
    assert page.attempts(4, [*texts, said], [])[0].started is True
    quoted = f"> {comments.marker_line(page.dispatched(digest))}"
    assert page.attempts(4, [*texts, quoted], [])[0].started is False


def test_reason_fits_the_title_of_a_run(decision: Decision) -> None:
    """Issue and digest come first, and only the names of subjects follow."""
    digest = policy.digest(decision.differences)
    assert page.reason(4, decision) == f"self-heal #4 {digest}: endpoint, order differed from Git"


def test_second_sight_asks_a_person(decision: Decision) -> None:
    """With the run and how it ended."""
    tried = run(3, title="deploy: self-heal #4 abc")
    attempt = policy.Attempt(digest="abc", differences=frozenset(), started=True, run=tried)
    found = policy.decide(
        comparison(difference()), enabled=True, overtaken=None, runs=[], attempts=[attempt, *_tried(difference())]
    )
    text = page.not_healed(found, [tried])
    assert text.startswith("**This needs a person.** deploy.yml was started for this and did not put it back.")
    assert "(https://git.invalid/o/r/actions/runs/3): success" in text
    assert "It is not started again." in text


def _tried(each: Difference) -> list[policy.Attempt]:
    parts = frozenset({policy.digest([each])})
    return [policy.Attempt(digest=policy.digest([each]), differences=parts, started=True, run=None)]


def test_closing_says_why(decision: Decision) -> None:
    """Git's state is back, with what else differs; or the setting is off."""
    equal = policy.decide(comparison(ALARM), enabled=True, overtaken=None, runs=[], attempts=[])
    assert page.closing(equal) == (
        "What `deploy.yml` deploys is what Git says again. 1 other subject differs; see the run."
    )
    off = policy.decide(comparison(), enabled=False, overtaken=None, runs=[], attempts=[])
    assert "no longer says `self_heal: true`" in page.closing(off)
