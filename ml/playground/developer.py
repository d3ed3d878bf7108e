"""What a person does at the local GitHub in the demo and the simulation: push, look, merge; and what comes of it.

It acts through Git and GitHub's API alone, as a person's own tools would, and it watches: each workflow run is told as
it starts and ends, and a run that does not end as it should is an error that says where its log is.
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

    from ml.playground.environment import LocalClouds

RUN_SECONDS = 3 * 3_600  # longer than any job may take: then it is the job that says why
_POLL_SECONDS = 0.2
_DONE = ("success", "skipped")


class RunFailed(FraudopsError):
    """A workflow's run did not end as the loop needs it to."""


class Forge:
    """A repository on the local GitHub, and the clone `root` that its person works in.

    Args:
        root: the repository to start from; it is cloned, never changed.
        place: where the clone is put.
        name: what the repository is called on the local GitHub.
    """

    def __init__(self, clouds: LocalClouds, *, root: Path, place: Path, name: str) -> None:
        from github import Auth, Github

        self._clouds = clouds
        # The pauses are manners towards github.com; this one is ours.
        manners: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
        self._hub = Github(base_url=clouds.github.api_url, auth=Auth.Token(clouds.token), **manners)
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

    # -- what the person does

    def publish(self, *, variables: Mapping[str, str]) -> None:
        """Sets the repository's variables and pushes main for the first time."""
        for name, value in variables.items():
            self._remote.create_variable(name, value)
        self._git("remote", "set-url", "origin", self._remote.clone_url)
        self._push()
        self._settled(None)

    def bootstrap(self) -> None:
        """Makes both stacks, lets this repository's workflows in and tells them where everything is."""
        from ml.commands.bootstrap import bootstrap

        bootstrap(self.root, repository=self.full_name, configure=True)

    def commit(self, path: Path, old: str, new: str, subject: str) -> str:
        """Changes `old` to `new` in the file `path`, commits and pushes; the commit."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        if old not in text:
            raise GitError(f"{path}: must hold {old!r} for the demo to change; commit a configuration that does")
        file.write_text(text.replace(old, new, 1), encoding="utf-8")
        self._git("commit", "--quiet", "--message", subject, "--", str(path))
        self._push()
        return self._git("rev-parse", "HEAD")

    def propose(self, old: str, new: str, subject: str) -> int:
        """Changes model.yaml, and waits for the pull request that train.yml then opens; its number."""
        commit = self.commit(config.MODEL, old, new, subject)
        self._settled("train.yml", commit)
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
        """Merges a pull request, waits for the deployment that follows, and brings the clone up to date."""
        answer = self._remote.get_pull(number).merge(merge_method="merge")
        console.note(f"   #{number} merged by {self.login} as {answer.sha[:12]}")
        self._settled("deploy.yml", answer.sha)
        self._git("pull", "--quiet", "--ff-only", "origin", "main")

    def roll_back(self) -> int:
        """Proposes to go back to the approval that served before; the pull request's number."""
        from ml.commands.rollback import rollback

        rollback(self.root, propose=True)
        found = [pull for pull in self._remote.get_pulls(state="open") if pull.head.ref.startswith("rollback/")]
        if len(found) != 1:
            raise RunFailed(f"one rollback should be open (got {len(found)})")
        self._settled(None)
        console.note(f"   pull request #{found[0].number}: {found[0].title}")
        return found[0].number

    # -- what it then is

    def serving(self) -> config.ApprovalRecord:
        """The approval that main points at."""
        approval = config.load_serving(self.root).approval
        if approval is None:
            raise RunFailed("main points at no approval though one was merged")
        return config.load_approval(self.root, approval)

    def evaluation(self, record: config.ApprovalRecord) -> dict[str, Any]:
        """The evaluation.json behind an approval."""
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

    # -- how

    def failed(self, run: Run) -> bool:
        """Whether a run that is over did not end as the loop needs it to."""
        return run.conclusion not in _DONE

    def _runs(self) -> list[Run]:
        return self._clouds.actions.runs(self.full_name)

    def _settled(self, needed: str | None, sha: str | None = None) -> None:
        """Waits until no run is left; of `needed` there must be one for `sha`, and no run at all may have failed."""
        with self._told():
            try:
                self._clouds.actions.wait(RUN_SECONDS)
            except TimeoutError as error:
                raise RunFailed(f"{error} (logs: {self._clouds.folder})") from error
        for run in self._runs():
            if self.failed(run):
                raise RunFailed(_why(run))
        if needed and not [run for run in self._runs() if Path(run.file).name == needed and run.sha == sha]:
            raise RunFailed(f"{needed} should have run for {sha}; it did not start")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tells every run that starts or ends meanwhile."""
        seen: dict[int, str] = {}
        stop = threading.Event()
        for run in self._runs():
            seen[run.id] = str(run.conclusion) if run.conclusion else ""

        def look() -> None:
            for run in sorted(self._runs(), key=lambda run: run.id):
                state = run.conclusion or ("running" if run.status == "in_progress" else "")
                if state and seen.get(run.id) != state:
                    seen[run.id] = state
                    console.note(f"   {Path(run.file).name} on {run.event} of {run.sha[:12]}: {_state(run)}")

        def watch() -> None:
            while not stop.wait(_POLL_SECONDS):
                look()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            look()

    def _clone(self, root: Path) -> None:
        if _run(root, {}, "status", "--porcelain", "--untracked-files=no"):
            console.note("note: what is committed is run; your uncommitted changes are not in it")
        _run(root.parent, {}, "clone", "--quiet", "--no-hardlinks", str(root), str(self.root))
        self._git("checkout", "--quiet", "-B", "main", _run(root, {}, "rev-parse", "HEAD"))
        self._git("config", "user.name", self.login)
        self._git("config", "user.email", f"{self.login}@users.noreply.github.localhost")

    def _push(self) -> None:
        self._git("push", "--quiet", "origin", "HEAD:main")

    def _git(self, *arguments: str) -> str:
        basic = base64.b64encode(f"x-access-token:{self._clouds.token}".encode()).decode()
        key = f"http.{self._clouds.github.url}/.extraheader"
        # By environment, so that the token stands in no command line and no configuration file.
        header = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": key,
            "GIT_CONFIG_VALUE_0": f"Authorization: basic {basic}",
        }
        return _run(self.root, header, *arguments)


def suited(root: Path) -> None:
    """Refuses a repository that cannot be pushed to a new GitHub, or whose state no new cloud can have.

    Raises:
        GitError: `root` is no repository, or has not all of its history.
        Refused: a model serves by what it says.
    """
    try:
        shallow = _run(root, {}, "rev-parse", "--is-shallow-repository") == "true"
    except GitError as error:
        raise GitError(
            f"{root} must be a Git repository of this project; clone it, do not unpack it ({error})"
        ) from error
    if shallow:
        raise GitError(f"{root} is a shallow clone, which no new repository takes; run: git fetch --unshallow")
    approval = config.load_serving(root).approval
    if approval is not None:
        raise Refused(
            f"{config.SERVING} points at approval {approval}, whose model no new cloud has; run this from a commit "
            "before the first approval: git worktree add PLACE COMMIT"
        )


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables and no other word about AWS or GitHub, for as long as this talks to its own clouds."""
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


def _state(run: Run) -> str:
    if run.conclusion is None:
        return run.status.replace("_", " ")
    ran = [f"{job.name}" for job in run.jobs if job.conclusion == "success"]
    return f"{run.conclusion}{': ' + ', '.join(ran) if ran else ''}"


def _why(run: Run) -> str:
    for job in run.jobs:
        for step in job.steps:
            if step.conclusion == "failure":
                last = [line for line in step.log.strip().splitlines() if line.strip()][-3:]
                return f"{run.file} failed in {job.name}, step {step.name}: {' | '.join(last)} (log: {step.path})"
    return f"{run.file} ended {run.conclusion}: {run.message or 'no step says why'} (logs: {run.folder})"


def _run(where: Path, variables: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=where, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GitError(f"git {arguments[0]} in {where} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()
