"""A repository on a local GitHub that runs its workflows: what a person with a clone and a token can do."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local_github.actions.run_records import Run
from local_github.actions.service import Actions
from local_github.server import LocalGitHub

REPOSITORY = "acme/model"
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"


class World:
    """One person's clone of acme/model, and what runs for it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.github = LocalGitHub(folder / "github").start()
        self.actions = Actions(folder / "actions", self.github, **options)
        self.github.create_repository(REPOSITORY)
        self.token = self.github.token("alice")
        self.clone = folder / "clone"
        self.git("init", "--quiet", "--initial-branch=main", str(self.clone), at=folder)
        self.git("remote", "add", "origin", f"{self.github.url}/{REPOSITORY}.git")

    def close(self) -> None:
        """Ends all of it."""
        self.actions.close()
        self.github.stop()

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """What a git command says."""
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _ALICE.items()}
        login = "AUTHORIZATION: bearer " + self.token
        done = subprocess.run(
            ["git", "-c", f"http.extraHeader={login}", *arguments],
            cwd=at or self.clone,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1", **who},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, files: Mapping[str, str]) -> None:
        """Writes files of the clone."""
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def push(self, files: Mapping[str, str], message: str = "Change", *, branch: str = "main") -> str:
        """Commits files and pushes them to a branch; gives the commit."""
        self.write(files)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        self.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
        return self.git("rev-parse", "HEAD")

    def workflow(self, text: str, *, name: str = "x.yml", message: str = "Add it [skip ci]") -> str:
        """Pushes a workflow file, by default without starting it."""
        return self.push({f".github/workflows/{name}": text}, message)

    def settle(self, seconds: float = 30) -> list[Run]:
        """The runs, newest first, once all have ended."""
        self.actions.wait(seconds)
        return self.actions.runs()

    def last(self, seconds: float = 30) -> Run:
        """The newest run, once all have ended."""
        return self.settle(seconds)[0]

    def api(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """What the API answers: (status, JSON or bytes)."""
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

    def open_pull(self, branch: str, title: str = "Change it") -> dict[str, Any]:
        """Opens a pull request of a pushed branch into main."""
        status, pull = self.api(
            "POST", f"/repos/{REPOSITORY}/pulls", {"title": title, "head": branch, "base": "main", "body": ""}
        )
        assert status == 201, pull
        return dict(pull)


_ALICE = {"NAME": "alice", "EMAIL": "alice@example.com"}
