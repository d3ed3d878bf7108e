"""The rules that apply to a branch, from branch protection and from rulesets, in one form. Enforces nothing."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_github.domain.in_memory_store import State
from local_github.domain.records import Repository
from local_github.domain.tokens import Principal

HEADS = "refs/heads/"
ANY_APP = -1
MERGE_METHODS = ("merge", "squash", "rebase")
QUEUE_PREFIX = "gh-readonly-queue/"
"""The branches that merge queues build; only they write them."""
_ADMIN_ROLES = {"OrganizationAdmin": 1, "RepositoryRole": 5}
"""Bypass actors that stand for administrators: type → id."""


@dataclass(frozen=True, kw_only=True)
class ReviewRule:
    """What a pull request needs."""

    count: int = 0
    dismiss_stale: bool = False
    code_owners: bool = False
    last_push: bool = False
    merge_methods: frozenset[str] = frozenset(MERGE_METHODS)
    """The methods that may merge it; the repository's settings can forbid more."""


@dataclass(frozen=True, kw_only=True)
class QueueRule:
    """The merge queue of a branch."""

    merge_method: str
    """merge or squash."""
    max_entries_to_build: int
    timeout_minutes: int
    """After how long an entry without all its checks leaves the queue."""


@dataclass(frozen=True, kw_only=True)
class BranchRule:
    """One protection rule or ruleset that applies to a branch."""

    reviews: ReviewRule | None = None
    """None requires no pull request."""
    checks: tuple[tuple[str, int | None], ...] = ()
    """(context, id of the App that must have set it; None for any)."""
    strict: bool = False
    """The branch of a pull request must be up to date with its base."""
    queue: QueueRule | None = None
    """Changes must be made through this merge queue."""
    allow_force_pushes: bool = False
    allow_deletions: bool = False
    enforce_admins: bool = True
    apps: frozenset[str] = frozenset()
    """The slugs of Apps that bypass the rule."""
    merging_apps: frozenset[str] = frozenset()
    """The slugs of Apps that bypass it by merging a pull request only."""
    merging_admins: bool = False
    """Administrators bypass it by merging a pull request only."""
    code: str = "GH006"
    """GitHub's code in the message of a refused push."""

    @property
    def contexts(self) -> list[str]:
        """The required contexts."""
        return [context for context, _ in self.checks]

    def bypassed_by(self, repository: Repository, principal: Principal, *, merging: bool = False) -> bool:
        """Whether the caller need not obey, for a direct change or for the merge of a pull request."""
        if principal.is_admin(repository.full_name) and repository.permission_of(principal.login) == "admin":
            return not self.enforce_admins or (merging and self.merging_admins)
        apps = self.apps | (self.merging_apps if merging else frozenset())
        return principal.is_bot and not principal.is_workflow and principal.login.removesuffix("[bot]") in apps


def protection_rule(settings: Mapping[str, Any]) -> BranchRule:
    """The rule of `PUT …/branches/{branch}/protection`."""
    reviews, checks = settings.get("required_pull_request_reviews"), settings.get("required_status_checks") or {}
    allowed = ((reviews or {}).get("bypass_pull_request_allowances") or {}).get("apps") or []
    return BranchRule(
        reviews=None
        if reviews is None
        else ReviewRule(
            count=int(reviews.get("required_approving_review_count") or 0),
            dismiss_stale=bool(reviews.get("dismiss_stale_reviews")),
            code_owners=bool(reviews.get("require_code_owner_reviews")),
            last_push=bool(reviews.get("require_last_push_approval")),
        ),
        checks=_checks(checks),
        strict=bool(checks.get("strict")),
        allow_force_pushes=bool(settings.get("allow_force_pushes")),
        allow_deletions=bool(settings.get("allow_deletions")),
        enforce_admins=bool(settings.get("enforce_admins")),
        apps=frozenset(app["slug"] if isinstance(app, dict) else app for app in allowed),
    )


def _checks(settings: Mapping[str, Any]) -> tuple[tuple[str, int | None], ...]:
    found: dict[str, int | None] = {}
    for check in settings.get("checks") or ():
        app = check.get("app_id")
        found[check["context"]] = None if app in (None, ANY_APP) else int(app)
    for context in settings.get("contexts") or ():
        found.setdefault(context, None)
    return tuple(found.items())


def ruleset_rule(state: State, ruleset: Mapping[str, Any]) -> BranchRule:
    """The rule of a ruleset, whose parts `rulesets` has validated."""
    parameters = {rule["type"]: rule.get("parameters") or {} for rule in ruleset["rules"]}
    reviews, checks = parameters.get("pull_request"), parameters.get("required_status_checks", {})
    queue = parameters.get("merge_queue")
    admins: dict[str, bool] = {"always": False, "pull_request": False}
    apps: dict[str, set[str]] = {"always": set(), "pull_request": set()}
    slugs = {number: slug for slug, number in state.app_ids.items()}
    for actor in ruleset["bypass_actors"]:
        if actor["actor_type"] == "Integration":
            apps[actor["bypass_mode"]].add(slugs.get(actor["actor_id"], ""))
        else:
            admins[actor["bypass_mode"]] = True
    return BranchRule(
        reviews=None
        if reviews is None
        else ReviewRule(
            count=int(reviews["required_approving_review_count"]),
            dismiss_stale=reviews["dismiss_stale_reviews_on_push"],
            code_owners=reviews["require_code_owner_review"],
            last_push=reviews["require_last_push_approval"],
            merge_methods=frozenset(reviews["allowed_merge_methods"]),
        ),
        checks=tuple((check["context"], check.get("integration_id")) for check in checks["required_status_checks"])
        if checks
        else (),
        strict=bool(checks.get("strict_required_status_checks_policy")),
        queue=None
        if queue is None
        else QueueRule(
            merge_method=queue["merge_method"].lower(),
            max_entries_to_build=queue["max_entries_to_build"],
            timeout_minutes=queue["check_response_timeout_minutes"],
        ),
        allow_force_pushes="non_fast_forward" not in parameters,
        allow_deletions="deletion" not in parameters,
        enforce_admins=not admins["always"],
        merging_admins=admins["pull_request"],
        apps=frozenset(apps["always"]),
        merging_apps=frozenset(apps["pull_request"]),
        code="GH013",
    )


def is_administrator(actor_type: str, actor_id: Any) -> bool:
    """Whether a bypass actor stands for the administrators."""
    return actor_type in _ADMIN_ROLES and actor_id == _ADMIN_ROLES[actor_type]


def ruleset_applies(repository: Repository, ruleset: Mapping[str, Any], ref: str) -> bool:
    """Whether an active ruleset selects a full ref."""
    if ruleset["enforcement"] != "active" or ruleset["target"] != "branch" or not ref.startswith(HEADS):
        return False
    names = (ruleset.get("conditions") or {}).get("ref_name") or {"include": [], "exclude": []}

    def selected(pattern: str) -> bool:
        if pattern == "~ALL":
            return True
        if pattern == "~DEFAULT_BRANCH":
            return ref == f"{HEADS}{repository.default_branch}"
        return fnmatch.fnmatchcase(ref, pattern if pattern.startswith("refs/") else f"{HEADS}{pattern}")

    return any(map(selected, names["include"])) and not any(map(selected, names["exclude"]))


def rules_of(state: State, repository: Repository, ref: str) -> list[BranchRule]:
    """All rules that apply to a full ref: the branch's protection, then rulesets."""
    found = []
    if ref.startswith(HEADS) and ref.removeprefix(HEADS) in repository.protections:
        found.append(protection_rule(repository.protections[ref.removeprefix(HEADS)]))
    found += [
        ruleset_rule(state, ruleset)
        for ruleset in repository.rulesets.values()
        if ruleset_applies(repository, ruleset, ref)
    ]
    return found
