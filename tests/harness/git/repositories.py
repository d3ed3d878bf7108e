"""Real Git repositories and approvals for tests; not a test itself."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml import config
from ml.gitops.repository import Identity, Repository

PERSON = Identity("A Person", "person@example.invalid")
SERVING = """\
# What serves. `approval` is moved by the second commit of an approval; people set the rest.
approval: null   # nothing yet
endpoint: fraudops-production
instance: {type: ml.m5.large, count: 1}
capture: {sampling_percentage: 100}
rollout: {termination_wait_seconds: 0, timeout_minutes: 1}
"""


@dataclass
class GitWorkspace:
    """A repository with the git commands of a person."""

    root: Path
    repository: Repository

    @classmethod
    def make(cls, root: Path, serving: str = SERVING) -> GitWorkspace:
        """A new repository whose first commit has serving/production.yaml."""
        root.mkdir(parents=True)
        (root / config.SERVING).parent.mkdir(parents=True)
        (root / config.SERVING).write_text(serving)
        return cls.begin(root)

    @classmethod
    def begin(cls, root: Path) -> GitWorkspace:
        """A new repository in the folder `root`, whose first commit has all its files."""
        made = cls(root=root, repository=Repository(root))
        made.git("init", "-q", "-b", "main")
        made.write({}, "Begin")
        return made

    def git(self, *arguments: str) -> str:
        """The output of `git ARGUMENTS`, run as the person."""
        signed = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", PERSON.name), ("EMAIL", PERSON.email))
        }
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True, env={**os.environ, **signed}
        )
        return done.stdout.strip()

    def write(self, files: dict[str | Path, str], message: str) -> str:
        """Writes files and commits them as the person."""
        for path, text in files.items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def changed(self, before: str, after: str) -> list[str]:
        """The paths that differ between two commits."""
        return self.git("diff", "--name-only", before, after).splitlines()

    def text(self, path: str | Path) -> str:
        """The file in the working tree."""
        return (self.root / path).read_text()


def record(number: int, **changes: Any) -> config.ApprovalRecord:
    """An approval with this number and its own artifact."""
    fields: dict[str, Any] = {
        "approval": number,
        "kind": "fit",
        "model_package_arn": f"arn:aws:sagemaker:us-east-1:123456789012:model-package/fraudops-model/{number}",
        "artifact": config.Artifact(uri=f"s3://lake/executions/{number}/model.tar.gz", sha256=f"{number:064x}"),
        "container": config.Container(image="image:1.9-0", environment={"SAGEMAKER_PROGRAM": "inference.py"}),
        "commit": "b" * 40,
        "config_sha256": "c" * 64,
        "data": config.TrainingData(
            sha256="d" * 64,
            window=config.Window(start=None, end=datetime(2026, 3, 1, tzinfo=UTC)),
            rows=1000,
            frauds=20,
        ),
        "requests": ("20260301T060000Z-data-drift",),
        "execution_arn": "arn:aws:sagemaker:us-east-1:123456789012:pipeline/fraudops-training/execution/x",
        "evaluation": config.Evaluation(uri=f"s3://lake/executions/{number}/evaluation.json", sha256="e" * 64),
        "metrics": {"recall": config.Interval(value=0.9, low=0.8, high=0.95, count=9, of=10)},
        "threshold": 0.25,
        "verdict": config.Verdict(status="passed", reason="Recall 0.90 > 0.60 on 20 frauds."),
        "champion": None,
        "created": datetime(2026, 3, 1, 6, tzinfo=UTC),
    }
    return config.ApprovalRecord(**(fields | changes))
