"""Why a target is missed, from the figures of the same run: the stages of the project's time, and limits.

A limit is the ratio to the peer if some stages took only their floor and all others no time. A benchmark writes stages
and floors as rows `profile_NAME_STAGE`, whose unit is that of the row NAME.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Seconds = Mapping[str, float]
PREFIX = "profile"
"""First word of the names of such rows."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The profiles of one subject.

    Attributes:
        names: missed row → the NAME of its profile.
        stages: stage → what the table calls it; they add up to the time of a run.
        limits: heading → the seconds that a run would take, of the figures of a profile.
        about: what the tables show.
    """

    names: Mapping[str, str]
    stages: Mapping[str, str]
    limits: Mapping[str, Callable[[Seconds], float]]
    about: str


FIT = ("sample", "gradients", "curvature", "synthetic", "solve")
TRAINING = Kind(
    names={
        f"train_{size}{variant}": f"train_{size}{profile}"
        for size in ("x1", "x10")
        for variant, profile in (("", ""), ("_parquet", ""), ("_shipped", "_shipped"))
    },
    stages={
        "read": "read: Parquet to columns, once for means and edges and once for the rows",
        "bin": "bin: edges of the amount",
        "scale": "scale: means, scaled values, codes of bins",
        "neighbours": "neighbours of the frauds, and the draw of pairs",
        "sample": "fit: start from a sample of the rows",
        "gradients": "fit: gradients of all rows",
        "curvature": "fit: curvatures of all rows",
        "synthetic": "fit: sums over synthetic rows",
        "solve": "fit: steps",
        "score": "score the validation rows",
        "threshold": "threshold",
        "calibration": "calibration line",
        "other": "everything else",
    },
    limits={
        "Parquet read alone": lambda took: took["parquet"],
        "Parquet read, and the fit's passes at memory speed": lambda took: (
            took["parquet"] + took["passes"] * took["pass"]
        ),
        "Parquet read, and the fit as it is": lambda took: took["parquet"] + sum(took[stage] for stage in FIT),
    },
    about="A training run with timers, in the rounds of the table below: the time of the calling thread, and where "
    "threads read and compute in turn, its share. The limits are the ratios to the same peer if a run did only this: "
    "read both files once by pyarrow with all threads; besides, pass over the scaled values in memory as often as the "
    "fit did, summing them with all cores; or besides the read, fit as measured, with everything else free.",
)
CAPTURE = Kind(
    names={name: name for name in ("capture_read", "capture_read_500", "capture_read_json", "capture_read_json_500")},
    stages={
        "envelopes": "envelopes: times, ids and bodies of the lines",
        "inputs": "inputs: the numbers of the requests",
        "answers": "answers",
        "rows": "rows of inputs and answers",
    },
    limits={
        "parse of the requests' bodies alone": lambda took: took["bodies"] / took["threads"],
        "parse of envelopes and bodies": lambda took: (took["envelopes"] + took["bodies"]) / took["threads"],
    },
    about="The stages of reading captured lines, each of one thread; a reading shares groups of lines among two. The "
    "limits are the ratios to the same parse of the lines by orjson if only this were left: the numbers of the "
    "requests' bodies, parsed by pyarrow (CSV) or DuckDB (JSON) in one thread and divided evenly among the threads of "
    "a reading, and besides the envelopes. orjson reads a body as one string, and no number in it.",
)
KINDS = (TRAINING, CAPTURE)


def lines(rows: Sequence[dict[str, Any]], number: Callable[[float | None], str]) -> list[str]:
    """The tables for the missed rows that have a profile, as lines of Markdown; none if no row has.

    Args:
        rows: of a full run.
        number: formats a figure.
    """
    made = []
    missed = [row for row in rows if row["met"] is False and row["ratio"] is not None]
    for kind in KINDS:
        found = [(row, took) for row in missed if (took := profile(rows, kind.names.get(row["name"], "")))]
        if found:
            made += ["", kind.about, "", *_stages(kind, found, rows, number), "", *_limits(kind, found, number)]
    return made


def profile(rows: Sequence[dict[str, Any]], name: str) -> dict[str, float]:
    """The figures of the profile NAME by stage and floor; empty if it was not measured."""
    start = f"{PREFIX}_{name}-"
    return {row["name"].removeprefix(start): row["ours"] for row in rows if row["name"].startswith(start)}


def row_name(name: str, stage: str) -> str:
    """The name of the row of a stage or floor."""
    return f"{PREFIX}_{name}-{stage}"


def _stages(
    kind: Kind,
    found: Sequence[tuple[dict[str, Any], Seconds]],
    rows: Sequence[dict[str, Any]],
    number: Callable[[float | None], str],
) -> list[str]:
    names = list(dict.fromkeys(kind.names[row["name"]] for row, _ in found))
    took = {name: profile(rows, name) for name in names}
    totals = {name: sum(took[name][stage] for stage in kind.stages) for name in names}
    made = [f"| stage | {' | '.join(f'`{name}`' for name in names)} |", f"|---|{'--:|' * len(names)}"]
    for stage, title in kind.stages.items():
        cells = (f"{number(took[name][stage])} s, {took[name][stage] / totals[name]:.0%}" for name in names)
        made.append(f"| {title} | {' | '.join(cells)} |")
    return [*made, f"| sum | {' | '.join(f'{number(totals[name])} s' for name in names)} |"]


def _limits(
    kind: Kind, found: Sequence[tuple[dict[str, Any], Seconds]], number: Callable[[float | None], str]
) -> list[str]:
    made = [
        f"| missed | target | time it allows | ours | {' | '.join(kind.limits)} |",
        f"|---|--:|--:|--:|{'--:|' * len(kind.limits)}",
    ]
    out_of_reach: dict[str, tuple[str, float]] = {}
    for row, took in found:
        cells = []
        for heading, seconds in kind.limits.items():
            limit = row["peer"] / seconds(took)
            cells.append(f"{number(seconds(took))} s: {number(limit)}")
            if limit < row["target"]:
                out_of_reach.setdefault(row["name"], (heading, limit))
        allowed = f"{number(row['peer'] / row['target'])} s"
        ours = f"{number(row['ours'])} s: {number(row['ratio'])}"
        cells = [f"`{row['name']}`", number(row["target"]), allowed, ours, *cells]
        made.append(f"| {' | '.join(cells)} |")
    sentences = [
        f"With nothing but the {heading}, `{name}` would be {number(limit)}."
        for name, (heading, limit) in out_of_reach.items()
    ]
    return [*made, *(["", f"Out of reach without a faster stage: {' '.join(sentences)}"] if sentences else [])]
