"""Schedules, workflow_run, disabled workflows, skip markers, concurrent pushes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from itertools import pairwise

from actions_emulator import REPOSITORY, ActionsEmulator, one_job


def test_schedule_starts_by_its_expression_or_when_it_is_due(emulator: ActionsEmulator) -> None:
    """A run starts on the default branch, with the cron expression in its event."""
    emulator.workflow(one_job('echo "line=${{ github.event.schedule }}"', on="{schedule: [{cron: '17 4 * * *'}]}"))
    assert emulator.actions.fire_schedule("0 0 * * *") == []
    assert [run.event for run in emulator.actions.fire_schedule("17 4 * * *")] == ["schedule"]
    minutes = [datetime(2026, 3, 1, 4, minute, tzinfo=UTC) for minute in (15, 16, 17, 18)]
    assert [len(emulator.actions.fire_due_schedules(*pair)) for pair in pairwise(minutes)] == [0, 1, 0]
    assert "line=17 4 * * *" in emulator.last_run().job("one").log


def test_a_run_may_follow_on_another(emulator: ActionsEmulator) -> None:
    """workflow_run, with what the other's conclusion was."""
    emulator.push(
        {
            ".github/workflows/after.yml": one_job(
                'echo "after ${{ github.event.workflow_run.conclusion }}"',
                on="{workflow_run: {workflows: [x], types: [completed]}}",
            ).replace("name: x", "name: after")
        },
        "Add [skip ci]",
    )
    emulator.workflow(one_job("exit 1"))
    emulator.dispatch()
    runs = emulator.finished_runs()
    assert [(run.workflow, run.conclusion) for run in runs] == [("after", "success"), ("x", "failure")]
    assert "after failure" in runs[0].log


def test_a_disabled_workflow_starts_no_more(emulator: ActionsEmulator) -> None:
    """Until it is enabled again."""
    emulator.workflow(one_job("true", on="push"))
    emulator.actions.set_enabled(REPOSITORY, ".github/workflows/x.yml", enabled=False)
    emulator.push({"a": "1"})
    assert emulator.finished_runs() == []
    emulator.actions.set_enabled(REPOSITORY, ".github/workflows/x.yml", enabled=True)
    emulator.push({"a": "2"})
    assert len(emulator.finished_runs()) == 1


def test_events_of_many_pushes_at_once_are_all_taken(emulator: ActionsEmulator) -> None:
    """Pushes from several threads, each to its own branch: a run for each."""
    emulator.workflow(one_job("true", on="{push: {branches: ['b*']}}"))
    names = [f"b{number}" for number in range(4)]
    threads = [
        threading.Thread(target=emulator.git, args=("push", "--quiet", "origin", f"HEAD:refs/heads/{name}"))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.branch for run in emulator.finished_runs()) == []  # the head commit says [skip ci]
    emulator.push({"a": "1"}, "Go", branch="b9")
    assert [run.branch for run in emulator.finished_runs()] == ["b9"]


def test_a_commit_may_ask_to_start_nothing(emulator: ActionsEmulator) -> None:
    """[skip ci] in the head commit's message."""
    emulator.workflow(one_job("true", on="push"), message="Add")
    emulator.push({"a": "1"}, "Later [skip ci]")
    assert [run.title for run in emulator.finished_runs()] == ["Add"]
