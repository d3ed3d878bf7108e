"""Workflows that the emulator refuses to run."""

from __future__ import annotations

import pytest
from actions_emulator import CHECKOUT, ActionsEmulator
from local_github.actions.workflow_file import WorkflowInvalid


@pytest.mark.parametrize(
    ("job", "step", "message"),
    [
        ("runs-on: windows-latest", "run: a", "no runner has the label 'windows-latest'"),
        ("runs-on: ubuntu-latest\n    container: alpine", "run: a", "container needs Docker"),
        ("runs-on: ubuntu-latest\n    services: {db: {image: x}}", "run: a", "services needs Docker"),
        ("runs-on: ubuntu-latest", "uses: acme/thing@v1", "no action override for acme/thing@v1"),
        ("runs-on: ubuntu-latest", f"uses: {CHECKOUT}\n        with: {{lfs: true}}", "has no input lfs"),
        (
            "runs-on: ubuntu-latest\n    environment: '${{ secrets.X }}'\n    permissions: {id-token: write}",
            "run: a",
            "cannot evaluate",
        ),
        ("runs-on: ubuntu-latest\n    concurrency: '${{ hashFiles(1) }}'", "run: a", "cannot evaluate"),
    ],
)
def test_unsupported_workflow_is_a_startup_failure(
    emulator: ActionsEmulator, job: str, step: str, message: str
) -> None:
    """act would skip it with exit code 0 or ignore the setting; the run's message names it."""
    emulator.workflow(f"name: x\non: workflow_dispatch\njobs:\n  one:\n    {job}\n    steps:\n      - {step}\n")
    run = emulator.dispatch()
    emulator.finished_runs()
    assert run.conclusion == "startup_failure"
    assert message in run.message


def test_invalid_workflow_file_is_a_failed_run(emulator: ActionsEmulator) -> None:
    """GitHub lists a failed run for the push; a dispatch is refused."""
    emulator.push({".github/workflows/x.yml": "on: push\njobs: {}\n"})
    run = emulator.last_run()
    assert (run.conclusion, run.message) == ("startup_failure", ".github/workflows/x.yml: has no jobs")
    with pytest.raises(WorkflowInvalid):
        emulator.dispatch()
