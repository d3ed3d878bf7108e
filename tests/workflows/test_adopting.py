"""docs/adopting.md on both emulators: each command, in order, with a bank's own files, and what the page quotes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ml import config
from ml.cli.local import LOCAL
from ml.playground import daemon
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
"""The fixture starts the emulators; a test of its own runs these commands."""
PROBES = ('test "$(type -t gh)" = function', "gh api user --jq .login", "python -c 'import tests.harness.bank_case'")
"""Commands between those that start the emulators and the one that stops them."""


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


def block(kind: str) -> str:
    """The page's only block of this kind."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    return str(found)


def columns_of_the_page() -> str:
    """The page's data.yaml."""
    return block("yaml")


def test_every_command_of_the_page_is_run() -> None:
    """Blocks of commands are in numbered sections, which the long test follows, but for that of the bank's files."""
    kinds = re.findall(r"^```(\w+)\n", PAGE.read_text("utf-8"), re.M)
    assert set(kinds) == {"bash", "console", "python", "text", "yaml"}
    blocks = re.findall(r"^```(?:console|python)\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    numbered = "\n".join(line for section in sections(PAGE).values() for line in section.commands)
    for line in "".join(blocks).splitlines():
        assert line in numbered


def test_commands_that_start_and_stop_the_emulators_run_in_one_shell(tmp_path: Path) -> None:
    """Those that the long test skips, and the block that writes the bank's files, as a reader of the page runs them."""
    (tmp_path / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    skipped = [line for each in sections(PAGE).values() for line in each.commands if line.startswith(SKIPPED)]
    assert [line.split()[0] for line in skipped] == ["fraudops", "eval", "fraudops"]
    script = "\n".join(["set -euo pipefail", block("bash"), *skipped[:-1], *PROBES, skipped[-1]])
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env={**kept, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not daemon.status(tmp_path / LOCAL).running
    finally:
        daemon.down(tmp_path / LOCAL)
    assert "local-user" in done.stdout.splitlines()
    assert len(list((tmp_path / "build/bank").rglob("*.parquet"))) == 120
    assert (tmp_path / "build/bank/data.yaml").read_text() == bank_case.DATA_YAML


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
