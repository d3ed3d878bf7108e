"""The scene of a served model that is watched: labels are imported, drift is found, and a retrain is requested."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from ml import clock
from ml.commands.drift_check import check
from ml.commands.drift_request import request
from ml.commands.labels_collect import collect
from ml.playground.chaos import captured_month, fault_draw, stages, stored_results
from ml.playground.chaos.environment import ChaosEnvironment
from ml.playground.chaos.stages import Stage

_ROWS, _FRAUDS = 3_600, 29
_OTHER_FRAUDS = 0.03
"""The share of transactions, those with the highest amounts, that are fraud too: concept drift."""
_CHECKED_BEFORE = "2026-05-02T05:00:00Z"
"""When the month was checked without labels, as the day after its end."""
_OUTPUT = re.compile(r"^hand_over<<(?P<end>\S+)\n(?P<value>.*?)\n(?P=end)$", re.MULTILINE | re.DOTALL)
_TRAINING = "train.yml"


class Watch:
    """The verbs of drift.yml after a month of traffic in which another kind of fraud began.

    At the end the lake must hold, byte by byte, what a run without faults leaves: no captured row and no label is lost
    or counted twice.

    Args:
        environment: buffers captured traffic for `captured_month.FLUSH_SECONDS`.
    """

    start = datetime.fromisoformat("2026-05-12T03:00:00Z")
    """The labels of April are mature."""
    kinds: Sequence[str] = fault_draw.KINDS_WITHOUT_JOBS

    def __init__(self, environment: ChaosEnvironment) -> None:
        self._environment = environment
        self._prepared = False
        self._expected: dict[str, str] = {}

    def reset(self) -> None:
        """A model serves, its traffic of April is captured, and a file of labels waits."""
        self._environment.reset()
        if not self._prepared:
            self._prepare()
            self._environment.reset()

    def stages(self) -> list[Stage]:
        """Imports the labels, checks for drift, and requests the retrain, as the jobs of drift.yml do."""
        environment = self._environment
        return [
            Stage(
                verb="labels collect",
                call=collect,
                reached=lambda _: not stored_results.waiting(environment),
            ),
            Stage(
                verb="drift check",
                call=lambda root: check(root, handed_over=True),
                reached=lambda _: bool(self._handed_over()),
                then=environment.checkout,
            ),
            Stage(
                verb="drift request",
                call=lambda root: request(root, document=self._handed_over()),
                reached=lambda state: len(state.requests) == 1 and self._started(),
            ),
        ]

    def learn(self) -> None:
        """Remembers what a run without faults has left in the lake."""
        self._expected = stored_results.digests(self._environment)

    def violations(self) -> list[str]:
        """What differs from a run without faults: objects of the lake, issues that were opened twice."""
        issues = Counter(issue.title for issue in self._environment.person().get_issues(state="open"))
        twice = [f"{count} open issues: {title}" for title, count in issues.items() if count > 1]
        if not self._expected:
            return twice
        return twice + stored_results.differences(self._expected, stored_results.digests(self._environment))

    def _prepare(self) -> None:
        """Deploys a model, sends the month of traffic, and delivers its labels and its transactions."""
        environment = self._environment
        for stage in stages.first_model(environment):
            stage.call(environment.root)
            environment.aws.settle()
            stage.then()
        environment.checkout()
        rows = captured_month.draw(_ROWS, frauds=_FRAUDS, seed=7)
        captured_month.send(environment, rows)
        environment.at(_CHECKED_BEFORE)
        check(environment.root, report_only=True)
        environment.at(clock.stamp(self.start))
        amounts = rows["Amount"].to_numpy()
        labels: NDArray[np.int64] = rows[captured_month.LABEL].to_numpy().astype(np.int64)
        labels = np.where(amounts >= np.quantile(amounts, 1 - _OTHER_FRAUDS), 1, labels)
        captured_month.put_labels(environment, rows, labels)
        captured_month.put_transactions(environment, rows)
        environment.keep()
        self._prepared = True

    def _handed_over(self) -> str:
        """What the last drift check has handed over; '' for nothing."""
        file = self._environment.folder / "output"
        found = _OUTPUT.findall(file.read_text(encoding="utf-8")) if file.is_file() else []
        return found[-1][1] if found else ""

    def _started(self) -> bool:
        """Whether train.yml was started."""
        return any(workflow == _TRAINING for workflow, _ in self._environment.started)
