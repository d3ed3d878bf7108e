"""Formats the gate's checks of evaluation.json as Markdown lines, the worst first. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml import config
from ml.gitops import gate_words, metric_tables
from ml.gitops.markdown_escaping import code, details, text

_COMPARISON_CHECKS = ("champion_comparison", "drop_comparison")  # fail if a comparison is needed and not possible
_SLICE = "champion_recall_"
_FAILED, _WORSE, _UNKNOWN, _PASSED = "❌", "⚠️", "❓", "✅"
_ORDER = (_FAILED, _WORSE, _UNKNOWN, _PASSED)


def lines(evaluation: Mapping[str, Any]) -> list[str]:
    """A line of a list for each check: failed ones, then those in which the new model is worse, then the rest."""
    return [line for _, line in _marked(evaluation)]


def section(evaluation: Mapping[str, Any]) -> str:
    """The gate's verdict; the checks that passed, and could tell, are folded."""
    verdict, marked = evaluation["verdict"], _marked(evaluation)
    unknown = metric_tables.cannot_tell(evaluation)
    title = "cannot tell" if unknown else text(verdict["status"])
    shown = [line for mark, line in marked if mark != _PASSED]
    folded = [line for mark, line in marked if mark == _PASSED]
    parts = [f"## Gate: {title}"]
    if any(mark == _WORSE for mark, _ in marked):
        parts.append(f"Worse than the champion beyond chance, and tolerated by the rules of {code(str(config.GATE))}:")
    parts += ["\n".join(shown)] if shown else []
    if folded:
        count = f"{len(folded)} {'other check' if shown else 'check'}{'' if len(folded) == 1 else 's'}"
        parts.append(details(f"{count} passed", "\n".join(folded)))
    if not marked:
        parts.append(text(gate_words.readable(verdict["reason"])))
    if unknown:
        parts.append(
            f"The model is within the limits of {code(str(config.GATE))}. What {code('challenger')} asks to be shown "
            "cannot be shown, because columns of the champion were taken away. The champion stays unless a person "
            "decides otherwise; merging this is that decision."
        )
    return "\n\n".join(parts)


def reservations(evaluation: Mapping[str, Any]) -> list[str]:
    """In which checks the new model is worse, or the evidence cannot tell, as sentences of plain text; often none."""
    return [sentence for mark, sentence in _judged(evaluation) if mark in (_WORSE, _UNKNOWN)]


def untold(evaluation: Mapping[str, Any]) -> int:
    """The number of the gate's checks whose evidence cannot tell."""
    return sum(_mark(check) == _UNKNOWN for check in evaluation["verdict"]["checks"])


def _marked(evaluation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Mark and line of each check in the order of the marks."""
    return [(mark, f"- {mark} {text(sentence)}") for mark, sentence in _judged(evaluation)]


def _judged(evaluation: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Mark and sentence of each check in the order of the marks; slices whose evidence cannot tell share one sentence.

    A comparison that no check needs and that was not possible has a sentence as well.
    """
    made = evaluation["verdict"]["checks"]
    found, few = [], []
    for check in made:
        mark = _mark(check)
        if mark == _UNKNOWN and check["name"].startswith(_SLICE):
            few.append(check["name"].removeprefix(_SLICE))
        else:
            found.append((mark, gate_words.readable(check["detail"])))
    if few:
        frauds = {part["name"]: part["positives"] for part in (evaluation.get("champion") or {}).get("slices", ())}
        named = ", ".join(f"{name} ({_frauds(frauds[name])})" if name in frauds else name for name in few)
        found.append((_UNKNOWN, f"Too few frauds to tell in recall by kind: {named}."))
    reason = metric_tables.not_compared(evaluation)
    if made and reason and not any(check["name"] in _COMPARISON_CHECKS for check in made):
        found.append((_UNKNOWN, f"Cannot tell whether this model is worse than the champion. {reason}"))
    return sorted(found, key=lambda each: _ORDER.index(each[0]))


def _mark(check: Mapping[str, Any]) -> str:
    if not check["passed"]:
        return _FAILED
    return {"worse": _WORSE, "cannot tell": _UNKNOWN}.get(check.get("outcome") or "", _PASSED)


def _frauds(count: int) -> str:
    return f"{count:,} fraud{'' if count == 1 else 's'}"
