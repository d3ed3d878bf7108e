"""Writes the workflow file by which act runs one job, and checks what act would ignore. Runs nothing.

The file has the job with its expressions rewritten (`expression_rewriter`) and, if the job has outputs, a second job
that writes their values to a file. What act ignores or what the emulator decides itself is left out: `if`, `needs`,
`permissions`, `environment`, `concurrency`, `continue-on-error`, `timeout-minutes`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local_github.actions import workspace_files
from local_github.actions.expression_rewriter import rewrite
from local_github.actions.log_parser import POST_STEP
from local_github.actions.pre_run_expressions import has_expression
from local_github.actions.workflow_file import Job, Workflow, WorkflowInvalid, labels

LABELS = ("ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04", "ubuntu-slim")
OUTPUTS_JOB = "local-outputs"
_DECIDED = (
    "concurrency", "continue-on-error", "environment", "if", "name", "needs", "permissions", "strategy",
    "timeout-minutes",
)  # fmt: skip
_POST = (
    '[[ ! -s "$LOCAL_GITHUB_CACHES_TO_SAVE" ]] || "$LOCAL_GITHUB_PYTHON" -I -S "$LOCAL_GITHUB_CACHE_PROGRAM" post\n'
    + workspace_files.KEEP
)


def check(workflow: Workflow) -> None:
    """Refuses what the emulator cannot run and act would skip or ignore.

    Raises:
        WorkflowInvalid: a runner label, a container or a service; the message names the job.
    """
    for job in workflow.jobs:
        where = f"{workflow.path}: job {job.id}"
        for key in ("container", "services"):
            if job.raw.get(key):
                raise WorkflowInvalid(f"{where}: {key} needs Docker, which the emulator does not use")
        if job.uses is None and not _depends(job.raw["runs-on"]):
            check_labels(labels(job.raw["runs-on"], where), where)


def _depends(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_depends, value.values()))
    return any(map(_depends, value)) if isinstance(value, list) else has_expression(value)


def check_labels(names: Sequence[str], where: str) -> None:
    """Refuses a label that no runner has."""
    for label in names:
        if label not in LABELS:
            raise WorkflowInvalid(f"{where}: no runner has the label {label!r} (known: {', '.join(LABELS)})")


def build(
    workflow: Workflow, job: Job, *, event: str, name: str, contexts: Mapping[str, Any], outputs: Path
) -> dict[str, Any]:
    """The workflow file of one job.

    Args:
        workflow: the file that defines the job, which may be a called workflow.
        job: the job.
        event: the event of the run.
        name: GITHUB_WORKFLOW, the name of the run's workflow.
        contexts: the values of needs, strategy, matrix, inputs, github and runner.
        outputs: where the job's outputs are written, as JSON.
    """
    raw = rewrite({key: value for key, value in job.raw.items() if key not in _DECIDED}, contexts)
    raw["runs-on"] = LABELS[0]
    if contexts.get("matrix"):
        raw["strategy"] = {"matrix": {"include": [dict(contexts["matrix"])]}}
    raw["steps"] = [*raw["steps"], {"id": POST_STEP, "if": "success()", "shell": "bash", "run": _POST}]
    jobs = {job.id: raw}
    if job.raw.get("outputs"):
        jobs[OUTPUTS_JOB] = _outputs_job(job.id, outputs)
    shared = {key: rewrite(workflow.raw[key], contexts) for key in ("env", "defaults") if workflow.raw.get(key)}
    return {"name": name, "on": {event: {}}, **shared, "jobs": jobs}


def _outputs_job(job: str, path: Path) -> dict[str, Any]:
    """The job that writes the outputs of `job`; a step's script may be long, unlike a variable of its environment."""
    end = f"end-{secrets.token_hex(16)}"
    script = f"cat > \"$LOCAL_GITHUB_OUTPUTS\" <<'{end}'\n${{{{ toJSON(needs['{job}'].outputs) }}}}\n{end}\n"
    step = {"shell": "bash", "env": {"LOCAL_GITHUB_OUTPUTS": str(path)}, "run": script}
    return {"needs": [job], "if": "always()", "runs-on": LABELS[0], "steps": [step]}
