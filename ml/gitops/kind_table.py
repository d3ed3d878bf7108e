"""Formats what both models find by kind of rows, from evaluation.json, as Markdown and as cells.

Recall by amount band with the gate's conclusion is in metric_tables.champion. An evaluation of schema 1 has no such
counts, and gives no table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.gitops.markdown_escaping import details, table, text

_FOUND = {"challenger": "found", "champion": "found by champion"}
_WRONG = {"challenger": "false alarms", "champion": "false alarms of champion"}


def by_kind(evaluation: Mapping[str, Any]) -> str:
    """A folded table of the frauds found and the false alarms by amount, hour and category; '' without kinds."""
    head, *found = rows(evaluation) or [()]
    if not found:
        return ""
    counted = evaluation["by_kind"]
    unseen = " that the champion has not seen" if "champion" in counted["kinds"][0]["models"] else ""
    note = (
        f"Counts on the {counted['rows']:,} test rows{unseen}, with {counted['positives']:,} frauds. No check uses "
        "them: with few frauds of a kind, one more or less is chance."
    )
    cells = [(text(name), *counts) for name, *counts in found]
    return details(title(evaluation), f"{note}\n\n{table(head, cells, numbers=range(1, len(head)))}")


def rows(evaluation: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A header, and a row of plain text for each kind; none without kinds."""
    kinds = (evaluation.get("by_kind") or {}).get("kinds") or []
    if not kinds:
        return []
    models = [name for name in _FOUND if name in kinds[0]["models"]]
    return [
        ("transactions", "rows", "frauds", *(_FOUND[name] for name in models), *(_WRONG[name] for name in models)),
        *(
            (
                f"hour {kind['name']} UTC" if kind["by"] == "hour" else str(kind["name"]),
                f"{kind['rows']:,}",
                f"{kind['positives']:,}",
                *(f"{kind['models'][name]['found']:,}" for name in models),
                *(f"{kind['models'][name]['alerts'] - kind['models'][name]['found']:,}" for name in models),
            )
            for kind in kinds
        ),
    ]


def title(evaluation: Mapping[str, Any]) -> str:
    """What the kinds go by, e.g. `Frauds found by amount, hour and category`; '' without kinds."""
    by = dict.fromkeys(str(kind["by"]) for kind in (evaluation.get("by_kind") or {}).get("kinds") or [])
    if not by:
        return ""
    *others, last = by
    return f"Frauds found by {', '.join(others)} and {last}" if others else f"Frauds found by {last}"
