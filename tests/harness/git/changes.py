"""A repository with the shipped model-config/, and GitHub's events for its changes; not a test itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.gitops.repository import BOT, Repository
from ml.playground import template_state
from tests.harness.git.repositories import GitWorkspace, record

REPOSITORY = "acme/fraud"
BOT_LOGIN = "github-actions[bot]"


@dataclass
class ChangedRepository:
    """The repository with a person's changes, as checked out by ci.yml."""

    workspace: GitWorkspace
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    outputs: Path = field(init=False)
    summary: Path = field(init=False)

    def __post_init__(self) -> None:
        self.outputs, self.summary = self.folder / "output", self.folder / "summary"
        for name, value in {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_OUTPUT": str(self.outputs),
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }.items():
            self.monkeypatch.setenv(name, value)

    @property
    def root(self) -> Path:
        """The working tree."""
        return self.workspace.root

    @property
    def repository(self) -> Repository:
        """The product's object for the repository."""
        return self.workspace.repository

    def record(self, number: int, **changes: Any) -> config.ApprovalRecord:
        """An approval that is consistent with this repository: its commit and settings are those of main."""
        fields = {
            "commit": self.workspace.git("rev-parse", "main"),
            "config_sha256": config.load_settings(self.root).sha256,
            "requests": (),
        }
        return record(number, **(fields | changes))

    def propose(self, approved: config.ApprovalRecord, *, branch: str | None = None) -> str:
        """Checks out the bot's branch of two commits, record and pointer; returns its tip."""
        from ml.gitops import serving_pointer

        repository, main = self.repository, self.workspace.git("rev-parse", "main")
        path = config.approval_path(approved.approval)
        first = repository.commit(main, {path: config.dump(approved).encode()}, "Record")
        file = serving_pointer.of_approvals(repository, main)
        text = serving_pointer.set_approval(serving_pointer.read_text(repository, main, file), approved.approval, file)
        tip = repository.commit(first, {file: text.encode()}, "Serve")
        self.workspace.git("switch", "-q", "-C", branch or f"approve/{approved.approval:04d}", tip)
        return tip

    def merge(self, branch: str) -> str:
        """Merges `branch` into main and checks it out."""
        self.workspace.git("switch", "-q", "main")
        self.workspace.git("merge", "-q", "--no-ff", "-m", f"Merge {branch}", branch)
        return self.workspace.git("rev-parse", "HEAD")

    def branch(self, name: str, files: dict[str | Path, str | None], *, author: str | None = None) -> str:
        """Checks out a branch of one commit on main in which a person (or `author`) writes or deletes files."""
        self.workspace.git("switch", "-q", "-C", name, "main")
        for path, text in files.items():
            file = self.root / path
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
        self.workspace.git("add", "-A")
        signed = ["--author", f"{author} <{BOT.email}>"] if author else []
        self.workspace.git("commit", "-q", "-m", "Change", *signed)
        return self.workspace.git("rev-parse", "HEAD")

    def event(self, name: str, payload: dict[str, Any], *, ref_name: str = "main", sha: str = "") -> None:
        """Sets the event of the workflow run."""
        file = self.folder / "event.json"
        file.write_text(json.dumps(payload))
        for key, value in {"NAME": name, "PATH": str(file)}.items():
            self.monkeypatch.setenv(f"GITHUB_EVENT_{key}", value)
        self.monkeypatch.setenv("GITHUB_REF_NAME", ref_name)
        self.monkeypatch.setenv("GITHUB_SHA", sha or self.workspace.git("rev-parse", "HEAD"))

    def pull_request(self, *, author: str = "person", fork: bool = False, **more: Any) -> None:
        """Makes the current branch a pull request: checks out GitHub's merge commit and sets the event."""
        head, main = (self.workspace.git("rev-parse", revision) for revision in ("HEAD", "main"))
        branch = self.workspace.git("rev-parse", "--abbrev-ref", "HEAD")
        self.workspace.git("switch", "-q", "--detach", "main")
        self.workspace.git("merge", "-q", "--no-ff", "-m", "Merge for a try", head)
        payload = {
            "action": "opened",
            "pull_request": {
                "number": 7,
                "user": {"login": author},
                "head": {"sha": head, "ref": branch, "repo": {"full_name": "someone/fork" if fork else REPOSITORY}},
                "base": {"sha": main, "ref": "main"},
            },
            "sender": {"login": author},
        }
        self.event("pull_request", payload | more)

    def merge_group(self, base: str) -> None:
        """Makes the current commit the head of a merge group that is stacked on `base`.

        The payload has the documented fields that describe the group
        (https://docs.github.com/en/webhooks/webhook-events-and-payloads#merge_group).
        """
        head = self.workspace.git("rev-parse", "HEAD")
        queued = f"gh-readonly-queue/main/pr-7-{base}"
        payload = {
            "action": "checks_requested",
            "merge_group": {
                "head_sha": head,
                "head_ref": f"refs/heads/{queued}",
                "base_sha": base,
                "base_ref": "refs/heads/main",
                "head_commit": {"id": head},
            },
            "sender": {"login": "github-merge-queue[bot]"},
        }
        self.event("merge_group", payload, ref_name=queued)

    def push(self, before: str, *, forced: bool = False) -> None:
        """Makes the current commit a push to main."""
        self.event("push", {"before": before, "after": self.workspace.git("rev-parse", "HEAD"), "forced": forced})


def make(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ChangedRepository:
    """A repository on main whose first commit has model-config/ and a README."""
    workspace = GitWorkspace.make(folder / "repository")
    template_state.write(workspace.root)
    for name in ("README.md", "model-config/README.md"):
        (workspace.root / name).write_text("# Fraud\n")
    for records in (config.APPROVALS, config.REQUESTS, config.GATE_FAILURES):
        (workspace.root / records).mkdir()
        (workspace.root / records / ".gitkeep").touch()
    workspace.git("add", "-A")
    workspace.git("commit", "-q", "-m", "State")
    return ChangedRepository(workspace=workspace, folder=folder, monkeypatch=monkeypatch)
