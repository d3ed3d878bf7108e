"""Renders a shadow's comparison as Markdown for the promotion's pull request. Measures and decides nothing.

It names no transaction: readers of the repository need not be readers of the lake.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.gitops import commit_messages
from ml.gitops.markdown_escaping import code, table, text
from ml.release import shadow_verdict

MARKER = "shadow comparison"
_DECISIONS = {
    shadow_verdict.WAIT: "Wait.",
    shadow_verdict.REJECT: "Do not merge.",
    shadow_verdict.NO_OBJECTION: "Nothing speaks against merging.",
    shadow_verdict.NO_OBJECTION_YET: "Nothing speaks against merging yet.",
}
_CELL_HEADER = ("", "transactions", "share", "labelled", "frauds", "their amount")
_CELLS = {
    "both": "both alert",
    "challenger_only": "only the challenger alerts",
    "champion_only": "only production alerts",
    "neither": "neither alerts",
}


def sentence(document: Mapping[str, Any]) -> str:
    """The decision first, then the reason, as plain text."""
    reason = str(document["reason"])
    return f"{_DECISIONS[document['decision']]} {reason[:1].upper()}{reason[1:]}."


def comment(document: Mapping[str, Any], uri: str) -> str:
    """The comparison as a comment; `uri` is that of its document."""
    decision = _DECISIONS[document["decision"]]
    challenger, champion = (commit_messages.number(each) for each in (document["approval"], _champion(document)))
    blocks = [
        f"### Shadow: approval {challenger} on a copy of production's traffic",
        f"**{decision}** {text(sentence(document).removeprefix(decision).strip())}",
        table(
            ("", "transactions", "share", "labelled", "frauds", "their amount"), _cells(document), numbers=range(1, 6)
        ),
        table(("", f"production: {champion}", f"challenger: {challenger}"), _models(document)),
        _scores(document),
        *(_different(document, name) for name in ("challenger_only", "champion_only")),
        _traffic(document),
        f"As of {text(document['at'])}; labels are added by each later run. Whole comparison: {code(uri)}",
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _champion(document: Mapping[str, Any]) -> int:
    return int(document["champion"]["approval"])


def _cells(document: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    for name, words in _CELLS.items():
        share, known = document["agreement"][name], document["labels"]["cells"][name]
        rows.append(
            [
                words,
                f"{share['count']:,}",
                _percent(share),
                f"{known['labelled']:,}",
                f"{known['frauds']:,}",
                _amount(known["fraud_amount"]),
            ]
        )
    return rows


def _models(document: Mapping[str, Any]) -> list[list[str]]:
    names, labels, alerts = ("champion", "challenger"), document["labels"], document["alerts_a_day"]
    return [
        ["alerts a day", *(_range(alerts[name]) for name in names)],
        ["known frauds alerted on", *(_percent(labels[name]["recall"]) for name in names)],
        ["labelled alerts that are frauds", *(_percent(labels[name]["precision"]) for name in names)],
        ["amount of those frauds", *(_amount(labels[name]["fraud_amount"]) for name in names)],
    ]


def _scores(document: Mapping[str, Any]) -> str:
    found = document["scores"]
    if found["median_absolute"] is None:
        return ""
    correlation = found["rank_correlation"]
    return (
        f"Scores: the challenger's are {found['mean_difference']:+.4f} on average; the difference is "
        f"{found['median_absolute']:.4f} in the median, {found['p99_absolute']:.4f} at the 99th percentile and "
        f"{found['largest']:.4f} at most. Rank correlation (Spearman): "
        f"{'not defined' if correlation is None else f'{correlation:.3f}'}."
    )


def _different(document: Mapping[str, Any], name: str) -> str:
    """How many transactions only one model alerts on. Which ones is customers' data, and stays in the lake."""
    found = document["different"][name]
    count = len(found["listed"]) + found["more"]
    if not count:
        return ""
    amounts = sorted(row["amount"] for row in found["listed"] if row["amount"] is not None)
    between = f", with amounts from {_amount(amounts[0])} to {_amount(amounts[-1])}" if amounts else ""
    words = _CELLS[name]
    return (
        f"{words[:1].upper()}{words[1:]}: {count:,} transactions{between}. Ids and scores are in the whole comparison "
        f"below, under {code(f'different.{name}')}; they are customers' data, so this page has none."
    )


def _traffic(document: Mapping[str, Any]) -> str:
    found, window = document["traffic"], document["window"]
    part = (
        "all of them"
        if found["sampled_requests"] == found["requests"]
        else f"a random {found['sampled_requests']:,} of them"
    )
    left = [
        f"{found[key]:,} {words}"
        for key, words in (
            ("other_model", "that another model answered"),
            ("unusable", "with an error or captured in part"),
            ("unreadable", "that could not be read"),
        )
        if found[key]
    ]
    return (
        f"Requests: {found['requests']:,} of {text(window['start'])} to {text(window['end'])} "
        f"({window['compared_hours']:.1f} of {window['hours']} hours), {part} were sent"
        + (f"; left out: {', '.join(left)}" if left else "")
        + f". Capture takes {found['capture_percentage']} % of the requests, and alerts a day are scaled to all."
    )


def _percent(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return text(found["reason"])
    return f"{found['value']:.2%} ({found['low']:.2%} to {found['high']:.2%})"


def _range(found: Mapping[str, Any]) -> str:
    return "–" if found["value"] is None else f"{found['value']:,.1f} ({found['low']:,.1f} to {found['high']:,.1f})"


def _amount(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"
