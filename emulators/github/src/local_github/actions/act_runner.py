"""Runs one workflow with act, in self-hosted mode: no containers, no network, the files of the commit as they are.

What act does not do is done here or refused: job timeouts, `continue-on-error` of jobs, unknown runners, actions
without a stand-in, `services:` and `container:` (refused when the file is read). How the ends differ from GitHub's:
- A cancelled run gets SIGINT, as from a person: act kills the running step at once (GitHub asks it first, for ten
  seconds), runs the `if: always()` and `if: cancelled()` steps of that job, and starts no steps of other jobs. Five
  minutes later, or when cancelled once more, everything is killed.
- A job whose `timeout-minutes` are over has its running step killed and ends as cancelled; its clean-up steps get the
  same five minutes. Jobs that need it see `failure` where GitHub says `cancelled`. The jobs of a matrix end together.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil
import yaml

from local_github.actions import action_overrides, override_program
from local_github.actions.log_parser import Recorder
from local_github.actions.run_records import Run
from local_github.actions.workflow_file import Workflow, WorkflowInvalid
from local_github.git.bare_repository import environment as git_environment

LABELS = ("ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04", "ubuntu-slim")
MARK = "LOCAL_GITHUB_RUN"
_POLL_SECONDS = 0.05
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")


@dataclass(kw_only=True)
class Task:
    """What one attempt of a run needs. `cancel` may be set at any time, `kill` too."""

    run: Run
    workflow: Workflow
    repository: Path
    """The bare repository."""
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    variables: Mapping[str, str]
    tool_cache: Path
    caches: Path
    tools: Path
    cleanup_seconds: float = 300.0
    cancel: threading.Event = field(default_factory=threading.Event)
    kill: threading.Event = field(default_factory=threading.Event)


def act_program() -> str:
    """Where act is: beside this interpreter, or on PATH.

    Raises:
        WorkflowInvalid: it is not installed.
    """
    beside = Path(sys.executable).parent / "act"
    found = str(beside) if beside.is_file() else shutil.which("act")
    if not found:
        raise WorkflowInvalid("act is not installed: install the project's development requirements")
    return found


def search_path(tools: Path) -> str:
    """PATH of a job: gh and a plain python3 as GitHub's runners have them, then the system's programs."""
    tools.mkdir(parents=True, exist_ok=True)
    gh = Path(sys.executable).parent / "gh"
    wanted = {"gh": str(gh) if gh.is_file() else shutil.which("gh"), "python3": python()}
    for name, program in wanted.items():
        if program and not (tools / name).exists():
            with contextlib.suppress(FileExistsError):  # another run was faster
                (tools / name).symlink_to(program)
    found = [str(Path(program).parent) for program in map(shutil.which, ("git", "bash")) if program]
    return os.pathsep.join(dict.fromkeys([str(tools), *_SYSTEM_PATH, *found]))


def python() -> str:
    """The interpreter behind this one's virtual environment."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def execute(task: Task, recorder: Recorder) -> int:
    """Runs the task to its end; returns act's exit code. Leaves no process, no checkout and no secret behind.

    Raises:
        WorkflowInvalid: it cannot be run here; the message says what is missing.
    """
    folder = task.run.attempt_folder
    work = folder / "work"
    try:
        command = _prepare(task, work)
        return _watch(task, recorder, command, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _prepare(task: Task, work: Path) -> list[str]:
    run, workflow = task.run, task.workflow
    for job in workflow.jobs:
        for label in job.labels:
            if label not in LABELS:
                raise WorkflowInvalid(f"{workflow.path}: job {job.id}: no runner here has the label {label!r}")
        for key in ("container", "services"):
            if job.raw.get(key):
                raise WorkflowInvalid(f"{workflow.path}: job {job.id}: {key} needs Docker, which local runs do without")
    checkout, home, cache = work / "checkout", work / "home", work / "cache"
    for path in (home, cache, task.tool_cache, task.caches, run.artifacts):
        path.mkdir(parents=True, exist_ok=True)
    _check_out(task.repository, run.commit, checkout)
    replaced = action_overrides.replacements(action_overrides.third_party(workflow, checkout))
    (cache / "tool_cache").symlink_to(task.tool_cache.resolve())  # act insists on this place for RUNNER_TOOL_CACHE
    payload = dict(run.payload)
    (work / "event.json").write_text(json.dumps(payload), encoding="utf-8")
    os.chmod(work, 0o700)  # noqa: PTH101 - secrets lie below
    variables = {
        **task.environment,
        MARK: str(run.attempt_folder),
        "LOCAL_GITHUB_ARTIFACTS": str(run.artifacts),
        "LOCAL_GITHUB_CACHES": str(task.caches),
        "LOCAL_GITHUB_PYTHON": python(),
        "LOCAL_GITHUB_STAND_IN": override_program.__file__,
    }
    files = {"env": variables, "secret": task.secrets, "var": task.variables, "input": {}}
    command = [act_program(), run.event, "-C", str(checkout), "-W", str(checkout / run.file), "--no-recurse"]
    command += [
        "-e",
        str(work / "event.json"),
        "-a",
        run.actor,
        "--json",
        "--rm",
        "--no-cache-server",
        "--no-skip-checkout",
    ]
    command += ["--container-daemon-socket", "-", "--action-cache-path", str(cache), "--concurrent-jobs", "2"]
    for name, values in files.items():
        path = work / f"{name}.yaml"
        path.write_text(yaml.safe_dump(dict(values), allow_unicode=True), encoding="utf-8")
        command += [f"--{name}-file", str(path)]
    for name, place in replaced.items():
        command += ["--local-repository", f"{name}={place}"]
    for label in LABELS:
        command += ["-P", f"{label}=-self-hosted"]
    return command


def _check_out(repository: Path, commit: str, checkout: Path) -> None:
    """The commit's workflows and actions, which is all that act reads; jobs check out for themselves what they need."""
    for command in (
        ["git", "clone", "--quiet", "--shared", "--no-checkout", str(repository), str(checkout)],
        ["git", "-C", str(checkout), "sparse-checkout", "set", "--no-cone", "/.github/", "action.yml", "action.yaml"],
        ["git", "-C", str(checkout), "checkout", "--quiet", "--detach", commit],
    ):
        done = subprocess.run(command, env=git_environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise WorkflowInvalid(f"cannot check out {commit}: {done.stderr.strip()}")


def _watch(task: Task, recorder: Recorder, command: list[str], work: Path) -> int:
    environment = {
        "HOME": str(work / "home"),
        "PATH": search_path(task.tools),
        "LANG": "C.UTF-8",
        MARK: str(task.run.attempt_folder),
    }
    if instance := task.environment.get("FRAUDOPS_LOCAL_INSTANCE"):
        environment["FRAUDOPS_LOCAL_INSTANCE"] = instance
    process = subprocess.Popen(
        command,
        cwd=work,  # not the checkout: act reads .actrc from where it is started
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - it was asked for
    stream = process.stdout
    reader = threading.Thread(target=_follow, args=(stream, recorder), name="act-output")
    reader.start()
    limits = {job.id: job.timeout_minutes * 60 for job in task.workflow.jobs}
    try:
        asked = None
        while process.poll() is None:
            if asked is None and task.cancel.is_set():
                asked, recorder.cancelling = time.monotonic(), True
                process.send_signal(signal.SIGINT)
            if task.kill.is_set() or (asked is not None and time.monotonic() - asked > task.cleanup_seconds):
                recorder.cancelling = True
                break
            _end_overdue(task, recorder, limits)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _kill(_marked(task.run.attempt_folder))
        process.wait()
        reader.join()
        stream.close()
    return process.returncode


def _follow(stream: IO[bytes], recorder: Recorder) -> None:
    for line in stream:
        recorder.feed(line)


def _end_overdue(task: Task, recorder: Recorder, limits: Mapping[str, float]) -> None:
    now = time.monotonic()
    for job in list(task.run.jobs):
        begun = recorder.started.get(job.id)
        if begun is None or now - begun < limits[job.key]:
            continue
        if job.key in recorder.timed_out and now - begun < limits[job.key] + task.cleanup_seconds:
            continue
        processes = _marked(task.run.attempt_folder, job.key)
        if processes and job.key not in recorder.timed_out:  # between two steps there is none: look again
            recorder.timed_out.add(job.key)
            minutes = limits[job.key] / 60
            recorder.annotate(job, "failure", f"The job has exceeded the maximum execution time of {minutes:g}m0s")
        _kill(processes)


def _marked(folder: Path, job: str | None = None) -> list[psutil.Process]:
    """The processes that a run's steps started, or those of one of its jobs."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if environment.get(MARK) == str(folder) and job in (None, environment.get("GITHUB_JOB")):
                found.append(process)
    return found


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)
