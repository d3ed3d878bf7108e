"""A month of a simulated year as arrays: its rows, when each label is known, and which model scored each row.

The year in one process asks daily for labels and counts; files and joins would take most of its time. The rules are
those of ml/aws/labels: in each channel the label known last counts, and the row is a fraud if either channel says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.model import explanation
from ml.model.model_parts import NEW
from ml.model.scorer import Scorer
from ml.simulate.year_traffic import Year

NEVER = np.iinfo(np.int64).max
"""The time at which a label that does not exist is known, in microseconds."""
NO_MODEL = -1
Times = NDArray[np.int64]
Labels = NDArray[np.int8]


@dataclass(frozen=True)
class MonthRows:
    """The rows of a month in the order of time; times are microseconds since 1970.

    A chargeback label may be corrected once: `first_…` is the label before, known never if there is none. `finding`
    is when an analyst would have found the true label if the row were an alert.
    """

    start: datetime
    end: datetime
    transactions: pa.Table
    labels: pa.Table
    truth: Labels
    relabelled: NDArray[np.bool_]
    times: NDArray[np.datetime64]
    days: Times
    amounts: NDArray[np.float64]
    first_known: Times
    first_label: Labels
    last_known: Times
    last_label: Labels
    finding: Times

    @classmethod
    def of(cls, year: Year, number: int) -> MonthRows:
        """Draws month `number` of `year`."""
        days = list(year.days(number))
        transactions = pa.concat_tables([day.transactions for day in days]).combine_chunks()
        labels = pa.concat_tables([day.labels for day in days]).combine_chunks()
        findings = [year.findings(day, np.ones(len(day.truth), dtype=np.bool_)) for day in days]
        ids, size = transactions["event_id"].combine_chunks(), len(transactions)
        finding = np.full(size, NEVER)
        if sum(map(len, findings)):
            finding = _micros(pa.concat_tables(findings)["known_at"])
        places = pc.index_in(labels["event_id"], value_set=ids).to_numpy()
        moments, values = _micros(labels["known_at"]), labels["label"].to_numpy()
        order = np.argsort(moments, kind="stable")
        last_known, first_known = np.full(size, NEVER), np.full(size, NEVER)
        last_label, first_label = np.full(size, -1, dtype=np.int8), np.full(size, -1, dtype=np.int8)
        first_known[places[order[::-1]]], first_label[places[order[::-1]]] = moments[order[::-1]], values[order[::-1]]
        last_known[places[order]], last_label[places[order]] = moments[order], values[order]
        times = _micros(transactions["event_time"])
        start, end = year.span(number)
        return cls(
            start=start,
            end=end,
            transactions=transactions,
            labels=labels,
            truth=np.concatenate([day.truth for day in days]),
            relabelled=np.concatenate([day.relabelled for day in days]),
            times=times.astype("datetime64[us]"),
            days=times // 86_400_000_000,
            amounts=transactions["Amount"].to_numpy(),
            first_known=first_known,
            first_label=first_label,
            last_known=last_known,
            last_label=last_label,
            finding=finding,
        )

    def inputs(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The inputs of a model, float64[rows, names]."""
        return np.column_stack([self.transactions[name].to_numpy() for name in names])


class ServedMonth:
    """The scores and decisions that the rows of a month got, by the model that served at their time."""

    def __init__(self, rows: MonthRows) -> None:
        size = len(rows.truth)
        self.rows = rows
        self.model = np.full(size, NO_MODEL)
        """The number of the model that scored each row."""
        self.scores = np.zeros(size)
        self.decisions = np.zeros(size, dtype=np.int8)
        self.follows_new = np.zeros(size, dtype=np.bool_)
        self._found = np.full(size, NEVER)

    def serve(self, number: int, scorer: Scorer, since: datetime) -> None:
        """Lets model `number` score every row from `since` on."""
        later = self.rows.times >= np.datetime64(since.replace(tzinfo=None), "us")
        inputs = self.rows.inputs(scorer.inputs)[later]
        self.model[later], self.scores[later] = number, scorer.score(inputs)
        self.decisions[later] = scorer.decide(self.scores[later])
        self.follows_new[later] = explanation.patterns(scorer.log_odds(inputs)) == NEW
        self._found = np.where(self.decisions == 1, self.rows.finding, NEVER)

    def known(self, now: datetime, at: NDArray[np.int64] | slice = slice(None), *, findings: bool = False) -> Labels:
        """The labels of the rows `at` that are known at `now`; -1 for none.

        Args:
            findings: also label rows that only analysts have labelled.
        """
        rows, moment = self.rows, micros(now)
        label = np.where(rows.first_known[at] <= moment, rows.first_label[at], -1)
        label = np.where(rows.last_known[at] <= moment, rows.last_label[at], label)
        found = np.where(self._found[at] <= moment, rows.truth[at], -1)
        both = np.maximum(label, found)
        return np.asarray(both if findings else np.where(label >= 0, both, -1), dtype=np.int8)

    def label_tables(self, now: datetime) -> list[pa.Table]:
        """The label files of the month as they are at `now`: chargebacks, and the findings if there are any."""
        tables = [self.rows.labels.filter(pc.less_equal(self.rows.labels["known_at"], pa.scalar(now)))]
        found = np.flatnonzero(self._found <= micros(now))
        if len(found):
            moments = pa.array(self._found[found]).cast(pa.timestamp("us", "UTC"))
            columns = {
                "event_id": self.rows.transactions["event_id"].take(pa.array(found)),
                "label": pa.array(self.rows.truth[found]),
                "known_at": moments,
                "channel": pa.array(["analyst"] * len(found)),
            }
            tables.append(pa.table(columns))
        return tables


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _micros(column: pa.ChunkedArray) -> Times:
    found: Times = column.cast(pa.int64()).to_numpy()
    return found
