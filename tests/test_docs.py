"""The pictures of the documentation are generated and up to date."""

from __future__ import annotations

import re
from pathlib import Path

from docs import pictures

ROOT = Path(__file__).resolve().parents[1]


def test_pictures_are_up_to_date() -> None:
    """docs/*.svg are the bytes that docs/pictures.py draws."""
    assert {path.name for path in (ROOT / "docs").glob("*.svg")} == set(pictures.PICTURES)
    for name, draw in pictures.PICTURES.items():
        assert (ROOT / "docs" / name).read_bytes() == draw(), f"run: make docs ({name} is out of date)"


def test_modules_named_in_the_architecture_exist() -> None:
    """Every `folder/module` that docs/architecture.md names is a module, a package or a folder of ml/ or the root."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    names = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)+)`", text))
    assert len(names) > 30
    for name in sorted(names):
        places = (ROOT / name, ROOT / "ml" / name, ROOT / "ml" / f"{name}.py")
        assert any(place.exists() for place in places), f"docs/architecture.md names {name}, which does not exist"


def test_glossary_has_at_most_thirty_terms() -> None:
    """The glossary stays short enough to be read, and names each term once."""
    rows = re.findall(r"^\| ([^|]+) \| ", (ROOT / "docs/glossary.md").read_text("utf-8"), re.M)[1:]
    assert 20 <= len(rows) <= 30
    assert len({row.strip() for row in rows}) == len(rows)


def test_commands_of_the_first_account_parse() -> None:
    """Each `fraudops` command of docs/first-account.md is a verb with options that it has, on placeholder arguments."""
    from typer.main import get_command

    from ml.cli import app

    text = (ROOT / "docs/first-account.md").read_text("utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)
    lines = [line.split()[1:] for block in blocks for line in block.splitlines() if line.startswith("fraudops ")]
    assert len(lines) >= 4
    for arguments in lines:
        command, words = get_command(app), list(arguments)
        while hasattr(command, "commands"):
            assert words[0] in command.commands, f"docs/first-account.md: fraudops {' '.join(arguments)}"
            command = command.commands[words.pop(0)]
        command.make_context(command.name, words)  # raises a usage error for what it does not accept


def test_first_account_quotes_the_checks_of_doctor() -> None:
    """Each line that docs/first-account.md quotes has a state of `doctor` and a subject that a check of it has."""
    from ml.diagnosis.check import State

    text = (ROOT / "docs/first-account.md").read_text("utf-8")
    source = "".join(path.read_text("utf-8") for path in sorted((ROOT / "ml/diagnosis").glob("*.py")))
    subjects = set(re.findall(r"(?:^|`)(?:will fail|cannot tell|ok)  +([A-Za-z]+)", text, re.M))
    assert len(subjects) > 8
    for subject in sorted(subjects):
        assert re.search(rf'run\(f?"{subject}', source), f"docs/first-account.md quotes {subject}, which doctor lacks"
    assert set(re.findall(r"^(ok|will fail|cannot tell)  ", text, re.M)) == set(State.__args__)  # type: ignore[attr-defined]
