"""Rulesets on pushes and merges: bypass actors, sources of status checks, conditions."""

from __future__ import annotations

from typing import Any

import pytest
from local_github.domain.in_memory_store import ACTIONS_APP_ID
from rest_calls import refusal, request

APP_ID = 4242
PULL_REQUEST = {"type": "pull_request", "parameters": {"required_approving_review_count": 1}}


def install(emulator: Any, slug: str = "gate", number: int = APP_ID) -> str:
    """Registers an App and returns a token of it."""
    emulator.github.state.app_ids[slug] = number
    granted = {"contents": "write", "statuses": "write", "pull_requests": "write"}
    return str(emulator.token(f"{slug}[bot]", permissions=granted, repository="acme/fraud"))


def create(emulator: Any, *rules: dict[str, Any], include: str = "~DEFAULT_BRANCH", **more: Any) -> int:
    """Creates an active ruleset and returns its id."""
    body = {
        "name": f"rules {len(rules)} {include}",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": [include], "exclude": []}},
        "rules": list(rules),
        **more,
    }
    status, answer, _ = request(emulator, "POST", "/rulesets", body, emulator.token())
    assert status == 201, answer
    return int(answer["id"])


def checks(*sources: int | None) -> dict[str, Any]:
    """A rule that requires acme/ci from each App."""
    required = [{"context": "acme/ci"} | ({"integration_id": app} if app else {}) for app in sources]
    return {"type": "required_status_checks", "parameters": {"required_status_checks": required}}


def test_ruleset_refuses_pushes_except_of_its_bypass_actors(emulator: Any, clone: Any) -> None:
    """Administrators obey unless they are actors; the error is GH013."""
    gate, other = install(emulator), install(emulator, "other", 4243)
    actor = {"actor_id": APP_ID, "actor_type": "Integration", "bypass_mode": "always"}
    number = create(emulator, PULL_REQUEST, bypass_actors=[actor])
    clone.commit({"a": "1"})
    for token in (emulator.token(), other, emulator.workflow_token(contents="write")):
        process = clone.git("push", emulator.url(token), "main", check=False)
        assert process.returncode == 1
        assert "GH013: Repository rule violations found for refs/heads/main." in process.stderr
        assert "- Changes must be made through a pull request." in process.stderr
    clone.git("push", "--quiet", emulator.url(gate), "main")
    admin = {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}
    path = f"/rulesets/{number}"
    assert request(emulator, "PUT", path, {"bypass_actors": [admin]}, emulator.token())[0] == 200
    clone.commit({"a": "2"})
    assert clone.git("push", emulator.url(gate), "main", check=False).returncode == 1
    clone.push("main")


def test_bypass_for_pull_requests_does_not_reach_pushes(emulator: Any, clone: Any, branch: Any) -> None:
    """The actor merges without approvals but may not push."""
    branch("topic")
    gate = install(emulator)
    actor = {"actor_id": APP_ID, "actor_type": "Integration", "bypass_mode": "pull_request"}
    create(emulator, PULL_REQUEST, bypass_actors=[actor])
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    assert "At least 1 approving review is required" in refusal(pull.merge, 405)
    clone.commit({"a": "1"})
    assert clone.git("push", emulator.url(gate), "main", check=False).returncode == 1
    assert emulator.api(gate).get_pull(pull.number).merge().merged


@pytest.mark.parametrize("classic", [True, False])
def test_status_counts_only_from_the_expected_app(emulator: Any, branch: Any, classic: bool) -> None:
    """A branch's own workflow posts through the Actions App, and a user posts as nobody's App: neither counts."""
    head = branch("topic")
    gate = install(emulator)
    if classic:
        body = {
            "required_status_checks": {"strict": False, "checks": [{"context": "acme/ci", "app_id": APP_ID}]},
            "enforce_admins": True,
            "required_pull_request_reviews": None,
            "restrictions": None,
        }
        status, answer, _ = request(emulator, "PUT", "/branches/main/protection", body, emulator.token())
        assert (status, answer["required_status_checks"]["checks"]) == (200, [{"context": "acme/ci", "app_id": APP_ID}])
    else:
        create(emulator, checks(APP_ID))
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    forger = emulator.workflow_token(contents="write", statuses="write", checks="write")
    for token in (forger, emulator.token()):
        emulator.api(token).get_commit(head).create_status("success", context="acme/ci")
        assert 'Required status check "acme/ci" is expected.' in refusal(pull.merge, 405)
    emulator.api(forger).create_check_run("acme/ci", head, status="completed", conclusion="success")
    refusal(pull.merge, 405)
    emulator.api(gate).get_commit(head).create_status("success", context="acme/ci")
    emulator.api(forger).get_commit(head).create_status("failure", context="acme/ci")
    assert pull.merge().merged


def test_actions_app_can_be_the_expected_source(emulator: Any, branch: Any) -> None:
    """Its id is that of github.com."""
    head = branch("topic")
    create(emulator, checks(ACTIONS_APP_ID))
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    refusal(pull.merge, 405)
    emulator.api(emulator.workflow_token(statuses="write")).get_commit(head).create_status("success", context="acme/ci")
    assert pull.merge().merged


def test_strict_checks_need_an_up_to_date_branch(emulator: Any, clone: Any, branch: Any) -> None:
    """The head must contain the base."""
    head = branch("topic")
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    clone.commit({"x": "1"})
    clone.push("main")
    rule = checks(None)
    rule["parameters"]["strict_required_status_checks_policy"] = True
    create(emulator, rule)
    emulator.api().get_commit(head).create_status("success", context="acme/ci")
    assert "not up to date" in refusal(pull.merge, 405)


def test_conditions_select_branches(emulator: Any, clone: Any) -> None:
    """Patterns, exclusions and disabled rulesets; force pushes and deletions have rules of their own."""
    clone.push("main:release/1", "main:free")
    create(emulator, {"type": "deletion"}, {"type": "non_fast_forward"}, include="refs/heads/release/*")
    create(emulator, {"type": "deletion"}, include="~ALL", enforcement="disabled")
    clone.push(":free")
    process = clone.push(":release/1", check=False)
    assert process.returncode == 1
    assert "GH013" in process.stderr
    clone.git("checkout", "--quiet", "--orphan", "fresh")
    clone.commit({"x": "1"})
    assert clone.push("+HEAD:release/1", check=False).returncode == 1
    status, body, _ = request(emulator, "GET", "/rules/branches/release/1", token=emulator.token())
    assert (status, [rule["type"] for rule in body]) == (200, ["deletion", "non_fast_forward"])
    assert request(emulator, "GET", "/rules/branches/main", token=emulator.token())[1] == []
    assert request(emulator, "GET", "/branches/release%2F1", token=emulator.token())[1]["protected"] is True


def test_direct_changes_by_the_api_obey_rulesets(emulator: Any, clone: Any) -> None:
    """Contents, merges and refs of the API are refused as pushes are."""
    create(emulator, PULL_REQUEST, {"type": "deletion"})
    repository = emulator.api()
    message = refusal(lambda: repository.create_file("new.txt", "Add", "1", branch="main"), 409)
    assert "Changes must be made through a pull request." in message
    refusal(repository.get_git_ref("heads/main").delete, 422)
