"""SECURITY.md names tests that exist, and what it says of the repository is so."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests import dependency_audit

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")


def test_each_defence_names_tests_that_exist() -> None:
    """The last column of each table has at least one file, and each is there."""
    lines = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.endswith("| tests |")]
    rows = [line.split(" | ") for line in lines]
    assert len(rows) >= 15
    for row in rows:
        files = re.findall(r"`([^`]+\.py)`", row[-1])
        assert files, row[0]
        assert [file for file in files if not (ROOT / "tests" / file).is_file()] == []


def test_files_and_links_exist() -> None:
    """Paths in the text outside the table, and targets of links."""
    below = "\n".join(line for line in TEXT.splitlines() if not line.startswith("|"))
    named = set(re.findall(r"`((?:tests|requirements|docs|\.github)/[^`*]*[^`/*])`", below))
    named |= set(re.findall(r"\]\((?!https)([^)]+)\)", below))
    assert len(named) >= 4
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_dependabot_reads_every_folder_with_actions_or_npm_locks() -> None:
    """Workflows are below `/`; a composite action has to be named. A lock that Dependabot writes names no registry."""
    update, npm = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text("utf-8"))["updates"]
    actions = {f"/{file.parent.relative_to(ROOT)}" for file in (ROOT / ".github/actions").rglob("action.yml")}
    assert update["package-ecosystem"] == "github-actions"
    assert set(update["directories"]) == {"/", *actions}
    assert npm["package-ecosystem"] == "npm"
    assert npm["directories"] == [f"/{lock.parent.relative_to(ROOT)}" for lock in dependency_audit.npm_locks()]
    for lock in dependency_audit.npm_locks():
        assert "omit-lockfile-registry-resolved=true" in (lock.parent / ".npmrc").read_text("utf-8")


def test_repository_ships_no_code_owners() -> None:
    """SECURITY.md says so, and bootstrap writes the file for an owner of the adopter's."""
    assert not [place for place in (".github", ".", "docs") if (ROOT / place / "CODEOWNERS").exists()]
