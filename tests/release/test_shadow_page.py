"""The comment with the comparison in a promotion's pull request."""

from __future__ import annotations

from typing import Any

from ml.release import shadow_page, shadow_verdict
from tests.release.shadow_documents import document


def decided(**options: Any) -> dict[str, Any]:
    """A document with its decision."""
    made = document(**options)
    made["decision"], made["reason"] = shadow_verdict.decide(made)
    return made


def test_comment_says_the_decision_first() -> None:
    """Then the four cells, both models, and how many would be alerted; no id or score of a transaction."""
    comment = shadow_page.comment(decided(gained=14), "s3://staging-lake/comparison.json")
    first, second, *_ = comment.split("\n\n")
    assert first == "### Shadow: approval 0007 on a copy of production's traffic"
    assert second.startswith("**Nothing speaks against merging yet.** Both decide alike on 98.40%")
    assert "| only the challenger alerts | 14 | 1.40% (0.84% to 2.34%) | 0 | 0 | 0.00 |" in comment
    assert "| alerts a day | 42.0 (31.0 to 56.0) | 46.0 (35.0 to 61.0) |" in comment
    assert "Only the challenger alerts: 14 transactions, with amounts from " in comment
    assert "under `different.challenger_only`" in comment
    assert "@all" not in comment  # of an id
    assert "Only production alerts:" not in comment
    assert "left out: 3 that another model answered" in comment
    assert "all of them were sent" in comment
    assert "`s3://staging-lake/comparison.json`" in comment


def test_sample_and_missing_figures_are_said() -> None:
    """A comparison of no row has no scores; one of a sample says so."""
    made = decided(frauds=(9, 0, 0))
    made["traffic"]["sampled_requests"] = 100
    made["scores"] = dict.fromkeys(made["scores"])
    comment = shadow_page.comment(made, "s3://x/y")
    assert "a random 100 of them were sent" in comment
    assert "Rank correlation" not in comment
    assert shadow_page.sentence(made).startswith("Nothing speaks against merging. Of 9 known frauds")
