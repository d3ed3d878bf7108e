"""Fixtures: a running emulator and real clients: git in a clone, gh, PyGithub."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from github import Auth, Github
from github.Repository import Repository
from local_github.domain.events import Event
from local_github.server import LocalGitHub

GH = Path(sys.executable).with_name("gh")

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@dataclass
class Clone:
    """A clone; `url` contains a token."""

    root: Path
    url: str
    environment: Mapping[str, str] = field(default_factory=dict)

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs git in the clone."""
        fixed = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull}
        person = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in {"NAME": "Ada", "EMAIL": "ada@example.invalid"}.items()
        }
        environment = {**os.environ, **fixed, **person, **self.environment}
        process = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, text=True, capture_output=True, check=False
        )
        assert not check or process.returncode == 0, process.stderr
        return process

    def commit(self, files: Mapping[str, str | None], message: str = "Change") -> str:
        """Writes files (None deletes), commits them and returns the SHA."""
        for name, text in files.items():
            path = self.root / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def push(self, *refspecs: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Pushes to the emulator."""
        return self.git("push", "--quiet", self.url, *refspecs, check=check)


@dataclass
class Emulator:
    """An emulator with the repository acme/fraud and its events."""

    github: LocalGitHub
    events: list[Event]
    folder: Path

    def token(self, login: str = "alice", **options: Any) -> str:
        """A token for a user or an App."""
        return self.github.token(login, **options)

    def workflow_token(self, **permissions: Any) -> str:
        """A workflow token for acme/fraud with these permissions (pull_requests for pull-requests)."""
        return self.github.token("github-actions[bot]", permissions=permissions, repository="acme/fraud")

    def url(self, token: str | None, repository: str = "acme/fraud") -> str:
        """The clone address."""
        credentials = f"x-access-token:{token}@" if token else ""
        return self.github.url.replace("://", f"://{credentials}") + f"/{repository}.git"

    def api(self, token: str | None = None, repository: str = "acme/fraud") -> Repository:
        """The repository through PyGithub."""
        auth = Auth.Token(token or self.token())
        client = Github(base_url=self.github.api_url, auth=auth, retry=None, seconds_between_requests=0,
                        seconds_between_writes=0)  # fmt: skip
        return client.get_repo(repository)

    def named(self, name: str) -> list[Event]:
        """The events with that name, in order."""
        return [event for event in self.events if event.name == name]


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    """A running emulator with an empty repository acme/fraud."""
    events: list[Event] = []
    with LocalGitHub(tmp_path / "github", on_event=events.append) as github:
        github.create_repository("acme/fraud")
        yield Emulator(github, events, tmp_path)


@pytest.fixture
def clone(emulator: Emulator) -> Clone:
    """A clone of acme/fraud whose first commit is pushed to main by alice."""
    new_clone = Clone(emulator.folder / "clone", emulator.url(emulator.token()))
    new_clone.root.mkdir()
    new_clone.git("init", "--quiet", "--initial-branch=main")
    new_clone.commit({"README.md": "# Fraud\n", "model-config/gate.yaml": "min_recall: 0.6\n"}, "First")
    new_clone.push("main")
    emulator.events.clear()
    return new_clone


@pytest.fixture
def branch(clone: Clone) -> Callable[..., str]:
    """Pushes a branch from main with one commit and returns its SHA."""

    def make(name: str, files: Mapping[str, str | None] | None = None, message: str = "Change") -> str:
        clone.git("checkout", "--quiet", "-B", name, "main")
        sha = clone.commit(files or {f"{name.replace('/', '-')}.txt": "text\n"}, message)
        clone.push(f"+{name}")
        clone.git("checkout", "--quiet", "main")
        return sha

    return make


@pytest.fixture
def gh(emulator: Emulator, clone: Clone) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the real gh in the clone, with the emulator as http_proxy."""
    clone.git("remote", "add", "origin", "http://github.localhost/acme/fraud.git")
    clone.git("config", "http.proxy", emulator.github.url)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(emulator.folder),
        "GH_CONFIG_DIR": str(emulator.folder / "gh"),
        "GH_HOST": "github.localhost",
        "GH_TOKEN": emulator.token(),
        "GH_NO_UPDATE_NOTIFIER": "1",
        "GH_PROMPT_DISABLED": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "NO_COLOR": "1",
        "http_proxy": emulator.github.url,
    }

    def run(*arguments: str, check: bool = True, token: str | None = None) -> subprocess.CompletedProcess[str]:
        chosen = environment | ({"GH_TOKEN": token} if token else {})
        process = subprocess.run(
            [GH, *arguments], cwd=clone.root, env=chosen, text=True, capture_output=True, check=False, timeout=60
        )
        assert not check or process.returncode == 0, process.stderr
        return process

    return run
