"""Concurrency, cancellation, timeouts, re-runs and waiting."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from actions_emulator import ActionsEmulator, one_job, running_processes, wait_until

MakeEmulator = Callable[..., ActionsEmulator]


def test_group_runs_one_and_cancels_older_waiting_runs(emulator: ActionsEmulator) -> None:
    """The active run is not cancelled; of the waiting runs only the newest starts."""
    emulator.workflow(
        one_job(
            "until test -e go; do sleep 0.05; done".replace("go", str(emulator.folder / "go")),
            top="concurrency: {group: deploy}",
        )
    )
    first, second, third = emulator.dispatch(), emulator.dispatch(), emulator.dispatch()
    wait_until(lambda: first.status == "in_progress")
    assert (second.status, second.conclusion, third.status) == ("completed", "cancelled", "pending")
    assert str(third.id) in second.message
    (emulator.folder / "go").touch()
    emulator.finished_runs()
    assert [run.conclusion for run in (first, second, third)] == ["success", "cancelled", "success"]


def test_cancel_in_progress_ends_the_active_run(emulator: ActionsEmulator) -> None:
    """Its clean-up steps run before the next run starts."""
    top = "concurrency: {group: 'ci-${{ github.ref }}', cancel-in-progress: true}"
    text = one_job("echo started\nif [ $GITHUB_RUN_NUMBER = 1 ]; then sleep 60; fi", top=top)
    emulator.workflow(text + "      - if: always()\n        run: echo cleaned\n")
    first = emulator.dispatch()
    wait_until(lambda: bool(first.jobs) and "started" in first.jobs[0].log)
    second = emulator.dispatch()
    emulator.finished_runs()
    assert (first.conclusion, second.conclusion) == ("cancelled", "success")
    assert "cleaned" in first.job("one").log
    assert first.results == {"one": "cancelled"}


def test_cancelled_run_cleans_up_and_leaves_no_process(emulator: ActionsEmulator) -> None:
    """always() and cancelled() steps run; dependent jobs do not, not even with always()."""
    text = one_job("sleep 300 & echo started; wait") + (
        "      - if: always()\n        run: echo always\n      - if: cancelled()\n        run: echo cancelled\n"
        "      - run: echo unreached\n"
        "  two: {needs: one, if: always(), runs-on: ubuntu-latest, steps: [{run: echo two}]}\n"
    )
    emulator.workflow(text)
    run = emulator.dispatch()
    wait_until(lambda: bool(run.jobs) and "\nstarted" in run.jobs[0].log)
    assert emulator.actions.cancel(run.id)
    emulator.finished_runs()
    assert (run.conclusion, run.results) == ("cancelled", {"one": "cancelled", "two": "cancelled"}), run.log
    log = run.job("one").log
    assert "\nalways\n" in log
    assert "\ncancelled\n" in log
    assert "\nunreached\n" not in log
    assert running_processes(run) == []
    assert not emulator.actions.cancel(run.id)


def test_second_cancellation_kills_the_clean_up(emulator: ActionsEmulator) -> None:
    """It has the effect of force-cancel."""
    emulator.workflow(
        one_job("echo started; sleep 60") + "      - if: always()\n        run: echo cleaning; sleep 60\n"
    )
    run = emulator.dispatch()
    wait_until(lambda: bool(run.jobs) and "started" in run.jobs[0].log)
    emulator.actions.cancel(run.id)
    wait_until(lambda: "cleaning" in run.jobs[0].log)
    emulator.actions.cancel(run.id)
    emulator.finished_runs(10)
    assert run.conclusion == "cancelled"
    assert running_processes(run) == []


def test_job_is_cancelled_after_its_timeout(emulator: ActionsEmulator) -> None:
    """The step is killed, clean-up steps run, and the run is cancelled."""
    text = one_job("echo started; sleep 60", job="    timeout-minutes: 0.02")
    emulator.workflow(text + "      - if: always()\n        run: echo cleaned\n      - run: echo unreached\n")
    run = emulator.dispatch()
    emulator.finished_runs()
    assert (run.conclusion, run.results) == ("cancelled", {"one": "cancelled"}), run.log
    assert "exceeded the maximum execution time" in run.job("one").annotations[0].message
    assert "\ncleaned\n" in run.job("one").log
    assert "\nunreached\n" not in run.job("one").log


def test_rerun_is_the_next_attempt_of_the_run(emulator: ActionsEmulator) -> None:
    """Id, number and commit stay, although main has moved; jobs of the earlier attempt are kept."""
    emulator.workflow(one_job('echo "attempt $GITHUB_RUN_ATTEMPT of $GITHUB_SHA"\ntest $GITHUB_RUN_ATTEMPT = 2'))
    run = emulator.dispatch()
    emulator.finished_runs()
    assert run.conclusion == "failure"
    commit = run.sha
    emulator.push({"a": "1"})
    assert emulator.actions.rerun(run.id, actor="bob") is run
    emulator.finished_runs()
    assert (run.attempt, run.conclusion, run.sha, run.triggered_by) == (2, "success", commit, "bob")
    assert f"attempt 2 of {commit}" in run.job("one").log
    assert run.earlier_jobs[1][0].conclusion == "failure"
    assert len(emulator.actions.runs()) == 1


def test_runs_beyond_the_limit_are_queued(make_emulator: MakeEmulator) -> None:
    """Queued runs start in order."""
    emulator = make_emulator(concurrent_runs=1)
    emulator.workflow(one_job("sleep 0.2; date +%s%N"))
    runs = [emulator.dispatch() for _ in range(3)]
    wait_until(lambda: runs[0].status == "in_progress")
    assert [run.status for run in runs[1:]] == ["queued", "queued"]
    emulator.finished_runs()
    ends = [int(next(line for line in run.log.splitlines() if line.isdigit())) for run in runs]
    assert ends == sorted(ends)


def test_wait_times_out_and_names_open_runs(emulator: ActionsEmulator) -> None:
    """The TimeoutError names the run."""
    emulator.workflow(one_job("sleep 60"))
    emulator.dispatch()
    with pytest.raises(TimeoutError, match=r"x #1 \("):
        emulator.actions.wait(0.1)


def test_close_cancels_runs_and_leaves_no_process(make_emulator: MakeEmulator) -> None:
    """Active runs are killed, queued runs are cancelled."""
    emulator = make_emulator(concurrent_runs=1)
    emulator.workflow(one_job("echo started; sleep 300"))
    first, second = emulator.dispatch(), emulator.dispatch()
    wait_until(lambda: bool(first.jobs) and "started" in first.jobs[0].log)
    emulator.actions.close()
    assert (first.conclusion, second.conclusion) == ("cancelled", "cancelled")
    assert running_processes(first) == []
