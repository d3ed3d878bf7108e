"""Sets the rules of main as one ruleset, and reads the rules that apply to main, of every ruleset. Deletes none.

Rules need a second person: a review by a code owner that is not the author's, and a status that only one App can post.
Administrators are not exempt. The App of the bot may bypass the rules, if there is one: it pushes retrain requests and
gate failures.

Source: GitHub REST API, "Rules" ("Create a repository ruleset", "Get rules for a branch").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml.gitops.commit_statuses import CI
from ml.gitops.github_client import GitHub

if TYPE_CHECKING:
    from github.Repository import Repository

NAME = "fraudops: main"
_BRANCH = "main"


@dataclass(frozen=True, kw_only=True)
class MainRules:
    """The rules that apply to main."""

    reviews: int | None
    """Required approving reviews; None if no pull request is required."""
    code_owners: bool
    """Whether a code owner of each changed file has to approve."""
    dismisses_stale: bool
    """Whether a push withdraws approvals."""
    last_push: bool
    """Whether somebody other than the last pusher has to approve."""
    status: bool
    """Whether `fraudops/ci` is required."""
    status_source: int | None
    """The id of the App that has to post it; None: any."""
    no_force_pushes: bool
    no_deletion: bool


def ensure(github: GitHub, *, status_app: int | None, bypass_app: int | None, reviews: int = 1) -> str:
    """Creates or updates the ruleset; returns `created`, `updated` or `kept`.

    Args:
        status_app: the id of the App that posts `fraudops/ci`; None accepts any source.
        bypass_app: the id of the App that may push to main; None lets nobody.
        reviews: how many approving reviews a pull request needs.

    Raises:
        GitHubError: the repository's plan has no rulesets, or the token lacks administration.
    """
    wanted = _ruleset(status_app=status_app, bypass_app=bypass_app, reviews=reviews)

    def operation(repository: Repository) -> str:
        request, url = repository.requester.requestJsonAndCheck, f"{repository.url}/rulesets"
        _, listed = request("GET", f"{url}?includes_parents=false&per_page=100")
        identifier = next((item["id"] for item in listed if item["name"] == NAME), None)
        if identifier is None:
            request("POST", url, input=wanted)
            return "created"
        _, found = request("GET", f"{url}/{identifier}")
        if all(_same(value, found.get(key)) for key, value in wanted.items()):
            return "kept"
        request("PUT", f"{url}/{identifier}", input=wanted)
        return "updated"

    return github.run(f"setting the rules of {_BRANCH}", operation)


def read(github: GitHub) -> MainRules:
    """The rules that apply to main, of the repository's and the organisation's rulesets."""

    def operation(repository: Repository) -> list[dict[str, Any]]:
        url = f"{repository.url}/rules/branches/{_BRANCH}?per_page=100"
        _, found = repository.requester.requestJsonAndCheck("GET", url)
        return list(found)

    rules: dict[str, list[dict[str, Any]]] = {}
    for rule in github.run(f"reading the rules of {_BRANCH}", operation):
        rules.setdefault(rule["type"], []).append(rule.get("parameters") or {})
    pulls = rules.get("pull_request", [])
    checks = [
        check
        for each in rules.get("required_status_checks", [])
        for check in each["required_status_checks"]
        if check["context"] == CI
    ]
    return MainRules(
        reviews=max((int(each["required_approving_review_count"]) for each in pulls), default=None),
        code_owners=any(each["require_code_owner_review"] for each in pulls),
        dismisses_stale=any(each["dismiss_stale_reviews_on_push"] for each in pulls),
        last_push=any(each["require_last_push_approval"] for each in pulls),
        status=bool(checks),
        status_source=next((check["integration_id"] for check in checks if check.get("integration_id")), None),
        no_force_pushes="non_fast_forward" in rules,
        no_deletion="deletion" in rules,
    )


def _ruleset(*, status_app: int | None, bypass_app: int | None, reviews: int) -> dict[str, Any]:
    check: dict[str, Any] = {"context": CI} | ({"integration_id": status_app} if status_app is not None else {})
    bypass = [{"actor_id": bypass_app, "actor_type": "Integration", "bypass_mode": "always"}]
    return {
        "name": NAME,
        "target": "branch",
        "enforcement": "active",
        "bypass_actors": bypass if bypass_app is not None else [],
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [
            {
                "type": "pull_request",
                "parameters": {
                    "required_approving_review_count": reviews,
                    "require_code_owner_review": True,
                    "dismiss_stale_reviews_on_push": True,
                    "require_last_push_approval": True,
                    "required_review_thread_resolution": False,
                    "allowed_merge_methods": ["merge"],  # a rollback reverts one of an approval's commits
                },
            },
            {
                "type": "required_status_checks",
                "parameters": {"strict_required_status_checks_policy": False, "required_status_checks": [check]},
            },
            {"type": "non_fast_forward"},
            {"type": "deletion"},
        ],
    }


def _same(wanted: Any, found: Any) -> bool:
    """Whether GitHub's answer has what is wanted; it adds fields of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_same(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(_same, wanted, found))
    return bool(wanted == found)
