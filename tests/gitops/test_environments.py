"""Environments on GitHub, with GitHub's documented answers: created, limited to main, reviewed, and read."""

from __future__ import annotations

from typing import Any

import pytest

from ml.errors import GitHubError
from ml.gitops import environments
from tests.harness.github.scripted import Script, answer, refusal, serving

AT = "/environments/train"
POLICIES = f"{AT}/deployment-branch-policies"
REVIEWED = {
    "name": "train",
    "can_admins_bypass": False,
    "protection_rules": [
        {"type": "branch_policy"},
        {
            "type": "required_reviewers",
            "prevent_self_review": True,
            "reviewers": [
                {"type": "User", "reviewer": {"login": "bob", "id": 5}},
                {"type": "Team", "reviewer": {"slug": "risk", "id": 6}},
            ],
        },
    ],
    "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
}


def branches(*names: str) -> dict[str, Any]:
    """The environment's branch policies."""
    return {"total_count": len(names), "branch_policies": [{"id": 1, "name": name, "type": "branch"} for name in names]}


def sent(script: Script, method: str, path: str) -> list[Any]:
    """The bodies of the requests of `METHOD /path`."""
    return [body for asked, at, body in script.asked if (asked, at) == (method, path)]


def test_missing_environment_is_created_for_main_only() -> None:
    """Without reviewers, which a person names."""
    script = Script().on("GET", AT, refusal(404, "Not Found")).on("PUT", AT, answer({}))
    script.on("GET", POLICIES, answer(branches())).on("POST", POLICIES, answer({"id": 1, "name": "main"}))
    with serving(script):
        environments.ensure(script.github(), ["train"])
    (put,) = sent(script, "PUT", AT)
    assert put["deployment_branch_policy"] == {"protected_branches": False, "custom_branch_policies": True}
    assert put["reviewers"] is None
    assert sent(script, "POST", POLICIES) == [{"name": "main", "type": "branch"}]


def test_existing_reviewers_stay() -> None:
    """GitHub's PUT removes what it is not given, so they are sent again; the branch is not added twice."""
    script = Script().on("GET", AT, answer(REVIEWED)).on("PUT", AT, answer({}))
    script.on("GET", POLICIES, answer(branches("main")))
    with serving(script):
        environments.ensure(script.github(), ["train"])
    (put,) = sent(script, "PUT", AT)
    assert put["reviewers"] == [{"type": "User", "id": 5}, {"type": "Team", "id": 6}]
    assert put["prevent_self_review"] is True
    assert put["can_admins_bypass"] is False
    assert sent(script, "POST", POLICIES) == []


def test_reviews_cannot_be_skipped() -> None:
    """Present reviewers stay if none is named; an environment without any is not changed."""
    open_to_admins = REVIEWED | {"can_admins_bypass": True}
    script = Script().on("GET", AT, answer(open_to_admins), refusal(404, "Not Found")).on("PUT", AT, answer({}))
    with serving(script):
        environments.set_reviewers(script.github(), "train", [])
        environments.set_reviewers(script.github(), "train", [])
    (put,) = sent(script, "PUT", AT)
    assert put["reviewers"] == [{"type": "User", "id": 5}, {"type": "Team", "id": 6}]
    assert (put["prevent_self_review"], put["can_admins_bypass"]) == (True, False)


def test_tag_of_that_name_is_no_branch() -> None:
    """A policy for tags named main does not admit the branch main, and does admit tags that anybody may push."""
    tags = {"total_count": 1, "branch_policies": [{"id": 1, "name": "main", "type": "tag"}]}
    script = Script().on("GET", AT, answer(REVIEWED)).on("PUT", AT, answer({})).on("GET", POLICIES, answer(tags))
    script.on("POST", POLICIES, answer({"id": 2, "name": "main"}))
    with serving(script):
        found = environments.read(script.github(), "train")
        environments.ensure(script.github(), ["train"])
    assert found is not None
    assert (found.branches, found.for_main_only) == (("tag main",), False)
    assert sent(script, "POST", POLICIES) == [{"name": "main", "type": "branch"}]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "Not Found"),
        (403, "Upgrade to GitHub Pro or make this repository public to enable this feature."),
        (422, "Failed to create the environment protection rule."),
    ],
)
def test_plan_without_environments_is_recognised(status: int, message: str) -> None:
    """The error has GitHub's words."""
    script = Script().on("GET", AT, refusal(404, "Not Found")).on("PUT", AT, refusal(status, message))
    with serving(script), pytest.raises(environments.NoEnvironments, match=rf"answered {status}, {message}"):
        environments.ensure(script.github(), ["train"])


def test_other_errors_are_not_taken_for_a_missing_plan() -> None:
    """An invalid token answers 401."""
    script = Script().on("GET", AT, refusal(401, "Bad credentials"))
    with serving(script), pytest.raises(GitHubError, match="Bad credentials") as caught:
        environments.ensure(script.github(), ["train"])
    assert not isinstance(caught.value, environments.NoEnvironments)


def test_environment_is_read_with_branches_reviewers_and_names_of_secrets() -> None:
    """An environment without a branch policy admits every branch; one that does not exist is None."""
    script = Script().on("GET", AT, answer(REVIEWED), answer({"name": "train", "deployment_branch_policy": None}))
    script.on("GET", POLICIES, answer(branches("main", "release/*")))
    script.on("GET", f"{AT}/secrets", answer({"total_count": 1, "secrets": [{"name": "KEY"}]}))
    with serving(script):
        found = environments.read(script.github(), "train")
        unlimited = environments.read(script.github(), "train")
        assert environments.read(script.github(), "other") is None
        assert environments.secret_names(script.github(), "train") == {"KEY"}
        assert environments.secret_names(script.github(), "other") == frozenset()
    assert found == environments.Environment(
        name="train",
        branches=("main", "release/*"),
        protected_branches=False,
        reviewers=("bob", "risk"),
        prevents_self_review=True,
        admins_bypass=False,
    )
    assert not found.for_main_only
    assert unlimited is not None
    assert (unlimited.branches, unlimited.for_main_only, unlimited.reviewers) == (None, False, ())
    assert unlimited.admins_bypass, "GitHub's default"


def test_every_page_of_secrets_is_read() -> None:
    """A key on the second page is not missing."""
    pages = [[{"name": f"K{number}"} for number in range(first, last)] for first, last in ((0, 30), (30, 31))]
    script = Script().on("GET", f"{AT}/secrets", *(answer({"total_count": 31, "secrets": page}) for page in pages))
    with serving(script):
        assert len(environments.secret_names(script.github(), "train")) == 31
