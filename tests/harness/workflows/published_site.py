"""The files of the site in the artifact that pages.yml kept for GitHub Pages, and what its job did in the account."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

from tests.harness.workflows.environment import WorkflowEnvironment


def files(env: WorkflowEnvironment) -> dict[str, bytes]:
    """The content of each file by its path; the environment has kept one artifact of that name."""
    (found,) = (env.bot.folder / "clouds").rglob("artifacts/github-pages/artifact.tar")
    with tarfile.open(found) as packed:
        members = [(member, packed.extractfile(member)) for member in packed.getmembers()]
        return {Path(member.name).as_posix(): file.read() for member, file in members if file is not None}


def actions(env: WorkflowEnvironment) -> set[str]:
    """The actions of AWS that the job which builds the site with the account was allowed."""
    assert env.clouds.aws.flush()
    log = env.clouds.aws.folder / "logs/decisions.jsonl"
    lines = map(json.loads, log.read_text("utf-8").splitlines())
    own = [line for line in lines if "/fraudops-build-account-" in line["principal"]]
    assert [(line["action"], line["resource"]) for line in own if line["decision"] != "allowed"] == []
    return {line["action"] for line in own}
