"""Links between the pages resolve, and docs/operations.md has what an alarm or an exit code needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "model-config/README.md",
    ROOT / "ml/simulate/README.md",
    *sorted((ROOT / "emulators").glob("*/README.md")),
]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_resolve(page: Path) -> None:
    """Files exist, and a page that is named with an anchor has that heading."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def test_readme_names_every_page() -> None:
    """A reader finds each page of docs/ from the README, or from a page that it names."""
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text("utf-8"))
        if page.name == "README.md" or page.parent == ROOT / "docs"
    }
    assert [page.name for page in PAGES if page.parent == ROOT / "docs" and page.resolve() not in linked] == []


def test_every_answer_names_its_proof() -> None:
    """An answer of the FAQ ends with, or contains, a link to the page that it rests on."""
    text = (ROOT / "docs/faq.md").read_text("utf-8")
    answers = [part for part in text.split("\n\n") if part.startswith("**")]
    assert len(answers) >= 25
    for answer in answers:
        question, _, said = answer.removeprefix("**").partition("**")
        assert question.endswith("?"), question
        assert re.search(r"\]\([^)]+\)", said), question


def test_readme_is_short() -> None:
    """A screen and a half, at 60 lines a screen."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 90


def test_every_alarm_has_its_page() -> None:
    """Each alarm of the platform's template has a heading of its name with steps, and no heading has no alarm."""
    template = (ROOT / "infra/platform.yaml").read_text("utf-8")
    alarms = re.findall(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm$", template, re.M)
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    section = text.partition("## When an alarm comes")[2].partition("\n## ")[0]
    found = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", section, re.M | re.S))
    assert set(found) == set(alarms)
    assert len(alarms) == 11
    for name, steps in found.items():
        assert re.findall(r"^\d\. ", steps, re.M)[:2] == ["1. ", "2. "], name


def test_faq_names_no_existing_feature_as_absent() -> None:
    """A sentence of the FAQ that says what does not exist names no verb and no way of `rollout.traffic`."""
    from typing import get_args

    from typer.main import get_command

    from ml.cli import app
    from ml.config.serving_file import Rollout

    features = {"shadow", "staging", *get_args(Rollout.model_fields["traffic"].annotation)}
    features |= set(getattr(get_command(app), "commands", {}))
    text = " ".join((ROOT / "docs/faq.md").read_text("utf-8").split())
    absent = re.compile(r"does not exist|do not exist|is not possible|is not supported|there is no ", re.I)
    for sentence in re.split(r"(?<=[.?])\s", text):
        if absent.search(sentence):
            assert not features & set(re.findall(r"[a-z_-]+", sentence.lower())), sentence
    assert "rollout.traffic: shadow" in text
