"""Both emulators together: a job of GitHub assumes an AWS role with its OIDC token and no keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_github.actions.oidc_issuer import ISSUER
from local_github.actions.run_records import Run
from local_github.client_environment import for_gh

from ml.playground import daemon
from ml.playground.emulators import Emulators

HOST = ISSUER.removeprefix("https://")
WORKFLOW = """name: who
on: {push: {branches: ['**']}}
permissions: {}
jobs:
  become:
    runs-on: ubuntu-latest
    permissions: {id-token: write}
    steps:
      - env: {ROLE: "${{ vars.ROLE }}"}
        run: |
          ask="$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com"
          token=$(curl -sf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ask" | cut -d'"' -f6)
          curl -s "$AWS_ENDPOINT_URL" --data-urlencode "WebIdentityToken=$token" --data-urlencode "RoleArn=$ROLE" \\
            -d "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=run-$GITHUB_RUN_ID"
          env
"""


@pytest.fixture(scope="module")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    """Both emulators, with a role that trusts branch main of acme/model."""
    with Emulators(tmp_path_factory.mktemp("emulators")) as running:
        iam = running.aws.client("iam")
        iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["f" * 40])
        trust = {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRoleWithWebIdentity",
                    "Principal": {"Federated": f"arn:aws:iam::{running.aws.account}:oidc-provider/{HOST}"},
                    "Condition": {
                        "StringEquals": {
                            f"{HOST}:aud": "sts.amazonaws.com",
                            f"{HOST}:sub": "repo:acme/model:ref:refs/heads/main",
                        }
                    },
                }
            ]
        }
        role = iam.create_role(RoleName="train", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        repository = running.github.create_repository("acme/model")
        repository.variables["ROLE"] = role
        yield running


def push(emulators: Emulators, folder: Path, branch: str) -> Run:
    """Pushes the workflow to a branch; returns the run after it has ended."""
    target = f"{emulators.github.url}/acme/model.git".replace("://", f"://x-access-token:{emulators.token}@")
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    (folder / ".github" / "workflows").mkdir(parents=True)
    (folder / ".github" / "workflows" / "who.yml").write_text(WORKFLOW, "utf-8")
    for command in (
        ["init", "--quiet", "--initial-branch", branch],
        ["add", "--all"],
        ["commit", "--quiet", "--message", f"For {branch}"],
        ["push", "--quiet", target, branch],
    ):
        subprocess.run(["git", *command], cwd=folder, env={**os.environ, **who}, check=True, capture_output=True)
    emulators.actions.wait(30)
    return emulators.actions.runs()[0]


def test_job_on_the_trusted_branch_assumes_the_role(emulators: Emulators, tmp_path: Path) -> None:
    """Its environment has no keys but those of the role."""
    run = push(emulators, tmp_path, "main")
    assert run.conclusion == "success", run.log
    assert f"<Arn>arn:aws:sts::{emulators.aws.account}:assumed-role/train/run-{run.id}</Arn>" in run.log
    assert f"AWS_ENDPOINT_URL={emulators.aws.url}" in run.log
    assert "AWS_SECRET_ACCESS_KEY" not in run.log


@pytest.mark.denied_calls("the branch is not trusted")
def test_job_on_another_branch_is_denied(emulators: Emulators, tmp_path: Path) -> None:
    """The same workflow of the same repository cannot assume the role from another branch."""
    run = push(emulators, tmp_path, "side")
    assert "<Code>AccessDenied</Code>" in run.log
    assert "<SecretAccessKey>" not in run.log


def test_daemon_starts_scheduled_workflows(tmp_path: Path) -> None:
    """`fraudops local up` starts the scheduler of the GitHub emulator; in-process environments do not."""
    try:
        log = daemon.up(tmp_path).logs / "daemon.log"
        assert "scheduled workflows start after" in log.read_text("utf-8")
    finally:
        daemon.down(tmp_path)


def test_daemon_runs_both_emulators_and_prints_their_variables(tmp_path: Path) -> None:
    """Status has GitHub's address, env its API and a token; gh works as a function, and git with the token."""
    try:
        found = daemon.up(tmp_path)
        variables = daemon.environment(tmp_path)
        assert found.github == variables["GITHUB_SERVER_URL"]
        assert daemon.status(tmp_path) == found
        assert daemon.gh_environment(tmp_path) == for_gh(variables["GITHUB_SERVER_URL"], variables["GITHUB_TOKEN"])
        assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0
        script = daemon.exports(tmp_path) + "\n".join(
            [
                "",
                "set -e",
                "gh api user --jq .login",
                "gh api --method POST user/repos --field name=fraudops --field private=true --jq .full_name",
                'git ls-remote "$GITHUB_SERVER_URL/local-user/fraudops.git"',
            ]
        )
        gh = Path(sys.executable).parent
        shell = {"PATH": f"{gh}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
        done = subprocess.run(["bash", "-c", script], env=shell, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["local-user", "local-user/fraudops"]
    finally:
        daemon.down(tmp_path)
