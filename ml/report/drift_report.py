"""Renders the HTML report of a drift check of one window: what happened in words first, statistics folded.

Decides nothing; the page loads nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment

from ml.model.drift.detector import DriftVerdict, FeatureDrift, Finding
from ml.report import drift_words, judged_rows, page_template
from ml.report.drift_plots import draw

__all__ = ["draw", "page"]

_CAPTIONS = {
    "features.png": "Jensen-Shannon distance of every input from the drift reference (training, validation and test).",
    "distributions.png": "The five inputs with the largest shift: drift reference grey, this window blue.",
    "scores.png": "Scores in this window and on the model's test rows.",
    "outcomes.png": "Rates on mature labels, now and in the drift reference, and fraud rate by amount.",
    "history.png": "Jensen-Shannon distance of each input from the drift reference, by window.",
}
_EXPLANATIONS = {
    "none": "The traffic of the window was tested as a whole, and no test found drift.",
    "no data": "There was too little traffic, or none for too long, to test for drift.",
    "labels immature": "There are too few mature labels to test for concept drift.",
    "schema": "Fields are missing, new or out of range: a sender has changed. Retraining does not fix this.",
    "data": "The distribution of inputs differs from the drift reference.",
    "prediction": "Scores or alerts differ from those on the test rows.",
    "concept": "On mature labels, the relation between scores and fraud differs from that in the drift reference.",
}


def page(
    document: Mapping[str, Any], verdict: DriftVerdict, history: Sequence[DriftVerdict], pictures: Mapping[str, bytes]
) -> str:
    """Renders the page; the same check gives the same bytes.

    Args:
        document: the check as stored.
        verdict: of the window.
        history: the verdicts of this window and those before it, in the order of time.
        pictures: PNGs by name, from `draw`.
    """
    fired = [finding for finding in verdict.findings if finding.fired]
    return (
        _environment()
        .get_template("drift.html")
        .render(
            document=document,
            verdict=verdict,
            verdicts=", ".join("no drift" if kind == "none" else kind for kind in verdict.verdicts),
            estimate=drift_words.estimate(verdict.estimated.recall) if verdict.estimated is not None else None,
            no_estimate=drift_words.NO_ESTIMATE,
            headline=drift_words.headline(verdict, judged_rows.read(document, verdict.rows)),
            against=drift_words.against(document),
            overlap=drift_words.overlap(document, verdict),
            lines=drift_words.lines(verdict),
            fired=sorted(fired, key=lambda finding: (finding.kind, finding.statistic, finding.subject or "")),
            quiet=[finding for finding in verdict.findings if not finding.fired and finding.p_value is not None],
            features=sorted(verdict.features, key=lambda feature: -feature.js),
            categories=any(feature.unseen is not None for feature in verdict.features),
            history=list(reversed(history)),
            explanations=[(kind, _EXPLANATIONS[kind]) for kind in verdict.verdicts],
            days=document["labels"]["days"],
            pictures=[
                (name, _CAPTIONS[name], page_template.png_address(content)) for name, content in pictures.items()
            ],
        )
    )


def figure(value: float | None) -> str:
    """A figure with three significant digits; a dash for None."""
    if value is None:
        return "–"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def of_number(feature: FeatureDrift, name: str) -> str:
    """A figure of an input that is a number; a dash for a category, which has none."""
    return figure(getattr(feature, name) if feature.unseen is None else None)


def day(moment: datetime) -> str:
    """A time in the page's format: the date only, if it is midnight."""
    whole = not (moment.hour or moment.minute or moment.second)
    return f"{moment:%Y-%m-%d}" if whole else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def statistic_name(finding: Finding) -> str:
    """The display name of a finding's statistic."""
    names = {
        "ks": "Kolmogorov-Smirnov",
        "psi": "population stability index",
        "js": "Jensen-Shannon",
        "chi_square": "effect size",
    }
    return names.get(finding.statistic, finding.statistic.replace("_", " "))


@cache
def _environment() -> Environment:
    return page_template.environment(
        figure=figure, of_number=of_number, day=day, statistic_name=statistic_name, p_value=drift_words.p_value
    )
