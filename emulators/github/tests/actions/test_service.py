"""Schedules, workflow_run, disabled workflows, skip markers, concurrent pushes."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from itertools import pairwise

from actions_emulator import REPOSITORY, ActionsEmulator, one_job
from local_github.domain import merge_queue
from local_github.domain.tokens import Principal


def test_schedule_starts_by_its_expression_or_when_it_is_due(emulator: ActionsEmulator) -> None:
    """A run starts on the default branch, with the cron expression in its event."""
    emulator.workflow(one_job('echo "line=${{ github.event.schedule }}"', on="{schedule: [{cron: '17 4 * * *'}]}"))
    assert emulator.actions.fire_schedule("0 0 * * *") == []
    assert [run.event for run in emulator.actions.fire_schedule("17 4 * * *")] == ["schedule"]
    minutes = [datetime(2026, 3, 1, 4, minute, tzinfo=UTC) for minute in (15, 16, 17, 18)]
    assert [len(emulator.actions.fire_due_schedules(*pair)) for pair in pairwise(minutes)] == [0, 1, 0]
    assert "line=17 4 * * *" in emulator.last_run().job("one").log


def test_workflow_run_follows_another_run(emulator: ActionsEmulator) -> None:
    """Its event has the conclusion of the other run."""
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


def test_disabled_workflow_starts_no_runs(emulator: ActionsEmulator) -> None:
    """It starts runs again after it is enabled."""
    emulator.workflow(one_job("true", on="push"))
    emulator.actions.set_enabled(REPOSITORY, ".github/workflows/x.yml", enabled=False)
    emulator.push({"a": "1"})
    assert emulator.finished_runs() == []
    emulator.actions.set_enabled(REPOSITORY, ".github/workflows/x.yml", enabled=True)
    emulator.push({"a": "2"})
    assert len(emulator.finished_runs()) == 1


def test_concurrent_pushes_are_all_delivered(emulator: ActionsEmulator) -> None:
    """Pushes from several threads are all handled, and a later push starts its run."""
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


def test_skip_marker_starts_no_run(emulator: ActionsEmulator) -> None:
    """[skip ci] in the message of the head commit skips workflows."""
    emulator.workflow(one_job("true", on="push"), message="Add")
    emulator.push({"a": "1"}, "Later [skip ci]")
    assert [run.title for run in emulator.finished_runs()] == ["Add"]


def test_merge_queue_waits_for_the_run_of_its_group(emulator: ActionsEmulator) -> None:
    """The run has the group's commit and ref; its job is the required check, and main moves when it has passed."""
    record, backend = emulator.github.state.named(REPOSITORY), emulator.github.backend
    failed = "${{ contains(github.event.merge_group.head_commit.message, 'broken') }}"
    text = f'echo "base ${{{{ github.event.merge_group.base_sha }}}}"; test {failed} = false'
    emulator.workflow(one_job(text, on="{merge_group: {branches: [main]}}"))
    checks = {"required_status_checks": [{"context": "one"}]}
    ruleset = {
        "name": "queue",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"]}},
        "rules": [{"type": "merge_queue"}, {"type": "required_status_checks", "parameters": checks}],
    }
    assert emulator.api("POST", f"/repos/{REPOSITORY}/rulesets", ruleset)[0] == 201
    alice = Principal(login="alice", permissions=None, repository=None)
    for number, name in enumerate(("fine", "broken"), start=1):
        emulator.git("fetch", "--quiet", "origin")
        emulator.git("checkout", "--quiet", "--detach", "origin/main")
        head, before = emulator.push({name: "1"}, branch=name), record.git.branch("main")
        emulator.api("POST", f"/repos/{REPOSITORY}/statuses/{head}", {"state": "success", "context": "one"})
        emulator.open_pull_request(name)
        with backend.lock():
            merge_queue.enqueue(backend.emitter, record, record.issues[number], alice)
        run = emulator.last_run()
        assert (run.event, run.actor) == ("merge_group", "github-merge-queue[bot]")
        assert run.title == f"Merge pull request #{number} from acme/{name}"
        assert run.ref == f"refs/heads/gh-readonly-queue/main/pr-{number}-{before}"
        assert f"base {before}" in run.log
        merged = name == "fine"
        assert run.conclusion == ("success" if merged else "failure")
        assert (record.git.branch("main") == run.sha) is merged
        assert record.merge_queues == {}
