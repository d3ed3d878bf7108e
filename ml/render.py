"""Renders a command's result as a two-column table or as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from ml.clock import stamp
from ml.console import out


def as_json(value: Any) -> str:
    """`value` as indented JSON; dataclasses become objects, times UTC text, paths text."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """`value` in JSON types; a file of model-config/ as its fields."""
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date | Path):
        return str(value)
    return value


def show(value: Any, rows: Iterable[tuple[str, Any]], *, as_machine: bool, title: str | None = None) -> None:
    """Prints `value` as JSON if `as_machine`, else `rows` as a table; rows with the text None are left out."""
    if as_machine:
        print(as_json(value))  # noqa: T201 - rich would wrap and colour the JSON
        return
    out.print(table(rows, title=title))


def table(rows: Iterable[tuple[str, Any]], *, title: str | None = None) -> Table:
    """A table of labels and texts; rows with the text None are left out."""
    grid = Table(title=title, show_header=False, box=None, pad_edge=False, title_justify="left", title_style="bold")
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in rows:
        if text is not None:
            grid.add_row(Text(label), Text(str(text)))  # as text: a value of others is never markup
    return grid


def figure(metric: Mapping[str, Any] | None, *, percent: bool = False) -> str:
    """A metric of evaluation.json with its interval and count: 0.951 (0.915 to 0.972, 234 of 246)."""
    if metric is None or metric.get("value") is None:
        return "undefined" + (f": {metric['reason']}" if metric and metric.get("reason") else "")
    scale, digits, unit = (100, 2, " %") if percent else (1, 3, "")
    value, low, high = (metric[key] * scale for key in ("value", "low", "high"))
    count = f", {metric['count']:,} of {metric['of']:,}" if metric.get("of") is not None else ""
    return f"{value:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f}{unit}{count})"


def fields(value: Any) -> list[tuple[str, Any]]:
    """The fields of a flat dataclass as rows, in their order."""
    return [(name.replace("_", " "), _text(item)) for name, item in plain(value).items()]


def _text(value: Any) -> str | None:
    """A value in JSON types for people; None for nothing."""
    if isinstance(value, list):
        parted = "; " if any(isinstance(item, dict) for item in value) else ", "
        return parted.join(filter(None, map(_text, value))) or None
    if isinstance(value, dict):
        named = ((key.replace("_", " "), _text(item)) for key, item in value.items())
        return ", ".join(f"{key} {item}" for key, item in named if item is not None) or None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else str(value)


def evaluation_rows(evaluation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rows of an evaluation.json: the verdict, if it has one, and the figures."""
    metrics = evaluation["metrics"]
    rows = (
        [("verdict", f"{evaluation['verdict']['status']}: {evaluation['verdict']['reason']}")]
        if "verdict" in evaluation
        else []
    )
    rows += [
        (label, figure(metrics.get(name), percent=percent)) for label, name, percent in _FIGURES if name in metrics
    ]
    return rows


_FIGURES = (
    ("recall", "recall", False),
    ("precision", "precision", False),
    ("false-positive rate", "false_positive_rate", True),
    ("average precision", "average_precision", False),
    ("ROC AUC", "roc_auc", False),
    ("recall at alert budget", "recall_at_alert_budget", False),
    ("alert rate", "alert_rate", True),
)


def _daily_test(alarm: Any) -> str:
    """The result of the daily concept test."""
    evidence = alarm.evidence
    if not alarm.fired:
        return f"no alarm (p {evidence.p_value:.1g})"
    p_value = "p < 0.001" if evidence.p_value < 0.001 else f"p = {evidence.p_value:.1g}"
    return f"concept drift since {evidence.onset}: {evidence.frauds:,} known frauds of {evidence.rows:,} rows in " + (
        f"{evidence.stratum} ({p_value})"
    )


def drift_rows(result: Any) -> list[tuple[str, Any]]:
    """The rows of a drift check: the verdict of each window, and the retrain requests."""
    windows = [
        (
            f"{stamp(window.start)} to {stamp(window.end)}",
            f"{', '.join(window.verdicts)}; {window.rows:,} rows{'' if window.new else ', checked before'}",
        )
        for window in result.windows
    ]
    requests = [(request.request, f"{request.state}: {request.reason}") for request in result.requests]
    no_traffic, alarm = result.no_traffic, result.concept_alarm
    return [
        ("verdict", result.verdict),
        ("reason", result.reason),
        ("endpoint", result.endpoint),
        ("approval", f"{result.approval:04d}" if result.approval is not None else "none"),
        *windows,
        ("daily test", _daily_test(alarm) if alarm is not None else None),
        ("due", ", ".join(result.causes) or "no request"),
        *requests,
        ("no traffic", f"since {stamp(no_traffic.since)}, {no_traffic.hours:,.0f} hours" if no_traffic else None),
        ("no labels", result.no_labels.detail if result.no_labels else None),
        ("report", result.windows[-1].report if result.windows else None),
    ]
