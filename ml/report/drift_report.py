"""The HTML report of one window. Shows a verdict, judges nothing, loads nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ml.model.drift.detector import DriftVerdict, Finding
from ml.report.drift_plots import draw

__all__ = ["draw", "page"]

_WORDS = {
    "features.png": "Jensen-Shannon distance of every input from the rows that the model was made from and tested on.",
    "distributions.png": "The five inputs that moved most: grey when the model was approved, blue in this window.",
    "scores.png": "Scores of this model in the window, beside those of the rows that it was tested on.",
    "outcomes.png": "Rates on mature labels beside those that the model was approved with, and frauds by amount.",
    "history.png": "How far each input lay from the reference, window by window.",
}
_EXPLAINED = {
    "none": "Traffic was judged and nothing fired.",
    "no data": "There was too little traffic, or none for too long: nobody can say that nothing has drifted.",
    "labels immature": "Too few labels have come to say whether scores still mean what they meant.",
    "schema": "Fields are missing, new or out of range: a sender has changed, which a new model does not mend.",
    "data": "Inputs have moved away from those that the model was made from.",
    "prediction": "Scores or alerts have moved away from those of the test.",
    "concept": "Labels say that scores do not mean what they meant when the model was approved.",
}


def page(
    document: Mapping[str, Any], found: DriftVerdict, history: Sequence[DriftVerdict], pictures: Mapping[str, bytes]
) -> str:
    """The page as text; the same check gives the same bytes.

    Args:
        document: the check as it is kept.
        history: this window and those before it, in the order of time.
        pictures: PNGs by name, as `draw` gives them.
    """
    fired = [finding for finding in found.findings if finding.fired]
    return (
        _environment()
        .get_template("drift.html")
        .render(
            document=document,
            found=found,
            fired=sorted(fired, key=lambda finding: (finding.kind, finding.statistic, finding.subject or "")),
            quiet=[finding for finding in found.findings if not finding.fired and finding.p_value is not None],
            features=sorted(found.features, key=lambda feature: -feature.js),
            history=list(reversed(history)),
            explained=[(verdict, _EXPLAINED[verdict]) for verdict in found.verdicts],
            days=document["labels"]["days"],
            pictures=[
                (name, _WORDS[name], f"data:image/png;base64,{base64.b64encode(content).decode()}")
                for name, content in pictures.items()
            ],
        )
    )


def figure(value: float | None) -> str:
    """A figure with three digits that tell something; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def day(moment: datetime) -> str:
    """A time as the page shows it."""
    whole = not (moment.hour or moment.minute or moment.second)
    return f"{moment:%Y-%m-%d}" if whole else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def words(finding: Finding) -> str:
    """What a statistic is called."""
    names = {"ks": "Kolmogorov-Smirnov", "psi": "population stability index", "js": "Jensen-Shannon", "chi_square": "w"}
    return names.get(finding.statistic, finding.statistic.replace("_", " "))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ml.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": figure, "day": day, "words": words}
    return environment
