"""docs/first-account.md on both emulators: each command of fraudops, gh and git, in order, and what the page quotes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml import config
from ml.aws import platform_stack
from ml.aws.cloudformation import workflow_roles
from ml.playground.developer import isolated_environment
from ml.playground.emulators import Emulators
from ml.simulate import stand_in_data, table_files
from tests.harness.platform.account import QUOTAS
from tests.harness.platform.job_images import IMAGES
from tests.harness.workflows.environment import FRAUDS, ROWS, SEED, snapshot
from tests.harness.workflows.page_commands import Reader

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/first-account.md"
OWNER, REVIEWER = "local-user", "bob"
REPOSITORY = f"{OWNER}/fraudops"
STATUS_APP, BOT_APP = "Iv1.status", "Iv1.bot"
SKIPPED = ("aws ",)
"""There is no AWS command here; tests/test_docs.py checks those lines against the service models."""


class Account(Reader):
    """An account, and the person who follows the page in it."""

    def detect_no_drift(self) -> None:
        """What the page's AWS commands do in an account whose stacks nobody has changed."""
        for name in (platform_stack.stack_name(), workflow_roles.stack_name()):
            body = json.dumps({"stack": name, "status": "IN_SYNC"}).encode()
            urllib.request.urlopen(f"{self.emulators.aws.url}/local-aws/stack-drift", body).close()  # noqa: S310 - loopback


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
            "ADDRESS": "alarms@example.org",
            "TRANSACTIONS_FILE": str(file),
        }
        with isolated_environment(emulators.environment()):
            yield Account(
                emulators=emulators,
                clone=workspace.root,
                words=words,
                page=PAGE,
                repository=REPOSITORY,
                reviewer=REVIEWER,
                skipped=SKIPPED,
            )


def test_commands_of_the_page_lead_to_a_served_model(account: Account) -> None:
    """Each command ends as the page says; no setting is missing after step 3, and nothing will fail after step 4."""
    account.follow(1, codes={" doctor ": 13})
    account.follow(2)
    account.emulators.aws.quotas.set({"instances": QUOTAS})
    account.follow(3)
    printed = account.follow(3)  # a rerun changes nothing
    assert printed.count("to do") == 3
    account.detect_no_drift()
    account.follow(4)
    account.follow(5)
    account.follow(6)
    account.run("git pull --ff-only origin main")
    serving = config.load_serving(account.clone)
    assert serving.approval == 1
    described = account.emulators.aws.client("sagemaker").describe_endpoint(EndpointName=serving.endpoint)
    assert described["EndpointStatus"] == "InService"
    assert config.load_approval(account.clone, 1).verdict.status == "passed"
