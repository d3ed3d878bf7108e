"""This repository's code on both emulators, with the shipped state and the actions of a person; not a test itself.

It runs the unchanged files of .github/workflows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from github.PullRequest import PullRequest
from local_aws.server import REGION
from local_github.actions.run_records import Run

from ml import config
from ml.aws import platform_stack
from ml.aws.lake import Lake
from ml.commands.bootstrap import bootstrap
from ml.commands.data_import import import_data
from ml.playground.developer import isolated_environment
from ml.playground.emulators import Emulators
from ml.simulate import stand_in_data
from ml.simulate import table_files as files
from tests.harness.git import checkout, settings
from tests.harness.git.repositories import GitWorkspace
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.github.emulator import NAME, Hub
from tests.harness.platform.job_images import IMAGES
from tests.harness.platform.served import ServedPlatform

LEFT_OUT = ("tests/", "docs/")
"""What no job reads, with the suite left out."""
ROWS, FRAUDS, SEED = 12_000, 60, 3
"""Few rows, and frauds enough for the gate."""
RUN_SECONDS = 300.0
Fired = dict[str, Run]


@dataclass
class WorkflowEnvironment:
    """Both emulators, a clone of the repository, and the runs that the test has not read yet."""

    clouds: Emulators
    bot: BotEnvironment
    seen: set[tuple[int, int]] = field(default_factory=set)

    @property
    def workspace(self) -> GitWorkspace:
        """The clone."""
        return self.bot.workspace

    def push(self, files: Mapping[str | Path, str], subject: str) -> str:
        """Commits files on main and pushes them; returns the commit."""
        commit = self.workspace.write(dict(files), subject)
        self.bot.push()
        return commit

    def set_values(self, path: Path, values: Mapping[str, Any], subject: str) -> str:
        """Sets values of a settings file on main by key, commits and pushes it; returns the commit."""
        return self.push({path: config.set_values(self.workspace.text(path), path, values)}, subject)

    def propose(self, branch: str, files: Mapping[str | Path, str], title: str) -> PullRequest:
        """Opens a person's pull request with these files."""
        self.workspace.git("switch", "-q", "-c", branch, "main")
        self.workspace.write(dict(files), title)
        self.publish(branch)
        return self.bot.api.create_pull(base="main", head=branch, title=title, body="")

    def publish(self, branch: str) -> None:
        """Pushes a branch and checks out main."""
        self.workspace.git("-c", f"http.extraheader={self.header('alice')}", "push", "-q", "origin", branch)
        self.workspace.git("switch", "-q", "main")

    def header(self, login: str) -> str:
        """The HTTP header with a person's credentials for git."""
        import base64

        token = self.clouds.github.token(login)
        return f"Authorization: basic {base64.b64encode(f'x-access-token:{token}'.encode()).decode()}"

    def dispatch(self, file: str, **inputs: str) -> None:
        """Dispatches a workflow on main."""
        assert self.bot.api.get_workflow(file).create_dispatch("main", inputs)

    def switch(self, file: str, *, on: bool) -> None:
        """Disables or enables a workflow."""
        self.clouds.actions.set_enabled(self.bot.hub.name, f".github/workflows/{file}", enabled=on)

    def runs(self) -> list[Run]:
        """The runs since the last call, oldest first, once all have ended; without idle ones."""
        self.clouds.actions.wait(RUN_SECONDS)
        every = reversed(self.clouds.actions.runs(self.bot.hub.name))
        fresh = [run for run in every if (run.id, run.attempt) not in self.seen]
        self.seen.update((run.id, run.attempt) for run in fresh)
        return [run for run in fresh if not is_idle(run)]

    def fired(self) -> Fired:
        """The same by workflow; each may have run once."""
        found = self.runs()
        named = {Path(run.file).name: run for run in found}
        assert len(named) == len(found), [(run.file, run.event, run.sha) for run in found]
        return named

    def checks(self, commit: str) -> dict[str, str]:
        """The latest state of each status context of a commit."""
        statuses = self.bot.api.get_commit(commit).get_combined_status().statuses
        return {status.context: status.state for status in statuses}


def is_idle(run: Run) -> bool:
    """Whether this is ci-status.yml, skipped because there is no App that posts the status."""
    return run.file.endswith("/ci-status.yml") and set(run.results.values()) == {"skipped"}


def passed(run: Run) -> set[str]:
    """The jobs that succeeded; fails the test if a job neither succeeded nor was skipped."""
    assert set(run.results.values()) <= {"success", "skipped"}, run.log
    return {name for name, result in run.results.items() if result == "success"}


def failed(run: Run) -> set[str]:
    """The names of the failed jobs."""
    return {name for name, result in run.results.items() if result == "failure"}


@contextmanager
def started(
    folder: Path,
    *,
    name: str = NAME,
    region: str = REGION,
    stack: str | None = None,
    set_state: Callable[[Path], None] = lambda _: None,
) -> Iterator[WorkflowEnvironment]:
    """Both emulators, and the repository on GitHub with its first commit, which causes no event.

    Args:
        name: OWNER/NAME of the repository.
        region: the region of the AWS account.
        stack: the name of the platform's stack; the product's default if None.
        set_state: changes the state of the repository's first commit.
    """
    workspace = snapshot(folder / "clone", set_state=set_state)
    with Emulators(folder / "clouds", region=region, images=IMAGES, variables={"FRAUDOPS_SUITE": "skip"}) as clouds:
        served = ServedPlatform(workspace=workspace, cloud=clouds.aws)
        chosen = {"FRAUDOPS_STACK": stack} if stack else {}
        with isolated_environment({**clouds.environment(), "GITHUB_REPOSITORY": name, **chosen}):
            hub = Hub.around(clouds.github, workspace, name)
            yield WorkflowEnvironment(clouds=clouds, bot=BotEnvironment(env=served, hub=hub, folder=folder))


def snapshot(root: Path, *, set_state: Callable[[Path], None] = lambda _: None) -> GitWorkspace:
    """One commit of this tree's tracked files with the shipped state, set to train on few rows and settle at once.

    `set_state` may change the state before the commit.
    """
    checkout.copy_tracked(root, leave_out=LEFT_OUT)
    checkout.set_values(root, config.SERVING, settings.AT_ONCE)
    checkout.set_values(root, config.MODEL, settings.FEW_ROWS)
    set_state(root)
    return GitWorkspace.begin(root)


def equip(env: WorkflowEnvironment, *settings_given: str) -> None:
    """Creates the platform, with these settings, and the workflows' roles, and sets the repository's variables."""
    bootstrap(env.bot.root, repository=env.bot.hub.name, configure=True, settings_given=settings_given)


def fill(env: WorkflowEnvironment, change: Callable[[pa.Table], pa.Table] = lambda table: table) -> None:
    """Imports transactions into the lake: those of the stand-in, as `change` makes them."""
    file, table = env.bot.folder / "transactions.parquet", stand_in_data.draw(ROWS, frauds=FRAUDS, seed=SEED)
    files.write(file, change(table))
    columns = config.load_settings(env.bot.root).training.columns
    import_data(str(file), lake=Lake(platform_stack.read().bucket), columns=columns, start=None, quarantine=False)
