"""An emulator with Actions, one repository and a clone of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
from local_github.actions.act_runner import RUN_VARIABLE
from local_github.actions.run_records import Run
from local_github.actions.service import Actions
from local_github.clock import Clock, system_clock
from local_github.server import LocalGitHub

REPOSITORY = "acme/model"
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"


class ActionsEmulator:
    """An emulator with the repository acme/model, the user alice's clone and token."""

    def __init__(self, folder: Path, *, clock: Clock = system_clock, **options: Any) -> None:
        self.folder = folder
        self.github = LocalGitHub(folder / "github", clock=clock).start()
        self.actions = Actions(folder / "actions", self.github.backend, **options)
        self.github.attach(self.actions)
        self.github.create_repository(REPOSITORY)
        self.token = self.github.token("alice")
        self.clone = folder / "clone"
        self.git("init", "--quiet", "--initial-branch=main", str(self.clone), at=folder)
        self.git("remote", "add", "origin", f"{self.github.url}/{REPOSITORY}.git")

    def close(self) -> None:
        """Stops the emulator."""
        self.actions.close()
        self.github.stop()

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Runs git in the clone and returns its output."""
        author = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _ALICE.items()}
        header = "AUTHORIZATION: bearer " + self.token
        process = subprocess.run(
            ["git", "-c", f"http.extraHeader={header}", *arguments],
            cwd=at or self.clone,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1", **author},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Writes files into the clone."""
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def push(self, files: Mapping[str, str], message: str = "Change", *, branch: str = "main") -> str:
        """Commits files, pushes them to a branch and returns the commit."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        self.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def workflow(self, text: str, *, name: str = "x.yml", message: str = "Add it [skip ci]") -> str:
        """Pushes a workflow file; the default message starts no run."""
        return self.push({f".github/workflows/{name}": text}, message)

    def dispatch(self, **inputs: str) -> Run:
        """Starts x.yml on main manually."""
        return self.actions.dispatch(REPOSITORY, "x.yml", "main", inputs, actor="alice")

    def finished_runs(self, seconds: float = 30) -> list[Run]:
        """Waits until all runs have ended and returns them, newest first."""
        self.actions.wait(seconds)
        return self.actions.runs()

    def last_run(self, seconds: float = 30) -> Run:
        """Waits until all runs have ended and returns the newest."""
        return self.finished_runs(seconds)[0]

    def api(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """Calls the API; returns (status, JSON or bytes)."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.github.api_url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310
                status, data, kind = response.status, response.read(), response.headers.get("Content-Type", "")
        except urllib.error.HTTPError as error:
            with error:
                status, data, kind = error.code, error.read(), "json"
        return status, json.loads(data) if "json" in kind and data else data

    def open_pull_request(self, branch: str, title: str = "Change it") -> dict[str, Any]:
        """Opens a pull request from a pushed branch into main."""
        status, pull = self.api(
            "POST", f"/repos/{REPOSITORY}/pulls", {"title": title, "head": branch, "base": "main", "body": ""}
        )
        assert status == 201, pull
        return dict(pull)


_ALICE = {"NAME": "alice", "EMAIL": "alice@example.com"}


def one_job(run: str, *, on: str = "workflow_dispatch", top: str = "", job: str = "") -> str:
    """A workflow with one job of one step."""
    body = "\n".join(f"          {line}" for line in run.splitlines())
    return f"""name: x
on: {on}
{top}
jobs:
  one:
    runs-on: ubuntu-latest
{job}
    steps:
      - name: do
        run: |
{body}
"""


def wait_until(check: Callable[[], Any], attempts: int = 3000, pause_seconds: float = 0.02) -> Any:
    """Calls `check` until its result is true and returns it; AssertionError after `attempts` calls.

    The conditions are states of other processes and threads that send no event to the test (files, process tables,
    answers of an API), so they are polled. The limit counts calls: load on the machine makes each of them slower and
    does not use them up. pytest's timeout ends a test whose condition never returns.
    """
    for _ in range(attempts):
        if result := check():
            return result
        time.sleep(pause_seconds)
    raise AssertionError(f"not true after {attempts} attempts: {check}")


def running_processes(run: Run) -> list[psutil.Process]:
    """The processes of a run that have not ended."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN_VARIABLE, "").startswith(str(run.folder)):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
