"""`fraudops simulate` (`make demo`): plays a year of drifting traffic on the emulators, without manual steps.

Each month's transactions are sent to the endpoint over HTTP and imported into the data lake, labels arrive with delay,
the schedule fires, and the workflow files do the rest. The same rows are scored without retraining as a control. Time
comes from the clock that the card processor sets; nothing sleeps.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ml import config, console, render
from ml.errors import FraudopsError, Refused
from ml.playground.card_processor import CardProcessor, set_clock
from ml.playground.demo_round import OutputFolder, StageTimer, prepare_folder, summarize
from ml.playground.developer import check_repository, isolated_environment
from ml.playground.event_history import EventHistory
from ml.playground.year_operator import YearOperator
from ml.report import year_data
from ml.report.year_data import PlayedYear
from ml.simulate import scenario
from ml.simulate.year_traffic import ROWS, Year

REPOSITORY = "fraudops"
MONTHS = 12
CHECK_AFTER = timedelta(hours=5, minutes=17)
"""When a month is checked: at the time of drift.yml's cron line, on the day after the month."""


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
    """Plays the year for the commit checked out at `root`; returns the content of report.json.

    Args:
        root: a Git repository of this project; it is cloned, never changed.
        out: emptied first; gets the report, the pages, the logs and the clone.
        scenario_name: a scenario of the project, or the path of a file.
        rows: transactions of an average month.
        months: number of months, 1 to 120.
        keep: folder for summary.json and the model that serves at the end, emptied first; `out` if None.

    Raises:
        FraudopsError: a workflow run failed, or an argument is out of range.
        Refused: the repository's state, or files in a folder that would be emptied, forbid it.
    """
    from ml.aws import s3_objects
    from ml.playground import job_interpreter
    from ml.playground.emulators import Emulators

    if not 1 <= months <= 120:
        raise FraudopsError(f"months must be 1 to 120 (got {months})")
    check_repository(root)
    window = config.load_drift(root).window
    if window != "month":
        raise Refused(f"{config.DRIFT}: window must be month for a simulated year (got {window!r})")
    year = Year(scenario.load(scenario_name), seed=seed, rows=rows)
    place, watch = OutputFolder(out=out), StageTimer()
    kept = place if keep is None else OutputFolder(out=keep)
    for folder in sorted({place.out, kept.out}):  # a folder before its subfolders
        prepare_folder(folder, root)
    with watch.stage("emulators", "start the AWS and GitHub emulators"):
        emulators = Emulators(place.cloud, images=root / "local-images.yaml").start()
    try:
        console.note(job_interpreter.describe(root / "local-images.yaml"))
        with isolated_environment(emulators.environment()):
            set_clock(year.span(1)[0])
            operator = YearOperator(emulators, root=root, place=place.repository, name=REPOSITORY)
            history = _YearRunner(operator, emulators, year, watch).play(scenario_name, months)
            summary = summarize(operator, watch, captured_rows=history.evaluated_rows, capture=history.capture)
            kept.model.write_bytes(s3_objects.read(operator.serving().artifact.uri))
        emulators.github.export(place.pages, history.commits)
    finally:
        emulators.stop()
    from ml.report import year_report as report

    paths = report.write(history.year, out)
    kept.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _print_table(history.year, paths[0], kept, watch)
    document: dict[str, Any] = history.year.to_dict()
    return document


class _YearRunner:
    """Plays the months one after another."""

    def __init__(self, operator: YearOperator, emulators: Any, year: Year, watch: StageTimer) -> None:
        self._operator, self._emulators, self._year, self._watch = operator, emulators, year, watch

    def play(self, name: str, months: int) -> EventHistory:
        """Sets everything up, plays `months` months and builds their history."""
        from ml.aws import platform_stack

        operator, year, stage = self._operator, self._year, self._watch.stage
        with stage("push", "push this repository; its workflows stop because there is no infrastructure yet"):
            operator.publish(variables={"FRAUDOPS_SUITE": "off"})
        with stage("platform", "create the platform and a role for each workflow"):
            operator.bootstrap()
        endpoint = config.load_serving(operator.root).endpoint
        cards = CardProcessor(year, bucket=platform_stack.read().bucket, endpoint=endpoint)
        history = EventHistory(operator, cards, name)
        with stage("history", "import the history before the year"):
            console.note(f"   {cards.import_history():,} rows")
        with stage("first", "train, approve and deploy the first model"):
            operator.start_training("There is no model yet")
            operator.merge_approvals()
            self._begin_control(cards)
        due = self._due(months)
        for month in range(1, months + 1):
            with stage(f"month {month}", f"month {month}: {year.span(month)[0]:%B %Y}"):
                for block in cards.blocks(month):
                    while due and due[0][1] <= block.moment:
                        self._check(history, cards, *due.pop(0))
                    cards.send(month, block)
                cards.import_pending()
                _print_month(cards, month)
        with stage("last", "check the last month"):
            self._check(history, cards, *due.pop(0))
        return history.build(months)

    def _due(self, months: int) -> list[tuple[int, datetime]]:
        return [(month, self._year.span(month)[1] + CHECK_AFTER) for month in range(1, months + 1)]

    def _begin_control(self, cards: CardProcessor) -> None:
        import numpy as np

        from ml.aws import s3_objects
        from ml.model import artifact

        archive = artifact.read(s3_objects.read(self._operator.serving().artifact.uri))
        cards.start_control(archive.model, np.array(archive.baseline["fraud_by_amount"]["edges"]))

    def _check(self, history: EventHistory, cards: CardProcessor, month: int, moment: datetime) -> None:
        """Delivers labels, applies outages of capture, runs the drift check and merges approvals after `month`."""
        set_clock(moment)
        self._emulators.aws.flush()
        for start, end in self._year.uncaptured(month):
            console.note(
                f"   outage of capture from {start:%d %B} to {end:%d %B}: "
                f"{cards.delete_captured(start, end):,} objects deleted"
            )
        console.note(f"   {cards.deliver_labels(moment):,} labels delivered")
        history.add_check(month, self._operator.run_drift_check())
        history.add_merges(month, moment, self._operator.merge_approvals())


def _print_month(cards: CardProcessor, month: int) -> None:
    counts = cards.counts_by_month[month]
    values = [year_data.recall(counts.confusion(c)).value for c in (counts.with_retraining, counts.without_retraining)]
    both = ["undefined" if value is None else f"{value:.2f}" for value in values]
    console.note(f"   recall {both[0]}, without retraining {both[1]}; model versions {', '.join(counts.versions)}")


def _print_table(year: PlayedYear, page: Path, kept: OutputFolder, watch: StageTimer) -> None:
    working_folder = Path.cwd()

    def short(path: Path) -> str:
        return str(path.relative_to(working_folder)) if path.is_relative_to(working_folder) else str(path)

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
