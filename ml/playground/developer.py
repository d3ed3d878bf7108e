"""Simulates a developer on the GitHub emulator, for the demo and the year: pushes, merges, and waits for workflow runs.

It uses Git and GitHub's API only, as a developer's own tools do. It prints each workflow run as it starts and ends; a
run that fails is an error that names its log.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import config, console
from ml.errors import FraudopsError, GitError, Refused

if TYPE_CHECKING:
    from github.Repository import Repository as Remote
    from local_github.actions.run_records import Run

    from ml.playground.emulators import Emulators

RUN_SECONDS = 3 * 3_600  # longer than any job may take: then it is the job that says why
_POLL_SECONDS = 0.2
_SUCCESSFUL = ("success", "skipped")


class RunFailed(FraudopsError):
    """A workflow run failed or did not start."""


class Developer:
    """A repository on the GitHub emulator, and the clone at `root` that its developer works in.

    Args:
        root: the repository to start from; it is cloned, never changed.
        place: where the clone is put.
        name: the repository's name on the GitHub emulator.
    """

    def __init__(self, emulators: Emulators, *, root: Path, place: Path, name: str) -> None:
        from github import Auth, Github

        self._emulators = emulators
        # PyGithub pauses to spare github.com; the emulator needs no pauses.
        pauses: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
        self._hub = Github(base_url=emulators.github.api_url, auth=Auth.Token(emulators.token), **pauses)
        person = self._hub.get_user()
        self.login, self.name = person.login, name
        self.root = place
        self._clone(root)
        self._remote: Remote = person.create_repo(name)
        os.environ["GITHUB_REPOSITORY"] = self.full_name

    @property
    def full_name(self) -> str:
        """OWNER/NAME."""
        return f"{self.login}/{self.name}"

    # -- actions

    def publish(self, *, variables: Mapping[str, str]) -> None:
        """Sets the repository's variables and pushes main for the first time."""
        for name, value in variables.items():
            self._remote.create_variable(name, value)
        self._git("remote", "set-url", "origin", self._remote.clone_url)
        self._push()
        self._wait_for_runs(None)

    def bootstrap(self) -> None:
        """Creates both stacks and configures the repository: its roles and its variables."""
        from ml.commands.bootstrap import bootstrap

        bootstrap(self.root, repository=self.full_name, configure=True)

    def commit(self, path: Path, old: str, new: str, subject: str) -> str:
        """Replaces `old` by `new` in the file `path`, commits and pushes; returns the commit."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        if old not in text:
            raise GitError(f"{path}: must contain {old!r}, which the demo changes; commit a configuration that does")
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
        self._git("commit", "--quiet", "--message", subject, "--", str(path))
        self._push()
        return self._git("rev-parse", "HEAD")

    def propose(self, old: str, new: str, subject: str) -> int:
        """Changes model.yaml and waits for the pull request that train.yml opens; returns its number."""
        commit = self.commit(config.MODEL, old, new, subject)
        self._wait_for_runs("train.yml", commit)
        found = [pull for pull in self._remote.get_pulls(state="open") if pull.head.ref.startswith("approve/")]
        if len(found) != 1:
            raise RunFailed(f"one approval should be open after {commit[:12]} (got {len(found)}: {found})")
        pull = found[0]
        checks = self._remote.get_commit(pull.head.sha).get_combined_status()
        if checks.state != "success":
            raise RunFailed(f"pull request #{pull.number} should pass its checks ({checks.state}: {pull.html_url})")
        console.note(f"   pull request #{pull.number}: {pull.title}")
        return pull.number

    def merge(self, number: int) -> None:
        """Merges a pull request, waits for its deployment and updates the clone."""
        answer = self._remote.get_pull(number).merge(merge_method="merge")
        console.note(f"   #{number} merged by {self.login} as {answer.sha[:12]}")
        self._wait_for_runs("deploy.yml", answer.sha)
        self._git("pull", "--quiet", "--ff-only", "origin", "main")

    def open_rollback(self) -> int:
        """Opens a rollback pull request to the previous approval; returns its number."""
        from ml.commands.rollback import rollback

        rollback(self.root, propose=True)
        found = [pull for pull in self._remote.get_pulls(state="open") if pull.head.ref.startswith("rollback/")]
        if len(found) != 1:
            raise RunFailed(f"one rollback should be open (got {len(found)})")
        self._wait_for_runs(None)
        console.note(f"   pull request #{found[0].number}: {found[0].title}")
        return found[0].number

    # -- state

    def serving(self) -> config.ApprovalRecord:
        """The approval record that the serving pointer on main names."""
        approval = config.load_serving(self.root).approval
        if approval is None:
            raise RunFailed("the serving pointer on main names no approval although one was merged")
        return config.load_approval(self.root, approval)

    def evaluation(self, record: config.ApprovalRecord) -> dict[str, Any]:
        """The evaluation.json of an approval."""
        from ml.aws import registry, s3_objects

        document: dict[str, Any] = json.loads(
            s3_objects.read(registry.package(record.model_package_arn).evaluation_uri)
        )
        return document

    def commit_of(self, path: Path) -> str:
        """The commit that added `path`."""
        return self._git("log", "--diff-filter=A", "--format=%H", "--", str(path))

    def pull_requests(self) -> list[dict[str, Any]]:
        """Every pull request, oldest first."""
        pulls = self._remote.get_pulls(state="all", sort="created", direction="asc")
        return [
            {"number": pull.number, "title": pull.title, "state": "merged" if pull.merged_at else pull.state}
            for pull in pulls
        ]

    def runs(self) -> list[dict[str, Any]]:
        """Every workflow run, oldest first."""
        return [
            {"workflow": run.file, "event": run.event, "sha": run.sha, "conclusion": run.conclusion}
            for run in sorted(self._runs(), key=lambda run: run.number)
        ]

    # -- workflow runs

    def has_failed(self, run: Run) -> bool:
        """Whether a completed run counts as failed."""
        return run.conclusion not in _SUCCESSFUL

    def _runs(self) -> list[Run]:
        """The runs, without those that did nothing: ci-status.yml is skipped where no App posts the status."""
        return [run for run in self._emulators.actions.runs(self.full_name) if run.conclusion != "skipped"]

    def _wait_for_runs(self, needed: str | None, sha: str | None = None) -> None:
        """Waits until no run is active.

        Raises:
            RunFailed: a run failed, or none of the workflow `needed` started for `sha`.
        """
        with self._log_runs():
            try:
                self._emulators.actions.wait(RUN_SECONDS)
            except TimeoutError as error:
                raise RunFailed(f"{error} (logs: {self._emulators.folder})") from error
        for run in self._runs():
            if self.has_failed(run):
                raise RunFailed(_failure_reason(run))
        if needed and not [run for run in self._runs() if Path(run.file).name == needed and run.sha == sha]:
            raise RunFailed(f"{needed} should have started for {sha} and did not")

    @contextmanager
    def _log_runs(self) -> Iterator[None]:
        """Prints every run that starts or ends within the block."""
        seen: dict[int, str] = {}
        stop = threading.Event()
        for run in self._runs():
            seen[run.id] = str(run.conclusion) if run.conclusion else ""

        def print_changes() -> None:
            for run in sorted(self._runs(), key=lambda run: run.id):
                state = run.conclusion or ("running" if run.status == "in_progress" else "")
                if state and seen.get(run.id) != state:
                    seen[run.id] = state
                    console.note(f"   {Path(run.file).name} on {run.event} of {run.sha[:12]}: {_describe(run)}")

        def poll() -> None:
            while not stop.wait(_POLL_SECONDS):
                print_changes()

        watcher = threading.Thread(target=poll, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            print_changes()

    def _clone(self, root: Path) -> None:
        if _run(root, {}, "status", "--porcelain", "--untracked-files=no"):
            console.note("note: uncommitted changes are not part of this run")
        _run(root.parent, {}, "clone", "--quiet", "--no-hardlinks", str(root), str(self.root))
        self._git("checkout", "--quiet", "-B", "main", _run(root, {}, "rev-parse", "HEAD"))
        self._git("config", "user.name", self.login)
        self._git("config", "user.email", f"{self.login}@users.noreply.github.localhost")

    def _push(self) -> None:
        self._git("push", "--quiet", "origin", "HEAD:main")

    def _git(self, *arguments: str) -> str:
        basic = base64.b64encode(f"x-access-token:{self._emulators.token}".encode()).decode()
        key = f"http.{self._emulators.github.url}/.extraheader"
        # In the environment, so that the token is in no command line and no configuration file.
        header = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": key,
            "GIT_CONFIG_VALUE_0": f"Authorization: basic {basic}",
        }
        return _run(self.root, header, *arguments)


def check_repository(root: Path) -> None:
    """Refuses a repository that new emulators cannot start from.

    Raises:
        GitError: `root` is no Git repository, or a shallow clone.
        Refused: its serving pointer names an approval.
    """
    try:
        shallow = _run(root, {}, "rev-parse", "--is-shallow-repository") == "true"
    except GitError as error:
        raise GitError(
            f"{root} must be a Git repository of this project; clone it, do not unpack it ({error})"
        ) from error
    if shallow:
        raise GitError(
            f"{root} is a shallow clone, which cannot be pushed to a new repository; run: git fetch --unshallow"
        )
    approval = config.load_serving(root).approval
    if approval is not None:
        raise Refused(
            f"{config.SERVING} points at approval {approval}, whose model new emulators do not have; run this from "
            "a commit before the first approval: git worktree add PLACE COMMIT"
        )


@contextmanager
def isolated_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets these variables and removes all others of AWS, GitHub and fraudops for the length of the block."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("AWS_", "GITHUB_", "GH_", "FRAUDOPS_")) and name not in (
            "AWS_CA_BUNDLE",
            "FRAUDOPS_TRACEBACK",
        ):
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _describe(run: Run) -> str:
    if run.conclusion is None:
        return run.status.replace("_", " ")
    ran = [f"{job.name}" for job in run.jobs if job.conclusion == "success"]
    return f"{run.conclusion}{': ' + ', '.join(ran) if ran else ''}"


def _failure_reason(run: Run) -> str:
    for job in run.jobs:
        for step in job.steps:
            if step.conclusion == "failure":
                last = [line for line in step.log.strip().splitlines() if line.strip()][-3:]
                return f"{run.file} failed in {job.name}, step {step.name}: {' | '.join(last)} (log: {step.path})"
    return f"{run.file} ended {run.conclusion}: {run.message or 'no step has a message'} (logs: {run.folder})"


def _run(where: Path, variables: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=where, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GitError(f"git {arguments[0]} in {where} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()
