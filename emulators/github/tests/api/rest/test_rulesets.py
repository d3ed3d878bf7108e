"""Rulesets: stored, read back for a branch, and enforced on pushes and merges."""

from __future__ import annotations

from typing import Any

import pytest
from rest_calls import refusal, request

APP = 4711
RULES: list[dict[str, Any]] = [
    {
        "type": "pull_request",
        "parameters": {
            "required_approving_review_count": 1,
            "require_code_owner_review": True,
            "dismiss_stale_reviews_on_push": True,
            "require_last_push_approval": True,
            "required_review_thread_resolution": False,
            "allowed_merge_methods": ["merge", "squash", "rebase"],
        },
    },
    {
        "type": "required_status_checks",
        "parameters": {
            "strict_required_status_checks_policy": False,
            "do_not_enforce_on_create": False,
            "required_status_checks": [{"context": "acme/ci", "integration_id": APP}],
        },
    },
    {"type": "non_fast_forward"},
]


def ruleset(**changes: Any) -> dict[str, Any]:
    """A ruleset of the default branch."""
    named = {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}}
    body = {"name": "main", "target": "branch", "enforcement": "active", "conditions": named, "rules": RULES}
    return body | changes


@pytest.fixture(autouse=True)
def apps(emulator: Any) -> None:
    """Two Apps are installed."""
    emulator.github.state.app_ids.update({"checker": APP, "robot": 4712})


def create(emulator: Any, **changes: Any) -> int:
    """Creates a ruleset; returns its id."""
    status, found, _ = request(emulator, "POST", "/rulesets", ruleset(**changes), emulator.token())
    assert status == 201, found
    return int(found["id"])


def test_ruleset_is_stored_listed_and_read_for_its_branch(emulator: Any, clone: Any) -> None:
    """The list leaves the rules out; the branch has them, with their source."""
    number = create(emulator)
    token = emulator.token()
    (listed,) = request(emulator, "GET", "/rulesets", None, token)[1]
    assert (listed["id"], listed["name"], "rules" in listed) == (number, "main", False)
    assert request(emulator, "GET", f"/rulesets/{number}", None, token)[1]["rules"] == RULES
    rules = request(emulator, "GET", "/rules/branches/main", None, token)[1]
    assert [(rule["type"], rule["ruleset_id"]) for rule in rules] == [(rule["type"], number) for rule in RULES]
    assert request(emulator, "GET", "/rules/branches/other", None, token)[1] == []
    assert request(emulator, "DELETE", f"/rulesets/{number}", None, token)[0] == 204
    assert request(emulator, "GET", f"/rulesets/{number}", None, token)[0] == 404
    clone.commit({"a": "1"})
    clone.push("main")


def test_administrators_are_not_exempt_and_the_listed_app_is(emulator: Any, clone: Any) -> None:
    """As on GitHub, where a ruleset exempts only the actors that it lists."""
    create(emulator, bypass_actors=[{"actor_id": 4712, "actor_type": "Integration", "bypass_mode": "always"}])
    clone.commit({"a": "1"})
    refused = clone.push("main", check=False)
    assert refused.returncode == 1
    assert "Changes must be made through a pull request." in refused.stderr
    robot = emulator.token("robot[bot]", permissions={"contents": "write"}, repository="acme/fraud")
    clone.git("push", "--quiet", emulator.url(robot), "main")


def test_required_status_counts_from_its_app_only(emulator: Any, clone: Any) -> None:
    """The same status of a workflow's token, or of another App, neither allows the merge nor undoes the App's."""
    only_status = [RULES[1]]
    create(emulator, rules=only_status)
    sha = clone.commit({"a": "1"})
    clone.push("main:topic")
    pull = emulator.api(emulator.token("bob")).create_pull(base="main", head="topic", title="t", body="")
    for login in ("github-actions[bot]", "robot[bot]"):
        token = emulator.token(login, permissions={"statuses": "write"}, repository="acme/fraud")
        emulator.api(token).get_commit(sha).create_status("success", context="acme/ci")
    assert 'Required status check "acme/ci" is expected.' in refusal(pull.merge, 405)
    checker = emulator.token("checker[bot]", permissions={"statuses": "write"}, repository="acme/fraud")
    emulator.api(checker).get_commit(sha).create_status("success", context="acme/ci")
    workflow = emulator.workflow_token(statuses="write")
    emulator.api(workflow).get_commit(sha).create_status("failure", context="acme/ci")
    assert pull.merge().merged


def test_update_changes_the_rule(emulator: Any, clone: Any) -> None:
    """Fields that the request leaves out stay."""
    number = create(emulator)
    token = emulator.token()
    status, found, _ = request(emulator, "PUT", f"/rulesets/{number}", {"rules": []}, token)
    assert (status, found["name"], found["rules"]) == (200, "main", [])
    clone.commit({"a": "1"})
    clone.push("main")


def test_app_that_is_not_installed_is_refused(emulator: Any, clone: Any) -> None:
    """As a bypass actor, and as the source of a status; nothing is created."""
    unknown = {"context": "acme/ci", "integration_id": 1}
    source = {"type": "required_status_checks", "parameters": {"required_status_checks": [unknown]}}
    for changes in ({"bypass_actors": [{"actor_id": 1, "actor_type": "Integration"}]}, {"rules": [source]}):
        status, found, _ = request(emulator, "POST", "/rulesets", ruleset(**changes), emulator.token())
        assert status == 422
        assert "no App with the id 1 is installed" in str(found["errors"])
    assert request(emulator, "GET", "/rulesets", None, emulator.token())[1] == []


def test_rules_of_several_rulesets_add_up(emulator: Any, clone: Any, branch: Any) -> None:
    """A branch obeys each of them; a name is unique."""
    head = branch("topic")
    create(emulator, rules=[RULES[1]])
    status, found, _ = request(emulator, "POST", "/rulesets", ruleset(), emulator.token())
    assert status == 422
    assert "Name must be unique" in str(found["errors"])
    methods = {"allowed_merge_methods": ["squash"], "required_approving_review_count": 0}
    create(emulator, name="two", rules=[{"type": "pull_request", "parameters": methods}])
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    assert 'Required status check "acme/ci" is expected.' in refusal(lambda: pull.merge(merge_method="squash"), 405)
    checker = emulator.token("checker[bot]", permissions={"statuses": "write"}, repository="acme/fraud")
    emulator.api(checker).get_commit(head).create_status("success", context="acme/ci")
    assert "The merge method must be squash (got merge)." in refusal(pull.merge, 405)
    assert pull.merge(merge_method="squash").merged


def test_rulesets_need_administration(emulator: Any, clone: Any) -> None:
    """A workflow's token has none."""
    token = emulator.workflow_token(contents="write", statuses="write")
    assert request(emulator, "POST", "/rulesets", ruleset(), token)[0] == 403
