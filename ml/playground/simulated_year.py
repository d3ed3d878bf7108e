"""`fraudops simulate` (`make demo`): plays a year of drifting traffic on the emulators, without manual steps.

Each month's transactions are sent to the endpoint over HTTP and imported into the data lake, and labels arrive with
delay. Each day at the time of drift.yml's cron line the day is judged in process; where the check has something to do,
the schedule fires, and the workflow files do the rest. The same rows are scored without retraining as a control. Time
comes from the clock that the card processor sets; nothing sleeps.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ml import config, console, render
from ml.errors import FraudopsError
from ml.playground import demo_site
from ml.playground.card_processor import CardProcessor, set_clock
from ml.playground.demo_round import OutputFolder, StageTimer, prepare_folder, summarize
from ml.playground.developer import check_repository, isolated_environment
from ml.playground.event_history import EventHistory
from ml.playground.year_operator import YearOperator
from ml.report import year_data
from ml.report.year_data import PlayedYear
from ml.simulate import profile as profiles
from ml.simulate import scenario
from ml.simulate.stand_in_data import StandIn
from ml.simulate.year_traffic import ROWS, Year

REPOSITORY = "fraudops"
MONTHS = 12
CHECK_AT = timedelta(hours=5, minutes=17)
"""The time of day of drift.yml's cron line."""
_DAY = timedelta(days=1)


def run(
    root: Path,
    *,
    out: Path,
    scenario_name: str = scenario.DEFAULT,
    seed: int = 0,
    rows: int = ROWS,
    months: int = MONTHS,
    keep: Path | None = None,
    profile: Path | None = None,
    last_screen: bool = True,
) -> dict[str, Any]:
    """Plays the year for the commit checked out at `root`; returns the content of report.json.

    Args:
        root: a Git repository of this project; it is cloned, never changed. The year starts from the shipped state,
            whose drift window is the month that a year is played by.
        out: emptied first; gets the report, the pages of GitHub, the logs and the clone.
        scenario_name: a scenario of the project, or the path of a file.
        rows: transactions of an average month.
        months: number of months, 1 to 120.
        keep: folder for summary.json, the model that serves at the end and the site, emptied first; `out` if None.
        profile: of `fraudops data profile`; its columns and share of frauds replace those of the stand-in that ships.
        last_screen: whether the months and the places of the results are printed at the end.

    Raises:
        ConfigError: the profile is invalid, or the scenario names columns that it has not.
        FraudopsError: a workflow run failed, or an argument is out of range.
        Refused: a folder that would be emptied has files of others.
    """
    from ml.aws import s3_objects
    from ml.playground import job_interpreter
    from ml.playground.emulators import Emulators
    from ml.report import year_report as report

    if not 1 <= months <= 120:
        raise FraudopsError(f"months must be 1 to 120 (got {months})")
    check_repository(root)
    standin = StandIn.load() if profile is None else StandIn(profiles.read(profile))
    if standin.layout.amount is None:
        raise FraudopsError(f"{profile}: has no amount; a year needs one, to compare the models with a rule on it")
    happens = scenario.load(scenario_name, standin)
    if profile is not None:
        happens = happens.model_copy(update={"fraud_share": standin.fraud_rate})
    year = Year(happens, seed=seed, rows=rows, standin=standin)
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
            data = None if profile is None else _data_values(standin)
            operator = YearOperator(emulators, root=root, place=place.repository, name=REPOSITORY, data=data)
            history = _YearRunner(operator, emulators, year, watch, place).play(scenario_name, months)
            summary = summarize(operator, watch, captured_rows=history.evaluated_rows, capture=history.capture)
            kept.model.write_bytes(s3_objects.read(operator.serving().artifact.uri))
            paths = report.write(history.year, out)
            with watch.stage("site", "make the site"):
                pages = place.pages / operator.full_name
                site = demo_site.build(operator.root, kept.site, pages, year=paths[0])
        emulators.github.export(place.pages, history.commits | set(site.commits))
    finally:
        emulators.stop()
    kept.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    if last_screen:
        _print_table(history.year, paths[0], kept, watch)
    document: dict[str, Any] = history.year.to_dict()
    return document


def _data_values(standin: StandIn) -> dict[str, Any]:
    """The values of data.yaml for the columns that `standin` draws."""
    layout = standin.layout
    return {
        "label": layout.label,
        "amount": layout.amount,
        "time": None if layout.time is None else layout.time.model_dump() | {"zone": "UTC"},
        "features": list(standin.movable),
        "categories": list(standin.categories),
    }


class _YearRunner:
    """Plays the months one after another."""

    def __init__(
        self, operator: YearOperator, emulators: Any, year: Year, watch: StageTimer, place: OutputFolder
    ) -> None:
        self._operator, self._emulators, self._year, self._watch = operator, emulators, year, watch
        self._place = place
        self._looked = year.span(1)[0]
        self._captured = True

    def play(self, name: str, months: int) -> EventHistory:
        """Sets everything up, plays `months` months and builds their history."""
        from ml.aws import platform_stack
        from ml.playground.daily_look import DailyLook

        operator, year, stage = self._operator, self._year, self._watch.stage
        with stage("push", "push this repository; its workflows stop because there is no infrastructure yet"):
            operator.publish(variables={"FRAUDOPS_SUITE": "off"})
        with stage("platform", "create the platform and a role for each workflow"):
            operator.bootstrap()
        endpoint = config.load_serving(operator.root).endpoint
        self._cards = cards = CardProcessor(year, bucket=platform_stack.read().bucket, endpoint=endpoint)
        self._history = history = EventHistory(operator, cards, name)
        with stage("history", "import the history before the year"):
            console.note(f"   {cards.import_history():,} rows")
        with stage("first", "train, approve and deploy the first model"):
            operator.start_training("There is no model yet")
            operator.merge_approvals()
            self._begin_control(cards)
        self._daily = DailyLook(operator.root, self._place.looks, import_pending=cards.import_pending)
        for month in range(1, months + 1):
            with stage(f"month {month}", f"month {month}: {year.span(month)[0]:%B %Y}"):
                for block in cards.blocks(month):
                    self._look_until(block.moment)
                    cards.send(month, block)
                _print_month(cards, month)
        with stage("last", "check the last month"):
            self._look_until(year.span(months)[1] + CHECK_AT)
        console.note(f"   {history.looks} days judged, {history.runs} of them by a run of drift.yml")
        return history.build(months)

    def _look_until(self, moment: datetime) -> None:
        """Looks at every day whose time of the check is not after `moment`."""
        while (due := self._looked + _DAY + CHECK_AT) <= moment:
            self._looked += _DAY
            self._look(due)

    def _look(self, moment: datetime) -> None:
        """Delivers labels, applies outages of capture and judges the day; runs the workflow if something is due."""
        set_clock(moment)
        self._emulators.aws.flush()
        outage = self._apply_outages(moment)
        self._cards.deliver_labels(moment)
        look = self._daily.look(moment)
        self._history.add_look(look)
        reason = look.reason or outage
        if reason is None:
            return
        console.note(f"   {moment:%d %B}: {reason}")
        self._cards.import_pending()
        self._history.add_check(moment, self._operator.run_drift_check())
        self._history.add_merges(moment, self._operator.merge_approvals())
        self._daily.forget()

    def _apply_outages(self, moment: datetime) -> str | None:
        """Deletes what was captured since the day before and lies in an outage; the reason for a run, if any.

        The check reports missing traffic in an issue, and closes it when traffic is back: it runs on each day of an
        outage and on the first day after it.
        """
        year, deleted = self._year, 0
        month = year.number((moment - _DAY).date())
        for outage in (
            item for number in (month - 1, month, month + 1) if number > 0 for item in year.uncaptured(number)
        ):
            # An object holds an hour: of the one in which the day is judged, nothing may be left.
            hour = moment.replace(minute=0, second=0, microsecond=0)
            start, end = max(outage[0], hour - _DAY), min(outage[1], hour + timedelta(hours=1))
            if start < end:
                deleted += self._cards.delete_captured(start, end)
        before, self._captured = self._captured, not deleted
        if deleted:
            return f"outage of capture: {deleted:,} objects deleted"
        return None if before else "traffic is captured again"

    def _begin_control(self, cards: CardProcessor) -> None:
        import numpy as np

        from ml.aws import s3_objects
        from ml.model import artifact

        record = self._operator.serving()
        archive = artifact.read(s3_objects.read(record.artifact.uri))
        edges = np.array(archive.baseline["fraud_by_amount"]["edges"])
        cards.start_control(archive.model, edges)


def _print_month(cards: CardProcessor, month: int) -> None:
    counts = cards.counts_by_month[month]
    found = cards.outcomes.counts(month)
    values = [year_data.recall(found[side].confusion).value for side in ("with_retraining", "without_retraining")]
    both = ["undefined" if value is None else f"{value:.2f}" for value in values]
    console.note(f"   recall {both[0]}, without retraining {both[1]}; model versions {', '.join(counts.versions)}")


def _print_table(year: PlayedYear, page: Path, kept: OutputFolder, watch: StageTimer) -> None:
    working_folder = Path.cwd()

    def short(path: Path) -> str:
        return str(path.relative_to(working_folder)) if path.is_relative_to(working_folder) else str(path)

    last = year.months[-year_data.POOLED :]
    span = f"months {last[0].number} to {last[-1].number}"
    pooled = {side: year.pooled(side) for side in year_data.SIDES}
    recalls = {side: render.figure(year_data.recall(counts.confusion).to_dict()) for side, counts in pooled.items()}
    served = pooled["with_retraining"]
    rates = {
        side: render.figure(year_data.false_positive_rate(counts.confusion).to_dict(), percent=True)
        for side, counts in pooled.items()
    }
    rows = [
        ("scenario", f"{year.scenario}, seed {year.seed}, {year.rows_a_month:,} transactions a month"),
        ("recall with retraining", f"{recalls['with_retraining']} in {span}"),
        ("recall without", f"{recalls['without_retraining']} in {span}"),
        (
            "recall of a rule",
            f"{recalls['rule']} in {span}: the first model, or an amount from {year.rule_amount:,.2f} on; "
            f"false-positive rate {rates['rule']}",
        ),
        *_at_equal_false_alarms(year),
        ("frauds of first kind", f"recall {render.figure(year_data.recall_first_kind(served).to_dict())} in {span}"),
        ("false-positive rate", rates["with_retraining"]),
        ("days to alarm", _days(year.reaction.days_to_alarm)),
        ("days to recovery", _days(year.reaction.days_to_recovery)),
        ("requests", ", ".join(f"{item.cause} in month {item.month}: {item.fate}" for item in year.requests) or "none"),
        ("look first at", short(kept.site / "index.html")),
        ("report", short(page)),
        ("pages and logs", short(page.parent / "github/index.html")),
        ("model", short(kept.model)),
        ("summary", short(kept.summary)),
        ("seconds", f"{sum(watch.seconds.values()):.0f} in all"),
    ]
    console.out.print(render.table(rows, title="A year of traffic that drifts"))


def _at_equal_false_alarms(year: PlayedYear) -> list[tuple[str, str]]:
    """What retraining gains over the rule, in recall and money; nothing if the rule cannot have so few false alarms."""
    ours, rule = year.equal_false_alarms["with_retraining"], year.equal_false_alarms.get("rule")
    if rule is None or ours.recall is None or rule.recall is None:
        return []
    more = ours.value_detected - rule.value_detected
    return [
        (
            "at equal false alarms",
            f"recall {ours.recall:.3f} instead of the rule's {rule.recall:.3f}, frauds of {abs(more):,.0f} "
            f"{'more' if more >= 0 else 'less'} in amount",
        )
    ]


def _days(count: int | None) -> str:
    return "none" if count is None else f"{count} from the onset of concept drift"
