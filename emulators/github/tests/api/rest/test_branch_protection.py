"""Branch protection over REST: what is read back, and what is refused because it is not enforced."""

from __future__ import annotations

from typing import Any

import pytest
from rest_calls import request

PATH = "/branches/main/protection"
NOTHING: dict[str, Any] = {
    "required_status_checks": None,
    "enforce_admins": None,
    "required_pull_request_reviews": None,
    "restrictions": None,
}


def test_protection_is_read_back(emulator: Any, clone: Any) -> None:
    """PyGithub reads reviews, checks with their Apps, and the bypass of an App."""
    emulator.github.state.app_ids["gate"] = 77
    reviews = {
        "required_approving_review_count": 2,
        "dismiss_stale_reviews": True,
        "require_code_owner_reviews": True,
        "require_last_push_approval": True,
        "bypass_pull_request_allowances": {"apps": ["gate"]},
    }
    checks = {"strict": True, "checks": [{"context": "acme/ci", "app_id": 77}, {"context": "any", "app_id": -1}]}
    body = NOTHING | {"required_pull_request_reviews": reviews, "required_status_checks": checks}
    assert request(emulator, "PUT", PATH, body | {"enforce_admins": True}, emulator.token())[0] == 200
    found = emulator.api().get_branch("main").get_protection()
    assert found.enforce_admins
    assert found.required_pull_request_reviews.required_approving_review_count == 2
    assert found.required_pull_request_reviews.dismiss_stale_reviews
    assert found.required_pull_request_reviews.require_code_owner_reviews
    assert found.required_pull_request_reviews.require_last_push_approval
    raw = found.raw_data
    assert raw["required_status_checks"]["checks"] == [
        {"context": "acme/ci", "app_id": 77},
        {"context": "any", "app_id": None},
    ]
    allowances = raw["required_pull_request_reviews"]["bypass_pull_request_allowances"]
    assert [(app["id"], app["slug"]) for app in allowances["apps"]] == [(77, "gate")]
    part = request(emulator, "GET", f"{PATH}/required_pull_request_reviews", token=emulator.token())[1]
    assert part["required_approving_review_count"] == 2


def test_source_is_the_app_that_set_the_status_last(emulator: Any, clone: Any) -> None:
    """So GitHub selects it when a check is given without one, also by the older `contexts`; -1 allows any source."""
    sha = clone.git("rev-parse", "main").stdout.strip()
    emulator.api(emulator.workflow_token(statuses="write")).get_commit(sha).create_status("success", context="a")
    emulator.api().get_commit(sha).create_status("success", context="b")
    checks = {"strict": False, "checks": [{"context": "a"}, {"context": "b"}, {"context": "c"}]}
    body = request(emulator, "PUT", PATH, NOTHING | {"required_status_checks": checks}, emulator.token())[1]
    found = {check["context"]: check["app_id"] for check in body["required_status_checks"]["checks"]}
    assert found == {"a": 15368, "b": None, "c": None}
    for checks, source in (
        ({"strict": False, "contexts": ["a"]}, 15368),
        ({"strict": False, "checks": [{"context": "a", "app_id": -1}]}, None),
    ):
        body = request(emulator, "PUT", PATH, NOTHING | {"required_status_checks": checks}, emulator.token())[1]
        assert body["required_status_checks"]["checks"] == [{"context": "a", "app_id": source}]


def test_source_is_a_number(emulator: Any, clone: Any) -> None:
    """GitHub's schema has no null for a source: it is left out, or -1."""
    for wrong, shown in ((None, "nil"), ("7", '"7"')):
        checks = {"strict": False, "checks": [{"context": "a", "app_id": wrong}]}
        status, body, _ = request(emulator, "PUT", PATH, NOTHING | {"required_status_checks": checks}, emulator.token())
        assert status == 422
        assert f"For 'properties/app_id', {shown} is not an integer." in body["message"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"required_linear_history": True}, "required_linear_history"),
        ({"lock_branch": True, "block_creations": True}, "block_creations, lock_branch"),
        ({"restrictions": {"users": [], "teams": [], "apps": []}}, "restrictions"),
        (
            {"required_pull_request_reviews": {"bypass_pull_request_allowances": {"users": ["bob"]}}},
            "bypass_pull_request_allowances.users",
        ),
    ],
)
def test_setting_that_is_not_enforced_is_refused(emulator: Any, clone: Any, change: Any, names: str) -> None:
    """The branch stays without protection."""
    status, body, _ = request(emulator, "PUT", PATH, NOTHING | change, emulator.token())
    assert (status, body["message"]) == (422, f"The GitHub emulator does not enforce {names}")
    assert request(emulator, "GET", PATH, token=emulator.token())[0] == 404
