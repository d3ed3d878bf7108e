"""Branch protection on pushes."""

from __future__ import annotations

from typing import Any

import pytest
from local_github.domain.branch_protection import protect


def test_protected_branch_refuses_a_workflow_token(emulator: Any, clone: Any) -> None:
    """The error is GH006; an administrator may push unless enforce_admins is set."""
    repository = emulator.github.state.find("acme", "fraud")
    protect(repository, "main", required_pull_request_reviews={})
    clone.commit({"a": "1"})
    process = clone.git("push", emulator.url(emulator.workflow_token(contents="write")), "main", check=False)
    assert process.returncode == 1
    assert "GH006: Protected branch update failed for refs/heads/main." in process.stderr
    assert "Changes must be made through a pull request." in process.stderr
    assert emulator.events == []
    clone.push("main")
    protect(repository, "main", required_pull_request_reviews={}, enforce_admins=True)
    clone.commit({"a": "2"})
    assert clone.push("main", check=False).returncode == 1


def test_app_with_bypass_pushes_to_a_protected_branch(emulator: Any, clone: Any) -> None:
    """Another App is refused."""
    allowed = {"bypass_pull_request_allowances": {"apps": ["release"]}}
    protect(emulator.github.state.find("acme", "fraud"), "main", required_pull_request_reviews=allowed)
    clone.commit({"a": "1"})
    for login, code in (("other[bot]", 1), ("release[bot]", 0)):
        token = emulator.token(login, permissions={"contents": "write"}, repository="acme/fraud")
        assert clone.git("push", emulator.url(token), "main", check=False).returncode == code


@pytest.mark.parametrize("refspec", ["+HEAD:release", ":release"])
def test_protected_branch_refuses_force_push_and_deletion(emulator: Any, clone: Any, refspec: str) -> None:
    """This applies to administrators too."""
    clone.push("main:release")
    protect(emulator.github.state.find("acme", "fraud"), "release", enforce_admins=False)
    clone.git("checkout", "--quiet", "--orphan", "fresh")
    clone.commit({"x": "1"})
    process = clone.push(refspec, check=False)
    assert process.returncode == 1
    assert "GH006" in process.stderr
    assert "this protected branch" in process.stderr


def test_required_status_allows_a_push(emulator: Any, clone: Any) -> None:
    """A push is refused until the commit has the required status."""
    repository = emulator.github.state.find("acme", "fraud")
    protect(repository, "main", required_status_checks={"strict": False, "contexts": ["acme/ci"]})
    sha = clone.commit({"a": "1"})
    token = emulator.workflow_token(contents="write", statuses="write")
    refused = clone.git("push", emulator.url(token), "main", check=False)
    assert 'Required status check "acme/ci" is expected.' in refused.stderr
    clone.git("push", "--quiet", emulator.url(token), "main:candidate")
    emulator.api(token).get_commit(sha).create_status("success", context="acme/ci")
    clone.git("push", "--quiet", emulator.url(token), "main")


def test_workflow_files_need_the_workflows_permission(emulator: Any, clone: Any) -> None:
    """An App without it cannot change .github/workflows; a user can."""
    clone.commit({".github/workflows/ci.yml": "on: push\n"})
    process = clone.git("push", emulator.url(emulator.workflow_token(contents="write")), "main:topic", check=False)
    assert "without `workflows` permission" in process.stderr
    clone.push("main")
