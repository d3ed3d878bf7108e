"""`fraudops simulate`, which is `make demo`: a year of traffic that drifts, through the real loop, and nobody helps.

Each month's transactions go to the endpoint over HTTP and into the lake, labels follow when they are known, the
schedule fires, and the workflow files do the rest. A control year without retraining is scored beside it on the same
rows. Time is what the clock is set to: nothing sleeps.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ml import config, console, render
from ml.errors import FraudopsError, Refused
from ml.playground.card_processor import CardSystem, set_clock
from ml.playground.demo import Clock, Place, empty, outcome
from ml.playground.developer import environment, suited
from ml.playground.event_history import Chronicle
from ml.playground.scripted_reviewer import Player
from ml.report import year_data
from ml.report.year_data import PlayedYear
from ml.simulate import scenario
from ml.simulate.year_traffic import ROWS, Year

REPOSITORY = "fraudops"
MONTHS = 12
CHECK_AFTER = timedelta(hours=5, minutes=17)
"""When a month is looked at: at the time of drift.yml's cron line, on the day after it."""


def run(
    root: Path,
    *,
    out: Path,
    scenario_name: str = scenario.DEFAULT,
    seed: int = 0,
    rows: int = ROWS,
    months: int = MONTHS,
    keep: Path | None = None,
) -> dict[str, Any]:
    """Plays the year for the commit checked out at `root` and returns what report.json below `out` then holds.

    Args:
        root: a Git repository of this project; it is cloned, never changed.
        out: emptied first; report, pages, logs and the clone are below it.
        scenario_name: a scenario of the project, or the path of a file.
        rows: transactions of an average month.
        months: how many are played, 1 to 120.
        keep: where summary.json and the model that serves in the end go, emptied first; `out` if None.

    Raises:
        FraudopsError: a run did not end as it should, or an argument is out of range.
        Refused: the repository's own state, or a folder's content, is in the way.
    """
    from ml.aws import s3_objects
    from ml.playground.environment import LocalClouds

    if not 1 <= months <= 120:
        raise FraudopsError(f"months must be 1 to 120 (got {months})")
    suited(root)
    window = config.load_drift(root).window
    if window != "month":
        raise Refused(
            f"{config.DRIFT}: window must be month for a simulated year, which is told by months (got {window!r})"
        )
    year = Year(scenario.load(scenario_name), seed=seed, rows=rows)
    place, watch = Place(out=out), Clock()
    kept = place if keep is None else Place(out=keep)
    for folder in sorted({place.out, kept.out}):  # a folder before what is in it
        empty(folder, root)
    with watch.stage("clouds", "AWS and GitHub come up on this machine"):
        clouds = LocalClouds(place.cloud).start()
    try:
        with environment(clouds.environment()):
            set_clock(year.span(1)[0])
            player = Player(clouds, root=root, place=place.repository, name=REPOSITORY)
            told = _Loop(player, clouds, year, watch).play(scenario_name, months)
            summary = outcome(player, watch, captured_rows=told.judged_rows, capture=told.capture)
            kept.model.write_bytes(s3_objects.read(player.serving().artifact.uri))
        clouds.github.export(place.pages, told.commits)
    finally:
        clouds.stop()
    from ml.report import year_report as report

    paths = report.write(told.year, out)
    kept.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _show(told.year, paths[0], kept, watch)
    document: dict[str, Any] = told.year.to_dict()
    return document


class _Loop:
    """The year, month after month."""

    def __init__(self, player: Player, clouds: Any, year: Year, watch: Clock) -> None:
        self._player, self._clouds, self._year, self._watch = player, clouds, year, watch

    def play(self, name: str, months: int) -> Chronicle:
        """Sets everything up, plays `months` months and gathers what happened."""
        from ml.aws import platform

        player, year, stage = self._player, self._year, self._watch.stage
        with stage("push", "this repository is pushed; without infrastructure its workflows say so and stop"):
            player.publish(variables={"FRAUDOPS_SUITE": "off"})
        with stage("platform", "the platform and a role for each workflow are made"):
            player.bootstrap()
        endpoint = config.load_serving(player.root).endpoint
        cards = CardSystem(year, bucket=platform.read().bucket, endpoint=endpoint)
        chronicle = Chronicle(player, cards, name)
        with stage("history", "what happened before the year lands in the lake"):
            console.note(f"   {cards.land_history():,} rows")
        with stage("first", "the first model is trained, approved by the rule and deployed"):
            player.train("There is no model yet")
            player.approve()
            self._begin_control(cards)
        due = self._due(months)
        for month in range(1, months + 1):
            with stage(f"month {month}", f"month {month}: {year.span(month)[0]:%B %Y}"):
                for block in cards.blocks(month):
                    while due and due[0][1] <= block.moment:
                        self._check(chronicle, cards, *due.pop(0))
                    cards.send(month, block)
                cards.land()
                _say(cards, month)
        with stage("last", "the last month is looked at"):
            self._check(chronicle, cards, *due.pop(0))
        return chronicle.gathered(months)

    def _due(self, months: int) -> list[tuple[int, datetime]]:
        return [(month, self._year.span(month)[1] + CHECK_AFTER) for month in range(1, months + 1)]

    def _begin_control(self, cards: CardSystem) -> None:
        import numpy as np

        from ml.aws import s3_objects
        from ml.model import artifact

        archive = artifact.read(s3_objects.read(self._player.serving().artifact.uri))
        cards.control(archive.model, np.array(archive.baseline["fraud_by_amount"]["edges"]))

    def _check(self, chronicle: Chronicle, cards: CardSystem, month: int, moment: datetime) -> None:
        """The morning after `month`: its labels, its outages, the schedule, and what comes of it."""
        set_clock(moment)
        self._clouds.aws.flush()
        for start, end in self._year.uncaptured(month):
            console.note(
                f"   capture failed from {start:%d %B} to {end:%d %B}: {cards.lose(start, end):,} objects lost"
            )
        console.note(f"   {cards.deliver(moment):,} labels delivered")
        chronicle.checked(month, self._player.check())
        chronicle.merged(month, moment, self._player.approve())


def _say(cards: CardSystem, month: int) -> None:
    tally = cards.tallies[month]
    values = [year_data.recall(tally.confusion(c)).value for c in (tally.with_retraining, tally.without_retraining)]
    both = ["undefined" if value is None else f"{value:.2f}" for value in values]
    console.note(f"   recall {both[0]}, without retraining {both[1]}; answered by {', '.join(tally.versions)}")


def _show(year: PlayedYear, page: Path, kept: Place, watch: Clock) -> None:
    here = Path.cwd()

    def short(path: Path) -> str:
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

    last = year.months[-year_data.POOLED :]
    span = f"months {last[0].number} to {last[-1].number}"
    pooled = {side: year.pooled(side) for side in ("with_retraining", "without_retraining")}
    rows = [
        ("scenario", f"{year.scenario}, seed {year.seed}, {year.rows_a_month:,} transactions a month"),
        ("recall with retraining", f"{render.figure(year_data.recall(pooled['with_retraining']).to_dict())} in {span}"),
        ("recall without", f"{render.figure(year_data.recall(pooled['without_retraining']).to_dict())} in {span}"),
        (
            "false-positive rate",
            render.figure(year_data.false_positive_rate(pooled["with_retraining"]).to_dict(), percent=True),
        ),
        ("requests", ", ".join(f"{item.cause} in month {item.month}: {item.fate}" for item in year.requests) or "none"),
        ("report", short(page)),
        ("pages and logs", short(page.parent / "github/index.html")),
        ("model", short(kept.model)),
        ("summary", short(kept.summary)),
        ("seconds", f"{sum(watch.seconds.values()):.0f} in all"),
    ]
    console.out.print(render.table(rows, title="A year of traffic that drifts"))
