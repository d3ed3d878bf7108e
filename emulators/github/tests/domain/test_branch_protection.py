"""Branch protection on pushes."""

from __future__ import annotations

from typing import Any

import pytest
from local_github.domain.branch_protection import protect


def test_protected_branch_refuses_the_workflows_token(emulator: Any, clone: Any) -> None:
    """GH006, in GitHub's words, where changes must come by pull request; an administrator is spared."""
    repository = emulator.github.state.find("acme", "fraud")
    protect(repository, "main", required_pull_request_reviews={})
    clone.commit({"a": "1"})
    done = clone.git("push", emulator.url(emulator.workflow_token(contents="write")), "main", check=False)
    assert done.returncode == 1
    assert "GH006: Protected branch update failed for refs/heads/main." in done.stderr
    assert "Changes must be made through a pull request." in done.stderr
    assert emulator.events == []
    clone.push("main")
    protect(repository, "main", required_pull_request_reviews={}, enforce_admins=True)
    clone.commit({"a": "2"})
    assert clone.push("main", check=False).returncode == 1


def test_app_that_the_rule_names_pushes_to_a_protected_branch(emulator: Any, clone: Any) -> None:
    """A bypass actor; another App is not one."""
    allowed = {"bypass_pull_request_allowances": {"apps": ["fraudops"]}}
    protect(emulator.github.state.find("acme", "fraud"), "main", required_pull_request_reviews=allowed)
    clone.commit({"a": "1"})
    for login, code in (("other[bot]", 1), ("fraudops[bot]", 0)):
        token = emulator.token(login, permissions={"contents": "write"}, repository="acme/fraud")
        assert clone.git("push", emulator.url(token), "main", check=False).returncode == code


@pytest.mark.parametrize("refspec", ["+HEAD:release", ":release"])
def test_protected_branch_takes_no_forced_push_and_no_deletion(emulator: Any, clone: Any, refspec: str) -> None:
    """Not even an administrator's."""
    clone.push("main:release")
    protect(emulator.github.state.find("acme", "fraud"), "release", enforce_admins=False)
    clone.git("checkout", "--quiet", "--orphan", "fresh")
    clone.commit({"x": "1"})
    done = clone.push(refspec, check=False)
    assert done.returncode == 1
    assert "GH006" in done.stderr
    assert "this protected branch" in done.stderr


def test_required_status_opens_a_protected_branch(emulator: Any, clone: Any) -> None:
    """A push is refused until the commit has the status that the rule requires, wherever it was set."""
    repository = emulator.github.state.find("acme", "fraud")
    protect(repository, "main", required_status_checks={"strict": False, "contexts": ["fraudops/ci"]})
    sha = clone.commit({"a": "1"})
    token = emulator.workflow_token(contents="write", statuses="write")
    refused = clone.git("push", emulator.url(token), "main", check=False)
    assert 'Required status check "fraudops/ci" is expected.' in refused.stderr
    clone.git("push", "--quiet", emulator.url(token), "main:candidate")
    emulator.api(token).get_commit(sha).create_status("success", context="fraudops/ci")
    clone.git("push", "--quiet", emulator.url(token), "main")


def test_workflow_files_need_their_own_permission(emulator: Any, clone: Any) -> None:
    """GitHub lets no App change .github/workflows without `workflows`; a person may."""
    clone.commit({".github/workflows/ci.yml": "on: push\n"})
    done = clone.git("push", emulator.url(emulator.workflow_token(contents="write")), "main:topic", check=False)
    assert "without `workflows` permission" in done.stderr
    clone.push("main")
