"""Writes docs/years.md from the result files below docs/years/. Plays nothing, and judges by the promises below."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from ml.model.training_settings import Challenger
from tests.benchmarks import gate_power
from tests.benchmarks.false_alarm_years import CHANGES, FORMS
from tests.benchmarks.training_run import ROOT
from tests.benchmarks.year_figures import ORACLE, SIDES
from tests.benchmarks.year_kinds import DEFAULT, KINDS, SEEDS
from tests.benchmarks.year_promises import Year, mean_of, misses, number, recall, worst_rate
from tests.benchmarks.year_reasons import reasons
from tests.benchmarks.year_replays import Replays

PAGE = ROOT / "docs/years.md"
_NAMES = ("with retraining", "never", "rule")


def render(folder: Path, replays: Replays) -> str:
    """The page of the results below `folder`."""
    years = {kind: _read(folder, kind) for kind in KINDS}
    present = {kind: found for kind, found in years.items() if found}
    lines = [*_head(present), *_summary(present), *_failures(present)]
    for kind, found in present.items():
        lines += _details(kind, found, replays)
    lines += [*_alarms(folder / "alarms"), *_gate(folder / "gate-power")]
    return "\n".join(lines) + "\n"


def _read(folder: Path, kind: str) -> list[Year]:
    files = (folder / kind.replace(" %", "").replace(" ", "-")).glob("*.json")
    return sorted((json.loads(path.read_text()) for path in files), key=lambda year: int(year["seed"]))


def _head(years: dict[str, list[Year]]) -> list[str]:
    versions = sorted({year["fingerprint"][:8] for year in years.get(DEFAULT, ())})
    return [
        "# Simulated years, false alarms, and the gate's power",
        "",
        "`make years` makes this page from the results in `docs/years/`; it is not edited. Each year is played in one",
        "process by the product's own steps, drift tests, policies and training windows, with a check every day",
        "(`tests/benchmarks/in_process.py`). Months have 24,000 transactions and about 41 frauds without drift.",
        f"Seeds {SEEDS[0]} to {SEEDS[-1]} measure; no setting was chosen on them.",
        f"Code and settings of the default years: `{', '.join(versions) or 'none'}`.",
        "",
        "- *with retraining*: the models that the system trained, as they served. *never*: the first model for ever.",
        "  *rule*: alerts where the first model does, and on the top 1 % of history's amounts.",
        "- Recall and false-positive rate are of months 9 to 12, pooled, as served.",
        "- *first kind*: frauds that the scenario did not relabel, at the false-positive rate of the served decisions,",
        "  with thresholds set anew on the pooled months 9 to 12. *oracle*: the first model, with the scenario's rule",
        "  known. It is the most that a model can find that ranks the known frauds as the first model does; a dash",
        "  where the results were made before it was computed.",
        "- *days to alarm* and *days to recovery* count from the onset of concept drift, to the first check that finds",
        "  it and to the first model with a recall of .90 or more on its next 30 days.",
        "",
    ]


def _summary(years: dict[str, list[Year]]) -> list[str]:
    return [
        "## Years",
        "",
        "Means over seeds, with the worst seed in parentheses. The promises are those for the default year; the others",
        "are measured by the same, to show what fails.",
        "",
        "| kind | seeds | recall with retraining | never | rule | first kind with | first kind never | oracle "
        "| worst month's false-positive rate, 9–12 | days to alarm | days to recovery | requests |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        *(_row(kind, found) for kind, found in years.items()),
        "",
    ]


def _row(kind: str, years: Sequence[Year]) -> str:
    recalls = [[value for year in years if (value := recall(year, side)) is not None] for side in SIDES]
    cells = [f"{mean(values):.3f} ({min(values):.3f})" if values else "–" for values in recalls]
    for side in (*SIDES[:2], ORACLE):
        found = [year["equal_false_alarms"].get(side) or {} for year in years]
        cells.append(number(mean_of([each.get("recall_first_kind") for each in found])))
    rates = [value for year in years if (value := worst_rate(year, 9, 12)) is not None]
    cells.append(f"{mean(rates):.2%} ({max(rates):.2%})" if rates else "–")
    concept = [year for year in years if year["has_concept_drift"]]
    for name in ("days_to_alarm", "days_to_recovery"):
        days = [year[name] for year in concept if year[name] is not None]
        never = f", {len(concept) - len(days)} never" if len(days) < len(concept) else ""
        cells.append(f"{mean(days):.1f} ({max(days)}){never}" if days else ("never" if concept else "–"))
    cells.append(f"{mean(len(year['requests']) for year in years):.1f}")
    return f"| {kind} | {len(years)} | {' | '.join(cells)} |"


def _failures(years: dict[str, list[Year]]) -> list[str]:
    """What each kind misses, and what its results say about why."""
    lines = [
        "## What fails and why",
        "",
        "Derived from the results by `tests/benchmarks/year_reasons.py`: no sentence here is written by hand.",
        "",
        "| kind | misses | why |",
        "|---|---|---|",
    ]
    for kind, found in years.items():
        missed = misses(found)
        why = " ".join(reasons(found, KINDS[kind].make())) if missed else ""
        lines.append(f"| {kind} | {'; '.join(missed) or 'nothing'} | {why or '–'} |")
    absent = [kind for kind in KINDS if kind not in years]
    return [*lines, "", *([f"Not played yet: {', '.join(absent)}.", ""] if absent else [])]


def _details(kind: str, years: Sequence[Year], replays: Replays) -> list[str]:
    found = misses(years)
    return [
        f"### {kind}",
        "",
        f"{KINDS[kind].about[0].upper()}{KINDS[kind].about[1:]}.",
        "",
        f"Misses: {'; '.join(found)}." if found else "Every promise of the default year is kept.",
        "",
        *([sentence, ""] if (sentence := replays.sentence(kind)) else []),
        *_reasons(years),
        "| seed | recall with / never / rule | at equal false alarms, and oracle | first kind, and oracle "
        "| false-positive rate 6–8, 9–12 | alarm | recovery | requests |",
        "|---:|---|---|---|---|---:|---:|---|",
        *(_seed_row(year) for year in years),
        "",
    ]


def _seed_row(year: Year) -> str:
    equal = year["equal_false_alarms"]
    both = [
        " / ".join(number((equal.get(side) or {}).get(name)) for side in (*SIDES, ORACLE))
        for name in ("recall", "recall_first_kind")
    ]
    rates = " / ".join(_percent(worst_rate(year, *months)) for months in ((6, 8), (9, 12)))
    days = [str(year[name]) if year[name] is not None else "–" for name in ("days_to_alarm", "days_to_recovery")]
    requests = "; ".join(f"{each['made'][5:]} {each['kind']} {each['result']}" for each in year["requests"]) or "none"
    cells = [" / ".join(number(recall(year, side)) for side in SIDES), *both, rates, *days, requests]
    return f"| {year['seed']} | {' | '.join(cells)} |"


def _reasons(years: Sequence[Year]) -> list[str]:
    """Why requests did not end in a new model, by frequency."""
    counts: dict[str, int] = {}
    for year in years:
        for each in year["requests"]:
            if each["result"] != "passed":
                sentence = each["reason"].split(". ")[0].split(": ")[0].split(";")[0]
                name = f"{each['kind']}, {each['result']}: {sentence}"
                counts[name] = counts.get(name, 0) + 1
    if not counts:
        return []
    listed = [f"- {count} × {name}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    return ["Requests without a new model:", "", *listed, ""]


def _alarms(folder: Path) -> list[str]:
    files = sorted(folder.glob("*.json"))
    documents = [json.loads(path.read_text()) for path in files]
    lines = [
        "## Alarms",
        "",
        "Years of fraud counts alone (`tests/benchmarks/false_alarm_years.py`): a year of history gives the reference",
        "and its dispersion, and the product's daily concept test looks at the next year every day. At most 5 alarms",
        "in 200 drift-free years are promised. Delays are days from the onset to the alarm: median, 90 % and longest.",
        "",
        "| frauds come | dispersion | drift-free years | alarms | promise | "
        + " | ".join(f"delay, {_change(change)}" for change in CHANGES[1:])
        + " |",
        "|---|---:|---:|---:|---|" + "---:|" * (len(CHANGES) - 1),
    ]
    for form in FORMS:
        own = [document for document in documents if document["form"] == form]
        quiet = [document for document in own if document["change"] == list(CHANGES[0])]
        alarms = [alarm for document in quiet for alarm in document["alarms"]]
        false = sum(alarm is not None for alarm in alarms)
        spread = mean_of([value for document in quiet for value in document["dispersion"]])
        cells = [f"{spread:.2f}" if spread is not None else "–", str(len(alarms)), str(false)]
        cells.append("–" if not alarms else "kept" if false <= len(alarms) / 40 else "missed")
        for change in CHANGES[1:]:
            delays = [alarm for document in own if document["change"] == list(change) for alarm in document["alarms"]]
            cells.append(_delays(delays))
        lines.append(f"| {form} | {' | '.join(cells)} |")
    return [*lines, ""]


def _change(change: Sequence[float]) -> str:
    return f"{change[1]:.0%} of the top {100 * change[0]:g} %"


def _delays(delays: Sequence[int | None]) -> str:
    found = sorted(delay for delay in delays if delay is not None)
    if not found:
        return "–" if not delays else "never"
    middle, high = (found[min(len(found) - 1, int(share * len(found)))] for share in (0.5, 0.9))
    never = f", {len(delays) - len(found)} never" if len(found) < len(delays) else ""
    return f"{middle} / {high} / {found[-1]}{never}"


def _gate(folder: Path) -> list[str]:
    """The lines of docs/gate-power.md with at most 60 frauds."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    few = [each for each in results if each["frauds"] <= 60]
    if not few:
        return ["## Gate power", "", "No result yet."]
    return [
        "## Gate power",
        "",
        "How often a challenger replaces a champion with a true recall of .94; [gate-power.md](gate-power.md) has the",
        "conditions. Promised: one of .75 replaces it in less than 1 %, an equal one in 80 % at 60 test frauds.",
        "",
        *gate_power.HEADING,
        *gate_power.table(few, Challenger(**few[0]["rule"])),
        "",
        f"Misses: {'; '.join(found)}." if (found := gate_power.promises(few)) else "Both promises are kept.",
    ]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"
