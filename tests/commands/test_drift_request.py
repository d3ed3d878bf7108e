"""`fraudops drift request`: what a drift check hands over becomes one request, without an AWS account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_github.server import LocalGitHub

from ml import config
from ml.commands.drift_request import request
from ml.drift import hand_over
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow
from ml.errors import ConfigError
from tests.drift.retrain_cases import NAMES, NOW, due, moment
from tests.harness.github import bot_environment
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform

ROOT = Path(__file__).resolve().parents[2]
WINDOW = TrainingWindow(start=moment(3), end=moment(4, 21), rows=4000, frauds=60, test_frauds=20, grown_days=0)


@pytest.fixture
def bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotEnvironment]:
    """A repository on a GitHub emulator, and no AWS."""
    env = ServedPlatform(workspace=served.repository(tmp_path / "repository"))
    monkeypatch.setenv("FRAUDOPS_NOW", NOW)
    with LocalGitHub(tmp_path / "github") as github:
        made = bot_environment.around(env, github, tmp_path, monkeypatch)
        made.push()
        monkeypatch.setenv("FRAUDOPS_TOKEN_FIRES", "true")  # as with the App's token: nothing is dispatched
        yield made


def changed(bot: BotEnvironment, before: str) -> list[str]:
    """The files that main's new commits change."""
    bot.workspace.git("fetch", "-q", "origin")
    return bot.workspace.git("diff", "--name-only", before, "origin/main").split()


def test_handed_over_decision_becomes_one_request(bot: BotEnvironment) -> None:
    """main gets the one file of the strongest cause; a second run of the job changes nothing."""
    before = bot.tip("main")
    document = hand_over.write([(due("concept"), WINDOW), (due("data"), WINDOW)])
    first, other = request(bot.root, document=document).requests
    assert (first.request, first.state, other.state) == (NAMES["concept"], "requested", "suppressed")
    assert changed(bot, before) == [f"{config.REQUESTS}/{NAMES['concept']}.yaml"]
    assert "A retrain is requested" in (bot.folder / "summary.md").read_text()
    tip = bot.tip("main")
    bot.pull()
    assert [each.state for each in request(bot.root, document=document).requests] == ["already requested"] * 2
    assert bot.tip("main") == tip


def test_limits_are_those_of_main(bot: BotEnvironment) -> None:
    """The document cannot lift the monthly cap, and too few labels give no request."""
    text = bot.workspace.text(config.DRIFT)
    cap = config.load_drift(bot.root).max_requests_per_month
    bot.workspace.write(
        {config.DRIFT: text.replace(f"max_requests_per_month: {cap}", "max_requests_per_month: 0")}, "Stop"
    )
    bot.push()
    before = bot.tip("main")
    (capped,) = request(bot.root, document=hand_over.write([(due(), WINDOW)])).requests
    assert (capped.state, "monthly cap" in capped.reason) == ("suppressed", True)
    (short,) = request(bot.root, document=hand_over.write([(due(), NotEnoughLabels(reason="too few"))])).requests
    assert short.state == "suppressed"
    assert bot.tip("main") == before


def test_invalid_document_changes_nothing(bot: BotEnvironment) -> None:
    """One bad decision refuses the whole document before Git or GitHub is called."""
    before = bot.tip("main")
    document = hand_over.write([(due("concept"), WINDOW), (due("data"), WINDOW)])
    with pytest.raises(ConfigError, match=r"due\.1\.kind"):
        request(bot.root, document=document.replace("kind: data", "kind: ../../.github/workflows/x", 1))
    assert bot.tip("main") == before
