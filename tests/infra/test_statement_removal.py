"""Each statement of infra/*.yaml is removed in a copy of the repository, and the test that is named for it fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.harness.git import checkout
from tests.harness.platform import permissions, statement_removal, template_statements
from tests.harness.platform.permissions import (
    ACTION_USED_BY,
    COUNT,
    CUSTOMER_KEY,
    DEMO,
    DENIED_BY,
    DRIFT,
    KEYED_BY,
    TRAIN,
    USED_BY,
    WITHOUT_DECISION,
)
from tests.harness.platform.template_statements import Statement

ROOT = Path(__file__).resolve().parents[2]
SAMPLE: dict[Statement, str] = {
    ("github-TrainRole", "RunPipeline"): DEMO,
    ("ExecutionRole", "EncryptVolumes"): CUSTOMER_KEY,
    ("CountingRole", "WriteSummaries"): COUNT,
}
"""Of the statements that runs of minutes need: the log of their decisions shows it for the others."""
TRIED = {
    **{statement: test for statement, test in USED_BY.items() if test not in (COUNT, CUSTOMER_KEY, DRIFT, TRAIN)},
    **DENIED_BY,
    **SAMPLE,
}
"""By statement: the test that is run without it. Of tests that take minutes, samples: each checks what it needs."""

QUICK = ("permissions_boundary", "shared_policies", "signing_key_policy")
"""Tests of tests/infra that take seconds: `make long` removes a statement of each."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C where there is one: a hundred templates are parsed."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of its own with one commit of all tracked files of this working tree and the shipped state."""
    root = checkout.copy_tracked(tmp_path_factory.mktemp("copy") / "repository")
    git(root, "init", "-q", "-b", "main")
    commit(root)
    return root


@pytest.fixture
def template(copy: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The template in the copy that the case's statement stands in; restored afterwards."""
    path = copy / template_statements.template_of(request.getfixturevalue("statement"))
    text = path.read_text("utf-8")
    yield path
    path.write_text(text, "utf-8")
    commit(copy)


def git(root: Path, *arguments: str) -> None:
    """Runs git in the copy."""
    subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True)


def commit(root: Path) -> None:
    """Commits everything."""
    git(root, "add", "-A")
    git(
        root, "-c", "user.name=A", "-c", "user.email=a@example.invalid", "commit", "-q", "--allow-empty", "-m", "change"
    )


def cases() -> list[Any]:
    """Each statement of `TRIED`, for `make permissions`; one of each quick file is a long test instead."""
    last = {TRIED[statement].partition("::")[0]: statement for statement in sorted(TRIED)}
    sample = {last[f"tests/infra/test_{name}.py"] for name in QUICK}
    return [
        pytest.param(each, marks=pytest.mark.long if each in sample else pytest.mark.removal) for each in sorted(TRIED)
    ]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("statement", cases(), ids=" ".join)
def test_removed_statement_fails_its_test(copy: Path, template: Path, statement: Statement) -> None:
    """The run fails; without a permission, because a call that needs it is denied."""
    template.write_text(statement_removal.without(template.read_text("utf-8"), statement), "utf-8")
    commit(copy)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-m", "", "-p", "no:cacheprovider", TRIED[statement]],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    if statement not in DENIED_BY and statement not in WITHOUT_DECISION:
        assert denied(done.stdout, statement), done.stdout


def denied(output: str, statement: Statement) -> list[str]:
    """The denied calls of the statement's owner, or of any caller for a shared policy, in the output of a run.

    An emulator in another process, as the demo's, shows them only as errors of its callers.
    """
    owner, _ = statement
    if TRIED[statement] == DEMO:
        return re.findall(r"is not authorized to perform: \S+", output)
    caller = re.escape(owner) if owner.rpartition("-")[2].endswith("Role") and " " not in owner else r"\S+"
    return re.findall(rf"^{caller}: \S+ on \S+ \(.*\): (?:im|ex)plicit deny$", output, re.MULTILINE)


def test_every_statement_of_the_tables_is_in_its_template() -> None:
    """And can be removed: the template then has one statement less, or the only one of a policy allows nothing."""
    for owner, sid in {**USED_BY, **KEYED_BY, **DENIED_BY, **SAMPLE}:
        text = (ROOT / template_statements.template_of((owner, sid))).read_text("utf-8")
        left = statement_removal.without(text, (owner, sid))
        assert yaml.compose(left, Loader=LOADER) is not None
        removed = text.count("Effect: ") - left.count("Effect: ")
        harmless = [left.count(action) - text.count(action) for action in ("sts:TagSession", "sts:GetCallerIdentity")]
        assert removed + sum(harmless) == 1, (owner, sid)


def test_every_deny_statement_has_a_test() -> None:
    """A Deny statement is used by no allowed call, so the table names the test that fails without it."""
    texts = [(ROOT / path).read_text("utf-8") for path in (template_statements.PLATFORM, template_statements.WORKFLOWS)]
    assert sum(text.count("Effect: Deny") for text in texts) == len(DENIED_BY)
    for owner, sid in DENIED_BY:
        text = (ROOT / template_statements.template_of((owner, sid))).read_text("utf-8")
        left = statement_removal.without(text, (owner, sid))
        assert text.count("Effect: Deny") - left.count("Effect: Deny") == 1, (owner, sid)


def test_every_action_of_the_table_is_in_its_statement() -> None:
    """A removed action is found, and one that a comment of the template justifies."""
    for owner, sid, action in ACTION_USED_BY:
        assert action in template_statements.unjustified_actions(owner, sid), (owner, sid)


def test_statement_that_does_not_exist_is_an_error() -> None:
    """A renamed statement is not taken for a removed one."""
    text = (ROOT / template_statements.PLATFORM).read_text("utf-8")
    with pytest.raises(LookupError, match="0 statements of Lake are called None"):
        statement_removal.without(text, ("Lake", "None"))


def test_tests_of_the_tables_exist() -> None:
    """A renamed or removed test is found."""
    for statement, test in [*{**USED_BY, **KEYED_BY, **DENIED_BY, **SAMPLE}.items(), *ACTION_USED_BY.items()]:
        path, _, name = test.partition("::")
        assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8"), statement
    assert permissions.statements_of(DRIFT)
