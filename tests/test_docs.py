"""The pictures of the documentation are generated and up to date."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from docs import pictures

ROOT = Path(__file__).resolve().parents[1]
GH = str(Path(sys.executable).parent / "gh")


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


def test_glossary_has_at_most_forty_terms() -> None:
    """The glossary stays short enough to be read, and names each term once."""
    rows = re.findall(r"^\| ([^|]+) \| ", (ROOT / "docs/glossary.md").read_text("utf-8"), re.M)[1:]
    assert 20 <= len(rows) <= 40
    assert len({row.strip() for row in rows}) == len(rows)


def first_account() -> str:
    """docs/first-account.md, and the page for when it does not go like that."""
    return "\n".join((ROOT / f"docs/{name}.md").read_text("utf-8") for name in ("first-account", "account-errors"))


def test_first_account_is_one_page() -> None:
    """Plans, commands and outputs are one page; the tables of errors are on another, with the same steps."""
    page, errors = ((ROOT / f"docs/{name}.md").read_text("utf-8") for name in ("first-account", "account-errors"))
    assert len(page.splitlines()) <= 142
    assert "if it prints" not in page
    assert re.findall(r"^## \d\. .*", page, re.M) == re.findall(r"^## \d\. .*", errors, re.M)
    assert errors.count("| if it prints | do |") == errors.count("\n## ") == 6


def commands(program: str) -> list[list[str]]:
    """The arguments of each command of a program in the blocks and tables of the pages of the first account."""
    text = first_account()
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)
    return [shlex.split(line.partition(" < ")[0])[1:] for line in lines if line.startswith(f"{program} ")]


def test_commands_of_the_first_account_parse() -> None:
    """Each `fraudops` command of the pages of the first account is a verb with options that it has."""
    from typer.main import get_command

    from ml.cli import app

    numbers = {"STATUS_ID": "1", "BOT_ID": "2"}
    lines = [[numbers.get(word, word) for word in arguments] for arguments in commands("fraudops")]
    assert len(lines) >= 6
    for arguments in lines:
        command, words = get_command(app), list(arguments)
        while hasattr(command, "commands"):
            assert words[0] in command.commands, f"first account: fraudops {' '.join(arguments)}"
            command = command.commands[words.pop(0)]
        command.make_context(command.name, words)  # raises a usage error for what it does not accept


@pytest.mark.parametrize(
    "page",
    ["README.md", "model-config/README.md", *sorted(f"docs/{file.name}" for file in (ROOT / "docs").glob("*.md"))],
)
def test_commands_of_every_page_parse(page: str) -> None:
    """Each line that begins with `fraudops` in a block of code is a verb with options and arguments that it accepts."""
    from typer.main import get_command

    from ml.cli import app

    blocks = re.findall(r"^```(?:console|bash)\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.M | re.S)
    lines = [line.partition(" #")[0] for block in blocks for line in block.splitlines() if line.startswith("fraudops ")]
    for line in lines:
        command, words = get_command(app), shlex.split(line.replace("STATUS_ID", "1").replace("BOT_ID", "2"))[1:]
        while hasattr(command, "commands"):
            assert words[0] in command.commands, f"{page}: {line}"
            command = command.commands[words.pop(0)]
        command.make_context(command.name, words)  # raises a usage error for what it does not accept
    assert lines or page not in ("docs/local.md", "docs/labels.md", "docs/serving.md", "docs/first-account.md")


def test_github_commands_of_the_first_account_have_their_options() -> None:
    """gh knows each command, and its help lists each option."""
    lines = commands("gh")
    assert len(lines) >= 10
    for arguments in lines:
        options = [word for word in arguments if word.startswith("--")]
        done = subprocess.run([GH, *arguments[:2], "--help"], capture_output=True, text=True, check=False)
        assert f"gh {' '.join(arguments[:2])} " in done.stdout, arguments
        for option in options:
            assert re.search(rf"{option}\b", done.stdout), f"first account: gh {' '.join(arguments)}"


def test_aws_commands_of_the_first_account_have_their_options() -> None:
    """Each operation is one of the service's model with these parameters; `logs tail` is aws's own command."""
    import botocore.session
    from botocore import xform_name

    lines = commands("aws")
    assert len(lines) >= 5
    for service, operation, *words in lines:
        if (service, operation) == ("logs", "tail"):
            continue
        model = botocore.session.Session().get_service_model(service)
        operations = {xform_name(name, "-"): model.operation_model(name) for name in model.operation_names}
        assert operation in operations, f"first account: aws {service} {operation}"
        shape = operations[operation].input_shape
        known = {f"--{xform_name(name, '-')}" for name in (shape.members if shape else ())} | {"--query"}
        assert {word for word in words if word.startswith("--")} <= known, f"aws {service} {operation}"


def test_first_account_quotes_the_checks_of_doctor() -> None:
    """Each line that the pages of the first account quote has a state of `doctor` and a subject that a check has."""
    from ml.diagnosis.check import State

    text = first_account()
    source = "".join(path.read_text("utf-8") for path in sorted((ROOT / "ml/diagnosis").glob("*.py")))
    subjects = set(re.findall(r"(?:^|`)(?:will fail|cannot tell|ok)  +([A-Za-z]+)", text, re.M))
    assert len(subjects) > 8
    for subject in sorted(subjects):
        assert re.search(rf'run\(f?"{subject}', source), f"the first account quotes {subject}, which doctor lacks"
    assert set(re.findall(r"^(ok|will fail|cannot tell)  ", text, re.M)) == set(State.__args__)  # type: ignore[attr-defined]
