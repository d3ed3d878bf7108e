"""docs/adopting.md on both emulators: each command, in order, with a bank's own files, and what the page quotes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ml import config
from ml.playground.developer import isolated_environment
from ml.playground.emulators import Emulators
from tests.harness import bank_case
from tests.harness.bank_case import BankCase
from tests.harness.platform.job_images import IMAGES
from tests.harness.workflows.environment import snapshot
from tests.harness.workflows.page_commands import Reader, sections

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/adopting.md"
REPOSITORY = "local-user/card-risk"
SKIPPED = ("fraudops local", "eval ")
"""The fixture starts the emulators."""


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Reader]:
    """A clone of the template with the bank's files, and running emulators."""
    workspace = snapshot(tmp_path / "clone")
    BankCase(rows=60_000, days=60).write(workspace.root / "build/bank")
    with Emulators(tmp_path / "clouds", images=IMAGES) as emulators, isolated_environment(emulators.environment()):
        yield Reader(
            emulators=emulators,
            clone=workspace.root,
            words={"OWNER/NAME": REPOSITORY, "NAME": REPOSITORY.split("/")[1]},
            page=PAGE,
            repository=REPOSITORY,
            reviewer="local-user",
            skipped=SKIPPED,
        )


def columns_of_the_page() -> str:
    """The page's data.yaml."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    return str(block)


def test_the_page_maps_the_columns_of_the_banks_files() -> None:
    """The page's data.yaml is valid, and is that of the bank's files."""
    found = config.parse(columns_of_the_page(), config.DATA, config.DataFile)
    assert found == config.parse(bank_case.DATA_YAML, config.DATA, config.DataFile)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_commands_of_the_page_lead_to_a_served_and_watched_model(bank: Reader) -> None:
    """From the template to a model that serves the bank's transactions, with changes under model-config/ alone."""
    (bank.clone / config.DATA).write_text(columns_of_the_page())
    for number in sorted(sections(PAGE)):
        bank.follow(number, reviewed=False)
    assert config.load_serving(bank.clone).approval == 1
    assert config.load_approval(bank.clone, 1).verdict.status == "passed"
    changed = set(bank.run("git diff --name-only $(git rev-list --max-parents=0 HEAD) HEAD").split())
    assert changed >= {str(config.DATA), str(config.approval_path(1))}
    assert {name for name in changed if not name.startswith("model-config/")} == set()
    profile = (bank.clone / "build/profile.json").read_text()
    assert yaml.safe_load(columns_of_the_page())["amount"] in profile
