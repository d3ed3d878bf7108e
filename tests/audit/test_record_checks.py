"""An approval record compared with the history of the branch that it is on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.audit import record_checks
from ml.audit.record_checks import Findings
from tests.harness.git import checkout
from tests.harness.git.repositories import GitWorkspace, record


@pytest.fixture
def workspace(tmp_path: Path) -> GitWorkspace:
    """A repository with the shipped state, whose first commit could have trained a model."""
    checkout.copy(tmp_path / "repository")
    return GitWorkspace.begin(tmp_path / "repository")


def check(workspace: GitWorkspace, number: int = 1, **changes: Any) -> Findings:
    """The findings for a record that is committed now and says what is right, except for `changes`."""
    trained = workspace.git("rev-list", "--max-parents=0", "HEAD")
    right: dict[str, Any] = {"commit": trained, "requests": ()}
    if "config_sha256" not in changes:
        right["config_sha256"] = config.load_settings(workspace.root).sha256
    made = record(number, **(right | changes))
    workspace.write({config.approval_path(number): config.dump(made)}, f"Record {number}")
    return record_checks.check(workspace.repository, "main", made)


def test_record_that_git_confirms_has_no_finding(workspace: GitWorkspace) -> None:
    """Its commit is known and has the settings, its champion is that of the other record."""
    assert check(workspace) == Findings(disagreements=(), unchecked=())
    assert check(workspace, 2, champion=champion(1)) == Findings(disagreements=(), unchecked=())


def champion(number: int, **changes: Any) -> config.Champion:
    """The champion of that record."""
    other = record(number)
    fields: dict[str, Any] = {
        "approval": number,
        "model_package_arn": other.model_package_arn,
        "artifact_sha256": other.artifact.sha256,
        "comparison": "compared",
        "reason": "Equal.",
    }
    return config.Champion(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"commit": "b" * 40}, f"says that commit {'b' * 40} trained it, which this repository does not have"),
        ({"config_sha256": "c" * 64}, f"says configuration {'c' * 64}, and its commit "),
        ({"requests": ("20260301T060000Z-data-drift",)}, "20260301T060000Z-data-drift.yaml is not on main"),
        ({"champion": champion(7)}, "compared with approval 0007, and model-config/approvals/0007.yaml is not on main"),
        (
            {"champion": champion(1, artifact_sha256="f" * 64)},
            f"compared with sha256 {'f' * 64} as approval 0001, and model-config/approvals/0001.yaml says ",
        ),
    ],
)
def test_each_false_statement_is_named(workspace: GitWorkspace, changes: dict[str, Any], says: str) -> None:
    """The record's file is named with what it says and what Git has."""
    check(workspace)
    (found,) = check(workspace, 2, **changes).disagreements
    assert found.startswith("model-config/approvals/0002.yaml ")
    assert says in found


def test_settings_that_cannot_be_read_are_not_compared(workspace: GitWorkspace) -> None:
    """A commit of an earlier version may have another form; that is said and is no contradiction."""
    old = workspace.write({config.MODEL: "version: 1\n"}, "An older form")
    found = check(workspace, commit=old, config_sha256="c" * 64)
    assert found.disagreements == ()
    (said,) = found.unchecked
    assert said.startswith(f"the settings of commit {old[:12]}, which this version cannot read: {config.MODEL}")


def test_changed_record_is_named(workspace: GitWorkspace) -> None:
    """Every commit that changed it after its approval is named."""
    check(workspace)
    (found,) = check(workspace, threshold=0.75).disagreements
    assert found.startswith("model-config/approvals/0001.yaml was changed by ")


def test_model_that_cannot_be_reproduced_must_say_so(workspace: GitWorkspace) -> None:
    """The settings of its commit say why; a record that says it has no finding."""
    text = workspace.text(config.MODEL)
    assert "{engine: single, " in text
    trained = workspace.write({config.MODEL: text.replace("{engine: single, ", "{engine: spark, ")}, "Train on Spark")
    reason = config.load_model(workspace.root).not_reproducible
    assert reason is not None
    (missing,) = check(workspace, commit=trained).disagreements
    assert missing == f"model-config/approvals/0001.yaml does not say that its model cannot be reproduced: {reason}"
    assert check(workspace, 2, commit=trained, not_reproducible=reason) == Findings(disagreements=(), unchecked=())
