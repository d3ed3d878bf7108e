"""Reads the settings of a GitHub repository that the workflows depend on. Changes none of them.

What GitHub does not have is None or empty; what the token may not read is a GitHubError. Names and values are those of
GitHub's REST API, version 2022-11-28.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ml.gitops.github_client import GitHub, error_message, is_not_found

if TYPE_CHECKING:
    from github.Repository import Repository

ACTIONS_APP = 15368
"""The id of GitHub's own App "GitHub Actions", as which every workflow of the repository posts."""
_UNPROTECTED = "Branch not protected"


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A deployment environment: the patterns of the branches and tags that may use it, and its reviewers.

    `branches` is None if every branch may use it. `protected_branches` means each branch with a protection rule.
    """

    branches: tuple[str, ...] | None
    protected_branches: bool
    reviewers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RequiredCheck:
    """A status check that a branch requires; `app_id` is None if everybody may post it."""

    context: str
    app_id: int | None


@dataclass(kw_only=True)
class BranchRules:
    """What the rulesets and the protection of a branch require together.

    `approvals` is None if no pull request is required. `bypassing_apps` may push without a pull request: ids from
    rulesets, names from branch protection; None if the token may not read them.
    """

    approvals: int | None = None
    code_owners: bool = False
    checks: list[RequiredCheck] = field(default_factory=list)
    force_pushes: bool = True
    bypassing_apps: list[str] | None = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class WorkflowTokens:
    """The default permissions of workflow tokens, and whether they may create and approve pull requests."""

    default_permissions: str
    may_create_pull_requests: bool


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A workflow file on the default branch: `state` is active, disabled_manually, disabled_inactivity or another."""

    state: str
    created: str
    last_scheduled: str | None


def merge_methods(github: GitHub) -> dict[str, bool]:
    """Whether pull requests may be merged by each method: merge, squash, rebase; empty if the token may not see it."""
    found = _get(github, "the repository", "") or {}
    names = {method: f"allow_{method}" + ("_commit" if method == "merge" else "_merge") for method in _METHODS}
    return {method: bool(found[name]) for method, name in names.items() if name in found}


_METHODS = ("merge", "squash", "rebase")


def variables(github: GitHub) -> dict[str, str]:
    """The repository's Actions variables."""
    found = _pages(github, "the variables", "/actions/variables", "variables")
    return {item["name"]: item["value"] for item in found}


def environment(github: GitHub, name: str) -> Environment | None:
    """The environment `name`; None if there is none."""
    found = _get(github, f"the environment {name}", f"/environments/{name}")
    if found is None:
        return None
    policy = found.get("deployment_branch_policy") or {}
    patterns = None
    if policy.get("custom_branch_policies"):
        listed = _pages(
            github,
            f"the branches of the environment {name}",
            f"/environments/{name}/deployment-branch-policies",
            "branch_policies",
        )
        patterns = tuple(item["name"] for item in listed)
    reviewers = tuple(
        str(entry["reviewer"].get("login") or entry["reviewer"].get("slug"))
        for rule in found.get("protection_rules") or []
        if rule["type"] == "required_reviewers"
        for entry in rule.get("reviewers") or []
    )
    return Environment(
        branches=patterns, protected_branches=bool(policy.get("protected_branches")), reviewers=reviewers
    )


def branch_rules(github: GitHub, branch: str) -> BranchRules:
    """What the rulesets and the protection of `branch` require."""
    rules = BranchRules()
    listed = _get(github, f"the rules of {branch}", f"/rules/branches/{branch}") or []
    for rule in listed:
        _add_rule(rules, rule["type"], rule.get("parameters") or {})
    for number in dict.fromkeys(
        rule["ruleset_id"] for rule in listed if rule.get("ruleset_source_type") != "Organization"
    ):
        found = _get(github, f"ruleset {number}", f"/rulesets/{number}") or {}
        if "bypass_actors" not in found:
            rules.bypassing_apps = None  # GitHub shows them only to those who may edit the ruleset
        elif rules.bypassing_apps is not None:
            rules.bypassing_apps += [
                str(actor["actor_id"]) for actor in found["bypass_actors"] if actor["actor_type"] == "Integration"
            ]
    _add_protection(rules, _protection(github, branch))
    return rules


def workflow_tokens(github: GitHub) -> WorkflowTokens | None:
    """The settings of workflow tokens; None if GitHub shows none."""
    found = _get(github, "the workflow permissions", "/actions/permissions/workflow")
    if found is None:
        return None
    return WorkflowTokens(
        default_permissions=found["default_workflow_permissions"],
        may_create_pull_requests=found["can_approve_pull_request_reviews"],
    )


@dataclass(frozen=True, kw_only=True)
class OidcSubject:
    """How `sub` of the repository's OIDC tokens begins, e.g. `repo:OWNER/NAME` or `repo:OWNER@ID/NAME@ID`.

    `prefix` is None if the repository has a template of its own, whose claims are `own_claims`.
    """

    prefix: str | None
    own_claims: tuple[str, ...] = ()


def oidc_subject(github: GitHub) -> OidcSubject | None:
    """The subject of the repository's OIDC tokens; None if GitHub does not say."""
    found = _get(github, "the OIDC subject", "/actions/oidc/customization/sub")
    if found is None:
        return None
    if not found.get("use_default", True):
        return OidcSubject(prefix=None, own_claims=tuple(found.get("include_claim_keys") or ()))
    if found.get("sub_claim_prefix"):
        return OidcSubject(prefix=str(found["sub_claim_prefix"]))
    repository = _get(github, "the repository", "") or {}
    owner, _, name = str(repository.get("full_name", github.repository)).partition("/")
    if found.get("use_immutable_subject"):
        return OidcSubject(prefix=f"repo:{owner}@{repository['owner']['id']}/{name}@{repository['id']}")
    return OidcSubject(prefix=f"repo:{owner}/{name}")


def workflow(github: GitHub, file: str) -> Workflow | None:
    """The workflow `file` on the default branch, with the time of its last scheduled run; None if there is none."""
    found = _get(github, f"the workflow {file}", f"/actions/workflows/{file}")
    if found is None:
        return None
    runs = _get(github, f"the runs of {file}", f"/actions/workflows/{file}/runs?event=schedule&per_page=1") or {}
    scheduled = runs.get("workflow_runs") or []
    return Workflow(
        state=found["state"],
        created=found["created_at"],
        last_scheduled=scheduled[0]["created_at"] if scheduled else None,
    )


def _add_rule(rules: BranchRules, kind: str, given: Mapping[str, Any]) -> None:
    if kind == "pull_request":
        rules.approvals = max(rules.approvals or 0, int(given.get("required_approving_review_count") or 0))
        rules.code_owners |= bool(given.get("require_code_owner_review"))
    elif kind == "required_status_checks":
        rules.checks += [
            RequiredCheck(context=check["context"], app_id=check.get("integration_id"))
            for check in given.get("required_status_checks") or []
        ]
    elif kind == "non_fast_forward":
        rules.force_pushes = False


def _add_protection(rules: BranchRules, found: Mapping[str, Any] | None) -> None:
    if found is None:
        return
    rules.force_pushes &= bool((found.get("allow_force_pushes") or {}).get("enabled"))
    rules.checks += [
        RequiredCheck(context=check["context"], app_id=check.get("app_id"))
        for check in (found.get("required_status_checks") or {}).get("checks") or []
    ]
    reviews = found.get("required_pull_request_reviews")
    if reviews is None:
        return
    rules.approvals = max(rules.approvals or 0, int(reviews.get("required_approving_review_count") or 0))
    rules.code_owners |= bool(reviews.get("require_code_owner_reviews"))
    if rules.bypassing_apps is not None:
        apps = (reviews.get("bypass_pull_request_allowances") or {}).get("apps") or []
        rules.bypassing_apps += [app["slug"] if isinstance(app, dict) else str(app) for app in apps]


def _protection(github: GitHub, branch: str) -> Mapping[str, Any] | None:
    from github import GithubException

    def operation(repository: Repository) -> Mapping[str, Any] | None:
        try:
            _, found = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/branches/{branch}/protection")
        except GithubException as error:
            # GitHub answers 404 also to a token that may not read the protection: the message distinguishes them.
            if is_not_found(error) and _UNPROTECTED in error_message(error):
                return None
            raise
        protection: Mapping[str, Any] = found
        return protection

    return github.run(f"reading the protection of {branch}", operation)


def _pages(github: GitHub, what: str, path: str, key: str) -> list[dict[str, Any]]:
    """All items of a listing whose pages have `total_count`."""
    items: list[dict[str, Any]] = []
    while True:
        found = _get(github, what, f"{path}?per_page=30&page={len(items) // 30 + 1}") or {}
        items += found.get(key) or []
        if not found.get(key) or len(items) >= found["total_count"]:
            return items


def _get(github: GitHub, what: str, path: str) -> Any:
    """The JSON document at `path` below the repository; None if there is none (404)."""
    from github import GithubException

    def operation(repository: Repository) -> Any:
        try:
            return repository.requester.requestJsonAndCheck("GET", f"{repository.url}{path}")[1]
        except GithubException as error:
            if is_not_found(error):
                return None
            raise

    return github.run(f"reading {what} of {github.repository}", operation)
