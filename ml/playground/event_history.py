"""Builds the history of a simulated year from Git, the data lake and GitHub. Measures and decides nothing.

Requests, approvals and gate failures are files on main; drift verdicts are in the lake; runs, pull requests and issues
are on GitHub. Links go to the exported pages beside the report.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import config
from ml.aws.drift_check_store import Checks
from ml.drift import calendar
from ml.gitops import gate_words, labels, serving_pointer
from ml.gitops.repository import Repository
from ml.playground import drift_verdict_summary, reaction
from ml.playground.card_processor import CardProcessor
from ml.playground.daily_look import Look
from ml.playground.developer import APPROVALS
from ml.playground.scripted_reviewer import LOGIN, RULE
from ml.playground.workflow_watch import TRAINING
from ml.playground.year_operator import YearOperator
from ml.records import retrain_requests
from ml.report.year_data import (
    POOLED,
    DayOfAlerts,
    Decision,
    Deployment,
    MonthPlayed,
    PlayedYear,
    Request,
    Retrain,
)
from ml.site import suppressed_requests

if TYPE_CHECKING:
    from local_github.actions.run_records import Run

PAGES = "github"
BREAKER_KIND = "an issue asks a person"
_ORDER = ("check", "alarm", "suppressed request", "request", "gate", "issue", BREAKER_KIND, "merge", "deployment")
"""Of decisions at the same time."""


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """A run of the drift check."""

    moment: datetime
    run: Run
    verdict: Mapping[str, Any] | None
    """The verdict on the latest whole month after this check; labels that arrive later change it."""


class EventHistory:
    """Records checks and merges, and builds `year` from all sources at the end; `name` is the scenario's."""

    def __init__(self, operator: YearOperator, cards: CardProcessor, name: str) -> None:
        self._operator, self._cards, self._name = operator, cards, name
        self._checks: list[_Checked] = []
        self._looks: list[Look] = []
        self._merges: list[tuple[datetime, int]] = []
        self._months = 0
        self.commits: set[str] = set()
        """Commits that the report links to."""
        self.year: PlayedYear

    def add_look(self, look: Look) -> None:
        """Records a day that was judged."""
        self._looks.append(look)

    def add_check(self, moment: datetime, run: Run) -> None:
        """Records a run of the drift check."""
        window = calendar.latest(moment, "month")
        self._checks.append(_Checked(moment=moment, run=run, verdict=self._verdict(*window)))

    def add_merges(self, moment: datetime, numbers: list[int]) -> None:
        """Records the pull requests that were merged."""
        self._merges += [(moment, number) for number in numbers]

    @property
    def looks(self) -> int:
        """Days that were judged."""
        return len(self._looks)

    @property
    def runs(self) -> int:
        """Days on which drift.yml ran."""
        return len(self._checks)

    def build(self, months: int) -> EventHistory:
        """Builds `year` from the first `months` months."""
        operator, cards = self._operator, self._cards
        self._months = months
        operator.update()
        rules = config.load_drift(operator.root)
        scenario = cards.year.scenario
        self._repository = Repository.find(operator.root)
        self._records = _records(operator.root)
        self._resolutions = retrain_requests.resolutions(retrain_requests.WorkTree(operator.root))
        months_played = tuple(self._month(number) for number in range(1, months + 1))
        requests, retrains = self._requests(), self._retrains()
        deployments = self._deployments()
        reacted = reaction.measure(cards.year, self._looks, deployments, months=months, root=operator.root)
        self.year = PlayedYear(
            title=scenario.title,
            about=scenario.about,
            scenario=self._name,
            seed=cards.year.seed,
            rows_a_month=cards.year.rows,
            statistic=drift_verdict_summary.STATISTIC,
            floor=rules.data.min_ks,
            band_edges=cards.band_edges,
            min_recall=config.load_gate(operator.root).min_recall,
            onsets=_onsets(scenario),
            rule_amount=cards.outcomes.rule_amount,
            equal_false_alarms=cards.outcomes.at_equal_false_alarms(range(max(1, months - POOLED + 1), months + 1)),
            rule_until_recovery=cards.outcomes.rule_until_recovery(range(1, months + 1), reacted),
            reaction=reacted,
            looks=self.looks,
            check_runs=self.runs,
            months=months_played,
            requests=requests,
            retrains=retrains,
            deployments=deployments,
            decisions=self._decisions(requests, retrains, deployments),
            repository_link=self._page("index"),
        )
        return self

    @property
    def capture(self) -> str:
        """The S3 prefix of the captured traffic."""
        return f"s3://{self._cards.bucket}/capture/{self._cards.endpoint}/"

    @property
    def evaluated_rows(self) -> int:
        """Rows of captured traffic in all checks."""
        verdicts = [self._verdict(*self._cards.year.span(month.number)) for month in self.year.months]
        return sum(verdict["rows"] for verdict in verdicts if verdict)

    # -- months

    def _month(self, number: int) -> MonthPlayed:
        counts, (start, end) = self._cards.counts_by_month[number], self._cards.year.span(number)
        verdict = self._verdict(start, end)
        features = verdict["features"] if verdict else []
        return MonthPlayed(
            number=number,
            start=start.date(),
            end=end.date(),
            sides=self._cards.outcomes.counts(number),
            alerts=tuple(DayOfAlerts(day=day, alerts=a, frauds=f) for day, (a, f) in sorted(counts.alerts.items())),
            rows_by_band=tuple(counts.rows_by_band.tolist()),
            frauds_by_band=tuple(counts.frauds_by_band.tolist()),
            drift={item["name"]: item["ks"] for item in features} or None,
            drifted=tuple(item["name"] for item in features if item["fired"]),
            verdict=", ".join(verdict["verdicts"]) if verdict else "not evaluated",
        )

    def _verdict(self, start: datetime, end: datetime) -> Mapping[str, Any] | None:
        """The latest verdict on a window; None if there is none."""
        document = self._stored.read(start, end)
        return document["verdict"] if document else None

    @property
    def _stored(self) -> Checks:
        return Checks(self._cards.bucket, self._cards.endpoint)

    def _number(self, moment: datetime) -> int:
        """The month of `moment`; 0 before the year, and the last month after it."""
        return min(self._months, self._cards.year.number(moment.astimezone(UTC).date()))

    # -- records in Git

    def _requests(self) -> tuple[Request, ...]:
        found = []
        for name, request in config.load_requests(self._operator.root).items():
            commit = self._added(config.REQUESTS / f"{name}.yaml")
            window = request.window
            found.append(
                Request(
                    id=name,
                    cause=request.cause,
                    reason=request.reason,
                    at=commit.time,
                    month=self._number(commit.time),
                    commit=commit.sha,
                    window=_span(window),
                    fate=self._fate(name),
                    link=self._commit(commit.sha),
                )
            )
        return tuple(sorted(found, key=lambda request: request.at))

    def _fate(self, name: str) -> str:
        resolution = self._resolutions.of(name)
        if resolution is None:
            return "open"
        return "failed the gate" if resolution.gate_failed else f"approved as {resolution.record.stem}"

    def _retrains(self) -> tuple[Retrain, ...]:
        pulls = self._operator.pulls_by_branch()
        runs = {run.sha: run.id for run in self._operator.all_runs if Path(run.file).name == TRAINING}
        found = []
        for record in self._records:
            approval = record.approval if isinstance(record, config.ApprovalRecord) else None
            pull = pulls.get(f"{APPROVALS}{approval:04d}") if approval is not None else None
            found.append(
                Retrain(
                    requests=record.requests,
                    at=record.created,
                    month=self._number(record.created),
                    commit=record.commit,
                    verdict=record.verdict.status,
                    reason=gate_words.readable(record.verdict.reason),
                    approval=approval,
                    run_link=self._page("run", runs[record.commit]) if record.commit in runs else None,
                    pull_link=self._page("pull", pull) if pull else None,
                )
            )
        return tuple(item for item in sorted(found, key=lambda item: item.at) if item.requests)

    def _deployments(self) -> tuple[Deployment, ...]:
        moves = [move for move in serving_pointer.moves(self._repository, "HEAD") if move.after is not None]
        ends = [move.landed.time for move in moves[1:]]
        approvers = self._operator.approvers_by_commit()
        found = []
        for move, end in zip(moves, [*ends, None], strict=True):
            record = config.load_approval(self._operator.root, move.after or 0)
            data = record.data
            found.append(
                Deployment(
                    approval=record.approval,
                    start=move.landed.time,
                    end=end,
                    approver=f"{approvers.get(move.landed.sha, 'nobody')}, a script",
                    commit=move.landed.sha,
                    trained_on=f"{_span(data.window)}: {data.rows:,} rows, {data.frauds:,} frauds",
                    artifact_sha256=record.artifact.sha256,
                    link=self._commit(move.landed.sha),
                )
            )
        return tuple(found)

    # -- decisions

    def _decisions(
        self, requests: tuple[Request, ...], retrains: tuple[Retrain, ...], deployments: tuple[Deployment, ...]
    ) -> tuple[Decision, ...]:
        held_back = self._stored.suppressed()
        decisions = [self._check(checked, {item.request for item in held_back}) for checked in self._checks]
        decisions += [
            Decision(
                at=item.first,
                month=self._number(item.first),
                kind="alarm" if item.raised_by == "alarm" else "suppressed request",
                decision=("alarm of the daily test; " if item.raised_by == "alarm" else "")
                + f"no new model is requested: {item.cause}",
                by="drift.yml",
                evidence={
                    "reason": item.first_reason,
                    **({f"reason on {item.latest:%Y-%m-%d}": item.reason} if item.reason != item.first_reason else {}),
                    "until": f"{item.latest:%Y-%m-%d}",
                },
            )
            for item in suppressed_requests.together(held_back)
        ]
        decisions += [
            Decision(
                at=item.at,
                month=item.month,
                kind="request",
                decision=f"a new model is requested: {item.cause}",
                by="drift.yml",
                evidence={"id": item.id, "reason": item.reason, "train and test on": item.window},
                link=item.link,
            )
            for item in requests
        ]
        decisions += [
            Decision(
                at=item.at,
                month=item.month,
                kind="gate",
                decision=f"{item.verdict} the gate"
                + (f": approval {item.approval:04d} is proposed" if item.approval else ""),
                by="the gate, in train.yml",
                evidence={"verdict": gate_words.readable(item.reason), "answers": ", ".join(item.requests)},
                link=item.pull_link or item.run_link,
            )
            for item in retrains
        ]
        decisions += [
            Decision(
                at=moment,
                month=self._number(moment),
                kind="merge",
                decision=f"pull request #{number} is approved, and merged",
                by=f"{LOGIN}, a script",
                evidence={"rule": RULE},
                link=self._page("pull", number),
            )
            for moment, number in self._merges
        ]
        decisions += [
            Decision(
                at=item.start,
                month=self._number(item.start),
                kind="deployment",
                decision=f"approval {item.approval:04d} serves",
                by="deploy.yml and the Lambda",
                evidence={
                    "artifact": item.artifact_sha256[:12],
                    "trained and tested on": item.trained_on,
                    "approved by": item.approver,
                },
                link=item.link,
            )
            for item in deployments
        ]
        decisions += [
            Decision(
                at=issue.created_at,
                month=self._number(issue.created_at),
                kind=BREAKER_KIND if labels.CIRCUIT_BREAKER.name in {label.name for label in issue.labels} else "issue",
                decision=issue.title,
                by="the bot",
                evidence={"issue": f"#{issue.number}", "at the end of the year": issue.state},
                link=self._page("issue", issue.number),
            )
            for issue in self._operator.issues()
        ]
        return tuple(sorted(decisions, key=lambda item: (item.at, _ORDER.index(item.kind))))

    def _check(self, checked: _Checked, held_back: Collection[str]) -> Decision:
        """A run of the check with its annotations and its strongest findings.

        Args:
            held_back: the names of the suppressed requests, which are decisions of their own.
        """
        verdict = checked.verdict
        outputs: dict[str, str] = {}
        for job in checked.run.jobs:
            for values in job.outputs.values():
                outputs |= values
        notes = [note.message for job in checked.run.jobs for note in job.annotations]
        notes = [note for note in notes if note.partition(":")[0] not in held_back]
        evidence = {f"in its words{f' ({place})' if place > 1 else ''}": note for place, note in enumerate(notes, 1)}
        if verdict:
            evidence |= {
                "rows": f"{verdict['rows']:,}",
                **drift_verdict_summary.largest_shift(verdict),
                **drift_verdict_summary.findings(verdict),
            }
        return Decision(
            at=datetime.fromisoformat(checked.run.created),
            month=self._number(checked.moment),
            kind="check",
            decision=outputs.get("verdict") or "not evaluated",
            by="drift.yml",
            evidence=evidence,
            link=self._page("run", checked.run.id),
        )

    # -- links

    def _commit(self, sha: str) -> str:
        self.commits.add(sha)
        return self._page("commit", sha)

    def _page(self, kind: str, number: int | str | None = None) -> str:
        return f"{PAGES}/{self._operator.full_name}/{kind}{f'-{number}' if number is not None else ''}.html"

    def _added(self, path: Path) -> Any:
        return self._repository.log("HEAD", path)[-1]


def _records(root: Path) -> list[config.ApprovalRecord | config.GateFailureRecord]:
    numbers = [int(file.stem) for file in (root / config.APPROVALS).glob("*.yaml") if file.stem.isdecimal()]
    return [
        *(config.load_approval(root, number) for number in sorted(numbers)),
        *config.load_gate_failures(root).values(),
    ]


def _onsets(scenario: Any) -> dict[str, int]:
    firsts = {
        "data": [drift.course.from_month for drift in scenario.data_drift],
        "concept": [drift.course.from_month for drift in scenario.concept_drift],
    }
    return {cause: min(months) for cause, months in firsts.items() if months}


def _span(window: config.Window) -> str:
    if window.start is None and window.end is None:
        return "all that there was"
    sides = [f"{side:%Y-%m-%d}" if side else None for side in (window.start, window.end)]
    return f"{sides[0] or 'the beginning'} to {sides[1] or 'the latest'}"
