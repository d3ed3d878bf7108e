"""Shows the steps of a pipeline execution while it runs: live on a terminal, as lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ml import console
from ml.aws.executions import Execution, Step

_ENDS = {"Succeeded": ("✓", "green"), "Failed": ("✗", "red"), "Stopped": ("■", "yellow")}


class Steps:
    """Shows each state of an execution that it is called with; a context manager that restores the terminal."""

    def __init__(self) -> None:
        self._steps: tuple[Step, ...] = ()
        self._seen: dict[str, str] = {}
        self._began: dict[str, float] = {}
        self._live = Live(console=console.err, get_renderable=self._table, refresh_per_second=8, transient=True)

    def __enter__(self) -> Steps:
        if console.err.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def __call__(self, execution: Execution) -> None:
        """Shows which steps of `execution` have started and ended since the last call."""
        self._steps = execution.steps
        for step in execution.steps:
            self._began.setdefault(step.name, time.monotonic())
            if self._seen.get(step.name) == step.status:
                continue
            self._seen[step.name] = step.status
            if step.status in _ENDS:
                console.note(f"{_ENDS[step.status][0]} {describe(step)}")
            elif not console.err.is_terminal and step.status == "Executing":
                console.note(f"… {step.name}")

    def _table(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for step in self._steps:
            if step.status not in _ENDS:
                spinner = Spinner("dots", Text(step.name))
                table.add_row(spinner, Text(f"{time.monotonic() - self._began[step.name]:.0f} s", style="dim"))
        return table


def describe(step: Step) -> str:
    """The step's name, status and duration."""
    if step.cached:
        return f"{step.name} (taken from an earlier execution with the same inputs)"
    took = f" ({step.seconds:.1f} s)" if step.seconds is not None else ""
    # A Fail step always fails: its name is enough.
    ending = "" if step.status == "Succeeded" or step.message else f" {step.status.lower()}"
    return f"{step.name}{ending}{took}"
