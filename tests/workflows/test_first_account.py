"""docs/first-account.md on both emulators: each command of fraudops, gh and git, in order, and what the page quotes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from github import Auth, Github
from local_github.client_environment import for_gh, for_git

from ml import config
from ml.aws import platform_stack
from ml.aws.cloudformation import workflow_roles
from ml.playground.developer import isolated_environment
from ml.playground.emulators import Emulators
from ml.simulate import stand_in_data, table_files
from tests.harness.platform.account import QUOTAS
from tests.harness.platform.job_images import IMAGES
from tests.harness.workflows.environment import FRAUDS, ROWS, RUN_SECONDS, SEED, snapshot

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/first-account.md"
OWNER, REVIEWER = "local-user", "bob"
REPOSITORY = f"{OWNER}/fraudops"
STATUS_APP, BOT_APP = "Iv1.status", "Iv1.bot"
SKIPPED = ("aws ",)
"""There is no AWS command here; tests/test_docs.py checks those lines against the service models."""


@dataclass
class Step:
    """A section of the page: its commands, and the lines that it quotes."""

    title: str
    commands: list[str] = field(default_factory=list)
    quoted: list[str] = field(default_factory=list)


def steps() -> dict[int, Step]:
    """The sections by their number."""
    found = {}
    for section in PAGE.read_text("utf-8").split("\n## ")[1:]:
        number, _, title = section.partition("\n")[0].partition(". ")
        step = Step(title=title)
        for kind, block in re.findall(r"^```(console|text)\n(.*?)^```", section, re.M | re.S):
            (step.commands if kind == "console" else step.quoted).extend(block.splitlines())
        found[int(number)] = step
    return found


@dataclass
class Account:
    """The clone, the emulators and the words that replace what the page has in capitals."""

    emulators: Emulators
    clone: Path
    words: dict[str, str]

    def fill(self, line: str) -> str:
        """A line of the page with this account's words."""
        for word, value in self.words.items():
            line = value.join(re.split(rf"(?<![A-Z_]){re.escape(word)}(?![A-Z_])", line))
        return line

    def run(self, line: str, *, expected: int = 0) -> str:
        """Runs a command of the page in the clone; returns what it prints."""
        github, token = self.emulators.github, self.emulators.token
        if line.startswith("gh "):
            login = REVIEWER if line.startswith("gh pr review") else OWNER
            special = for_gh(github.url, github.token(login))
        else:
            special = for_git(github.url, token) if line.startswith("git ") else {}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        who = {f"GIT_{role}_{part}": "x@x.invalid" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        done = subprocess.run(
            ["bash", "-c", self.fill(line)],
            cwd=self.clone,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "400", **who, **special},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == expected, f"{line}: {done.stdout}\n{done.stderr}"
        return f"{done.stdout}\n{done.stderr}"

    def detect_no_drift(self) -> None:
        """What the page's AWS commands do in an account whose stacks nobody has changed."""
        for name in (platform_stack.stack_name(), workflow_roles.stack_name()):
            body = json.dumps({"stack": name, "status": "IN_SYNC"}).encode()
            urllib.request.urlopen(f"{self.emulators.aws.url}/local-aws/stack-drift", body).close()  # noqa: S310 - loopback

    def _approve_deployment(self) -> None:
        """Presses the button that the page names, as the reviewer."""
        auth = Auth.Token(self.emulators.github.token(REVIEWER))
        repository = Github(base_url=self.emulators.github.api_url, auth=auth, retry=None).get_repo(REPOSITORY)
        (run,) = repository.get_workflow_runs(status="waiting")
        _, (pending,) = repository.requester.requestJsonAndCheck("GET", f"{run.url}/pending_deployments")
        assert (Path(run.path).name, pending["environment"]["name"]) == ("deploy.yml", "production")
        body = {"environment_ids": [pending["environment"]["id"]], "state": "approved", "comment": ""}
        repository.requester.requestJsonAndCheck("POST", f"{run.url}/pending_deployments", input=body)
        self.emulators.actions.wait(RUN_SECONDS)

    def step(self, number: int, *, failing: bool = False) -> str:
        """Runs a section's commands, and checks that they print what it quotes; `failing` expects doctor to fail."""
        step, printed = steps()[number], []
        for line in step.commands:
            if line.startswith(SKIPPED):
                continue
            printed.append(self.run(line, expected=13 if failing and " doctor " in line else 0))
            self.emulators.actions.wait(RUN_SECONDS)
            if line.startswith("gh pr merge"):
                self._approve_deployment()
        text = [" ".join(line.split()) for line in "\n".join(printed).splitlines()]
        for quoted in step.quoted:
            if quoted.strip("… "):
                pattern = ".*".join(re.escape(" ".join(part.split())) for part in self.fill(quoted).split("…"))
                assert any(re.search(pattern, line) for line in text), f"{step.title}: {quoted!r} is not in {text}"
        return "\n".join(text)


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    """A new account, a new repository with its first push, and two Apps."""
    workspace = snapshot(tmp_path / "clone")
    (tmp_path / "status.pem").write_text("key of the status App")
    (tmp_path / "bot.pem").write_text("key of the bot's App")
    file = tmp_path / "transactions.parquet"
    table_files.write(file, stand_in_data.draw(ROWS, frauds=FRAUDS, seed=SEED))
    with Emulators(tmp_path / "clouds", images=IMAGES, variables={"FRAUDOPS_SUITE": "off"}) as emulators:
        emulators.aws.quotas.set({"instances": dict.fromkeys(QUOTAS, 0)})
        emulators.github.create_repository(REPOSITORY, seed=workspace.root, private=True)
        emulators.github.token(REVIEWER)
        workspace.git("remote", "add", "origin", f"{emulators.github.url}/{REPOSITORY}.git")
        for client, slug in ((STATUS_APP, "status"), (BOT_APP, "robot")):
            emulators.actions.install_app(client, slug=slug, private_key=(tmp_path / f"{client[4:]}.pem").read_text())
        ids = emulators.github.state.app_ids
        words = {
            "OWNER/NAME": REPOSITORY,
            "STATUS_CLIENT_ID": STATUS_APP,
            "STATUS_KEY_FILE": str(tmp_path / "status.pem"),
            "STATUS_ID": str(ids["status"]),
            "BOT_CLIENT_ID": BOT_APP,
            "BOT_NAME": "robot",
            "BOT_KEY_FILE": str(tmp_path / "bot.pem"),
            "BOT_ID": str(ids["robot"]),
            "REVIEWER": REVIEWER,
            "TRANSACTIONS_FILE": str(file),
        }
        with isolated_environment(emulators.environment()):
            yield Account(emulators, workspace.root, words)


def test_commands_of_the_page_lead_to_a_served_model(account: Account) -> None:
    """Each command ends as the page says; no setting is missing after step 3, and nothing will fail after step 4."""
    account.step(1, failing=True)
    account.step(2)
    account.emulators.aws.quotas.set({"instances": QUOTAS})
    account.step(3)
    printed = account.step(3)  # a rerun changes nothing
    assert printed.count("to do") == 2
    account.detect_no_drift()
    account.step(4)
    account.step(5)
    account.step(6)
    account.run("git pull --ff-only origin main")
    serving = config.load_serving(account.clone)
    assert serving.approval == 1
    described = account.emulators.aws.client("sagemaker").describe_endpoint(EndpointName=serving.endpoint)
    assert described["EndpointStatus"] == "InService"
    assert config.load_approval(account.clone, 1).verdict.status == "passed"
