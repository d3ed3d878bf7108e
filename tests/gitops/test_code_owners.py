"""The file .github/CODEOWNERS: written for a named owner, and read from main with GitHub's documented answers."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ml.errors import GitHubError, UsageError
from ml.gitops import code_owners
from tests.harness.github.scripted import Script, answer, refusal, serving

PLACE, ERRORS = "/contents/.github/CODEOWNERS", "/codeowners/errors"


def missing(script: Script) -> list[str]:
    """The folders without an owner on a scripted GitHub."""
    with serving(script):
        return code_owners.without_owner(script.github())


def committed(content: str) -> Script:
    """GitHub with that file on main."""
    return Script().on("GET", PLACE, answer({"content": base64.b64encode(content.encode()).decode()}))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("* @alice\n", []),
        (code_owners.text("@acme/risk"), []),
        ("/model-config/ @alice\n/infra/ @acme/risk\n/.github/ @alice\n", []),
        ("# none\n/model-config/** @alice # the models\ninfra @alice\n", ["/.github/"]),
        ("* @alice\n/infra/\n", ["/infra/"]),
        ("/model-config/approvals/ @alice\n", ["/model-config/", "/infra/", "/.github/"]),
    ],
)
def test_folder_has_an_owner_by_its_last_line(content: str, expected: list[str]) -> None:
    """A line without an owner removes it, and a line for a part of the folder is not enough."""
    assert missing(committed(content)) == expected


def test_file_is_read_from_the_places_that_github_reads() -> None:
    """`docs/CODEOWNERS` is the last; without a file nothing has an owner."""
    content = base64.b64encode(b"* @alice\n").decode()
    assert missing(Script().on("GET", "/contents/docs/CODEOWNERS", answer({"content": content}))) == []
    assert missing(Script()) == list(code_owners.FOLDERS)


def test_file_that_github_rejects_names_nobody() -> None:
    """An owner without write access to the repository is an error of the file."""
    errors = answer({"errors": [{"kind": "Unknown owner", "line": 2}]})
    assert missing(committed("* @alice\n").on("GET", ERRORS, errors)) == list(code_owners.FOLDERS)


def test_file_that_cannot_be_read_is_an_error() -> None:
    """It is not taken for a missing one."""
    script = Script().on("GET", PLACE, refusal(403, "Resource not accessible"))
    with serving(script), pytest.raises(GitHubError, match="reading the code owners"):
        code_owners.without_owner(script.github())


def test_owners_are_written_once_and_never_invented(tmp_path: Path) -> None:
    """The file has the owner that was given; an existing file stays."""
    assert code_owners.write(tmp_path, "@acme/risk")
    text = (tmp_path / code_owners.FILE).read_text()
    assert [line.split()[-1] for line in text.splitlines()[1:]] == ["@acme/risk"] * 3
    assert not code_owners.write(tmp_path, "@bob")
    assert (tmp_path / code_owners.FILE).read_text() == text
    for wrong in ("bob", "@", "@a b", "@acme/", "someone@example.org"):
        with pytest.raises(UsageError, match="a code owner is @LOGIN or @ORG/TEAM"):
            code_owners.text(wrong)
