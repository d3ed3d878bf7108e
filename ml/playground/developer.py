"""Simulates a developer on the GitHub emulator, for the demo and the year: proposes, merges, and waits for runs.

It uses Git and GitHub's API only, as a developer's own tools do. Once the repository is set up it pushes nothing to
main, and merges only what the scripted reviewer has approved.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import config, console
from ml.errors import GitError
from ml.playground import repository_setup, template_state
from ml.playground.scripted_reviewer import LOGIN, ScriptedReviewer
from ml.playground.workflow_watch import DEPLOYMENT, TRAINING, RunFailed, WorkflowWatch

if TYPE_CHECKING:
    from github.PullRequest import PullRequest
    from github.Repository import Repository as Remote

    from ml.playground.emulators import Emulators

APPROVALS, ROLLBACKS = "approve/", "rollback/"


class Developer:
    """A repository on the GitHub emulator, and the clone at `root` that its developer works in.

    Args:
        root: the repository to start from; it is cloned, never changed. The clone starts from the shipped state
            (`template_state`), whatever state the repository has.
        place: where the clone is put.
        name: the repository's name on the GitHub emulator.
        gate_may_fail: whether a training whose model fails the gate is no failure of a run.
        data: values of data.yaml, by key, that differ from the shipped ones.
    """

    def __init__(
        self,
        emulators: Emulators,
        *,
        root: Path,
        place: Path,
        name: str,
        gate_may_fail: bool = False,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        from github import Auth, Github

        self._emulators = emulators
        # PyGithub pauses to spare github.com; the emulator needs no pauses.
        pauses: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
        self._hub = Github(base_url=emulators.github.api_url, auth=Auth.Token(emulators.token), **pauses)
        person = self._hub.get_user()
        self.login, self.name = person.login, name
        self.root = place
        self._clone(root, data or {})
        self._remote: Remote = person.create_repo(name, private=True)
        self._reviewer = ScriptedReviewer(emulators.github, self.full_name)
        self._watch = WorkflowWatch(
            emulators, self.full_name, review=self._reviewer.review_deployments, gate_may_fail=gate_may_fail
        )
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
        self.push("main")
        self._watch.wait()

    def bootstrap(self) -> None:
        """Creates both stacks and makes the repository's settings; from then on main needs a second person."""
        repository_setup.set_up(self._emulators, self._remote, self.root, push_code_owners=self._push_code_owners)

    def _push_code_owners(self, file: Path) -> None:
        self.commit(file, (self.root / file).read_text("utf-8"), "Name code owners")
        self.push("main")
        self._watch.wait()

    def commit(self, path: str | Path, content: str, subject: str) -> None:
        """Writes a file of the clone and commits it on the branch that is checked out."""
        (self.root / path).write_text(content, encoding="utf-8")
        self._git("add", "--", str(path))
        self._git("commit", "--quiet", "--message", subject, "--", str(path))

    def push(self, branch: str) -> None:
        """Pushes what is checked out to a branch on GitHub. GitError if its rules refuse that."""
        self._git("push", "--quiet", "origin", f"HEAD:{branch}")

    def change(self, path: Path, values: Mapping[str, Any], subject: str) -> str:
        """Sets values of the settings file `path` by a pull request, and merges it; returns the merge's commit.

        Args:
            values: by key, as `config.set_values` takes them.
        """
        text = config.set_values((self.root / path).read_text(encoding="utf-8"), path, values)
        branch = subject.lower().replace(" ", "-")
        self._git("switch", "--quiet", "--create", branch)
        self.commit(path, text, subject)
        self.push(branch)
        self._git("switch", "--quiet", "main")
        pull = self._remote.create_pull(base="main", head=branch, title=subject, body=subject)
        console.note(f"   pull request #{pull.number}: {pull.title}")
        self._watch.wait()
        return self.merge(pull.number, starts=TRAINING)

    def propose(self, values: Mapping[str, Any], subject: str) -> int:
        """Changes model.yaml and waits for the approval that train.yml proposes; returns its pull request's number."""
        merged = self.change(config.MODEL, values, subject)
        found = self.open_pulls(APPROVALS)
        if len(found) != 1:
            raise RunFailed(f"one approval should be open after {merged[:12]} (got {len(found)}: {found})")
        console.note(f"   pull request #{found[0]}: {self._remote.get_pull(found[0]).title}")
        return found[0]

    def open_pulls(self, prefix: str) -> list[int]:
        """The numbers of the open pull requests whose branch begins with `prefix`, oldest first."""
        pulls = self._remote.get_pulls(state="open", sort="created", direction="asc")
        return [pull.number for pull in pulls if pull.head.ref.startswith(prefix)]

    def merge(self, number: int, *, starts: str | None = DEPLOYMENT) -> str:
        """Has a pull request reviewed, merges it, waits for what it starts and updates the clone; returns the commit.

        Args:
            starts: the workflow that the merge must start; None if it starts none.

        Raises:
            RunFailed: the reviewer does not approve it, or a run failed.
        """
        objection = self._reviewer.review(number)
        if objection is not None:
            raise RunFailed(f"{LOGIN} does not approve #{number}: {objection}")
        return self._merge(number, starts=starts)

    def _merge(self, number: int, *, starts: str | None) -> str:
        answer = self._remote.get_pull(number).merge(merge_method="merge")
        console.note(f"   #{number} merged by {self.login} as {answer.sha[:12]}")
        self._watch.wait(starts, answer.sha)
        self._git("pull", "--quiet", "--ff-only", "origin", "main")
        return str(answer.sha)

    def open_rollback(self) -> int:
        """Opens a rollback pull request to the previous approval; returns its number."""
        from ml.commands.rollback import rollback

        rollback(self.root, propose=True)
        found = self.open_pulls(ROLLBACKS)
        if len(found) != 1:
            raise RunFailed(f"one rollback should be open (got {len(found)})")
        self._watch.wait()
        console.note(f"   pull request #{found[0]}: {self._remote.get_pull(found[0]).title}")
        return found[0]

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
            {
                "number": pull.number,
                "title": pull.title,
                "state": "merged" if pull.merged_at else pull.state,
                "approved_by": approvers(pull),
            }
            for pull in pulls
        ]

    def runs(self) -> list[dict[str, Any]]:
        """Every workflow run, oldest first."""
        return [
            {"workflow": run.file, "event": run.event, "sha": run.sha, "conclusion": run.conclusion}
            for run in self._watch.runs()
        ]

    def _clone(self, root: Path, data: Mapping[str, Any]) -> None:
        """Clones `root`, and commits its tree with the shipped state as the first commit of main.

        New emulators have none of the models that the repository's approvals name, and no user of its code owners.
        Without the repository's history no former approval is found there. "Use this template" starts like this.
        """
        if _run(root, {}, "status", "--porcelain", "--untracked-files=no"):
            console.note("note: uncommitted changes are not part of this run")
        commit = _run(root, {}, "rev-parse", "HEAD")
        _run(root.parent, {}, "clone", "--quiet", "--no-hardlinks", str(root), str(self.root))
        self._git("config", "user.name", self.login)
        self._git("config", "user.email", f"{self.login}@users.noreply.github.localhost")
        self._git("checkout", "--quiet", "--orphan", "start", commit)
        template_state.restore(self.root)
        names = self.root / config.DATA
        names.write_text(config.set_values(names.read_text("utf-8"), config.DATA, data), encoding="utf-8")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", f"Start from {commit[:12]} with the shipped state")
        self._git("branch", "--move", "--force", "main")

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


def approvers(pull: PullRequest) -> list[str]:
    """The logins of those whose review approves a pull request."""
    return sorted({review.user.login for review in pull.get_reviews() if review.state == "APPROVED"})


def check_repository(root: Path) -> None:
    """Refuses a folder that cannot be pushed to new emulators.

    Raises:
        GitError: `root` is no Git repository, or a shallow clone.
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


def _run(where: Path, variables: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=where, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise GitError(f"git {arguments[0]} in {where} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()
