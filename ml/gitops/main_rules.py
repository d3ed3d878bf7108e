"""Sets the rules of main as one ruleset, and reads those of every ruleset and of branch protection. Deletes none.

Rules need a second person: a review by a code owner that is not the author's, and a status that only one App can post.
Administrators are not exempt. The App of the bot may bypass the rules, if there is one: it pushes retrain requests and
gate failures.

Source: GitHub REST API, "Rules" ("Create a repository ruleset", "Get rules for a branch"), "Protected branches".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml.gitops import rest_reader
from ml.gitops.commit_statuses import CI
from ml.gitops.github_apps import ACTIONS_APP
from ml.gitops.github_client import GitHub, error_message, is_not_found

if TYPE_CHECKING:
    from github.Repository import Repository

NAME = "fraudops: main"
_BRANCH = "main"
_UNPROTECTED = "Branch not protected"
_ADMINISTRATORS = "administrators of the repository"
_ACTORS: Mapping[tuple[str, int | None], str] = {
    ("RepositoryRole", 5): _ADMINISTRATORS,
    ("OrganizationAdmin", 1): "owners of the organisation",
}
"""Bypass actors with a fixed id, in words."""


@dataclass(frozen=True, kw_only=True)
class MainRules:
    """The rules that apply to main, of all rulesets and of branch protection together."""

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
    bypassing_apps: tuple[str, ...] | None
    """Apps that may push without a pull request: ids from rulesets, slugs from protection; None if not shown."""
    other_bypasses: tuple[str, ...] | None
    """Who else is exempt from the reviews and checks, such as administrators and deploy keys; None if not shown."""


def ensure(github: GitHub, *, status_app: int | None, bypass_app: int | None) -> str:
    """Creates or updates the ruleset; returns `created`, `updated` or `kept`.

    It loosens nothing: an App that is not given stays, and so do more reviews, other checks and other rules.

    Args:
        status_app: the id of the App that posts `fraudops/ci`; None keeps the present one, which at first is any.
        bypass_app: the id of the App that may push to main; None keeps the present ones, at first nobody.

    Raises:
        GitHubError: the repository's plan has no rulesets, or the token lacks administration.
    """

    def operation(repository: Repository) -> str:
        request, url = repository.requester.requestJsonAndCheck, f"{repository.url}/rulesets"
        _, listed = request("GET", f"{url}?includes_parents=false&per_page=100")
        identifier = next((item["id"] for item in listed if item["name"] == NAME), None)
        if identifier is None:
            request("POST", url, input=_ruleset({}, status_app=status_app, bypass_app=bypass_app))
            return "created"
        _, found = request("GET", f"{url}/{identifier}")
        wanted = _ruleset(found, status_app=status_app, bypass_app=bypass_app)
        if all(_same(value, found.get(key)) for key, value in wanted.items()):
            return "kept"
        request("PUT", f"{url}/{identifier}", input=wanted)
        return "updated"

    return github.run(f"setting the rules of {_BRANCH}", operation)


def read(github: GitHub) -> MainRules:
    """The rules that apply to main, of the repository's and the organisation's rulesets and of branch protection.

    Raises:
        GitHubError: the token may not read them.
    """
    listed = rest_reader.document(github, f"the rules of {_BRANCH}", f"/rules/branches/{_BRANCH}?per_page=100") or []
    protection = _protection(github) or {}
    rules: dict[str, list[Mapping[str, Any]]] = {}
    for rule in listed:
        rules.setdefault(rule["type"], []).append(rule.get("parameters") or {})
    pulls = [_Reviews.of_ruleset(given) for given in rules.get("pull_request", [])]
    if protection.get("required_pull_request_reviews") is not None:
        pulls.append(_Reviews.of_protection(protection["required_pull_request_reviews"]))
    sources = [source for given in rules.get("required_status_checks", []) for source in _sources(given)]
    sources += _sources_of_protection(protection)
    apps = [source for source in sources if source not in (None, -1)]  # -1: any App
    bypasses = _ruleset_bypasses(github, listed)
    return MainRules(
        reviews=max((each.count for each in pulls), default=None),
        code_owners=any(each.code_owners for each in pulls),
        dismisses_stale=any(each.dismisses_stale for each in pulls),
        last_push=any(each.last_push for each in pulls),
        status=bool(sources),
        status_source=max(apps, key=lambda app: app != ACTIONS_APP, default=None),
        no_force_pushes="non_fast_forward" in rules or _forbids(protection, "allow_force_pushes"),
        no_deletion="deletion" in rules or _forbids(protection, "allow_deletions"),
        bypassing_apps=None if bypasses is None else (*_apps(bypasses), *_apps_of_protection(protection)),
        other_bypasses=None if bypasses is None else (*_others(bypasses), *_others_of_protection(rules, protection)),
    )


@dataclass(frozen=True, kw_only=True)
class _Reviews:
    """The reviews that one rule requires; rulesets and branch protection spell its settings differently."""

    count: int
    code_owners: bool
    dismisses_stale: bool
    last_push: bool

    @classmethod
    def of_ruleset(cls, given: Mapping[str, Any]) -> _Reviews:
        return cls(
            count=int(given.get("required_approving_review_count") or 0),
            code_owners=bool(given.get("require_code_owner_review")),
            dismisses_stale=bool(given.get("dismiss_stale_reviews_on_push")),
            last_push=bool(given.get("require_last_push_approval")),
        )

    @classmethod
    def of_protection(cls, given: Mapping[str, Any]) -> _Reviews:
        return cls(
            count=int(given.get("required_approving_review_count") or 0),
            code_owners=bool(given.get("require_code_owner_reviews")),
            dismisses_stale=bool(given.get("dismiss_stale_reviews")),
            last_push=bool(given.get("require_last_push_approval")),
        )


def _sources(parameters: Mapping[str, Any]) -> Iterator[int | None]:
    """The App of each required `fraudops/ci` of a ruleset's rule; None accepts any."""
    for check in parameters.get("required_status_checks") or []:
        if check["context"] == CI:
            yield check.get("integration_id")


def _sources_of_protection(protection: Mapping[str, Any]) -> Iterator[int | None]:
    for check in (protection.get("required_status_checks") or {}).get("checks") or []:
        if check["context"] == CI:
            yield check.get("app_id")


def _forbids(protection: Mapping[str, Any], setting: str) -> bool:
    """Whether there is a protection that does not allow `setting`."""
    return bool(protection) and not (protection.get(setting) or {}).get("enabled")


def _ruleset_bypasses(github: GitHub, listed: list[Mapping[str, Any]]) -> list[Mapping[str, Any]] | None:
    """The bypass actors of the repository's rulesets; None if GitHub does not show them to this token."""
    found: list[Mapping[str, Any]] = []
    own = [rule["ruleset_id"] for rule in listed if rule.get("ruleset_source_type") != "Organization"]
    for number in dict.fromkeys(own):
        ruleset = rest_reader.document(github, f"ruleset {number}", f"/rulesets/{number}") or {}
        if "bypass_actors" not in ruleset:
            return None  # GitHub shows them only to those who may edit the ruleset
        found += ruleset["bypass_actors"]
    return found


def _apps(actors: list[Mapping[str, Any]]) -> Iterator[str]:
    return (str(actor["actor_id"]) for actor in actors if actor["actor_type"] == "Integration")


def _others(actors: list[Mapping[str, Any]]) -> Iterator[str]:
    """The bypass actors that are no Apps: roles, teams, deploy keys, each with its id."""
    for actor in actors:
        kind, number = str(actor["actor_type"]), actor.get("actor_id")
        if kind != "Integration":
            yield _ACTORS.get((kind, number)) or (kind if number is None else f"{kind} {number}")


def _apps_of_protection(protection: Mapping[str, Any]) -> Iterator[str]:
    for app in _allowances(protection).get("apps") or []:
        yield app["slug"] if isinstance(app, dict) else str(app)


def _others_of_protection(rules: Mapping[str, Any], protection: Mapping[str, Any]) -> Iterator[str]:
    """Who is exempt from branch protection, if no ruleset requires the pull request of them too."""
    if not protection or "pull_request" in rules:
        return
    if not (protection.get("enforce_admins") or {}).get("enabled"):
        yield _ADMINISTRATORS
    for kind, key in (("users", "login"), ("teams", "slug")):
        for each in _allowances(protection).get(kind) or []:
            yield str(each[key] if isinstance(each, dict) else each)


def _allowances(protection: Mapping[str, Any]) -> Mapping[str, Any]:
    reviews = protection.get("required_pull_request_reviews") or {}
    return reviews.get("bypass_pull_request_allowances") or {}


def _protection(github: GitHub) -> Mapping[str, Any] | None:
    from github import GithubException

    def operation(repository: Repository) -> Mapping[str, Any] | None:
        try:
            _, found = repository.requester.requestJsonAndCheck(
                "GET", f"{repository.url}/branches/{_BRANCH}/protection"
            )
        except GithubException as error:
            # GitHub answers 404 also to a token that may not read the protection: the message distinguishes them.
            if is_not_found(error) and _UNPROTECTED in error_message(error):
                return None
            raise
        protection: Mapping[str, Any] = found
        return protection

    return github.run(f"reading the protection of {_BRANCH}", operation)


def _ruleset(present: Mapping[str, Any], *, status_app: int | None, bypass_app: int | None) -> dict[str, Any]:
    """The ruleset as it should be; what is not given is that of the present one, which is empty for a new ruleset."""
    rules: dict[str, Mapping[str, Any]] = {
        rule["type"]: rule.get("parameters") or {} for rule in present.get("rules") or []
    }
    pulls, checks = rules.get("pull_request", {}), rules.get("required_status_checks", {})
    source = status_app if status_app is not None else next(_sources(checks), None)
    check: dict[str, Any] = {"context": CI} | ({"integration_id": source} if source is not None else {})
    others = [each for each in checks.get("required_status_checks") or [] if each["context"] != CI]
    bypass = [{"actor_id": bypass_app, "actor_type": "Integration", "bypass_mode": "always"}]
    own: list[dict[str, Any]] = [
        {
            "type": "pull_request",
            "parameters": {
                "required_approving_review_count": max(1, int(pulls.get("required_approving_review_count") or 0)),
                "require_code_owner_review": True,
                "dismiss_stale_reviews_on_push": True,
                "require_last_push_approval": True,
                "required_review_thread_resolution": bool(pulls.get("required_review_thread_resolution")),
                "allowed_merge_methods": ["merge"],  # a rollback reverts one of an approval's commits
            },
        },
        {
            "type": "required_status_checks",
            "parameters": {
                "strict_required_status_checks_policy": bool(checks.get("strict_required_status_checks_policy")),
                "required_status_checks": [check, *others],
            },
        },
        {"type": "non_fast_forward"},
        {"type": "deletion"},
    ]
    kinds = {rule["type"] for rule in own}
    return {
        "name": NAME,
        "target": "branch",
        "enforcement": "active",
        "bypass_actors": bypass if bypass_app is not None else list(present.get("bypass_actors") or ()),
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [*own, *(rule for rule in present.get("rules") or [] if rule["type"] not in kinds)],
    }


def _same(wanted: Any, found: Any) -> bool:
    """Whether GitHub's answer has what is wanted; it adds fields of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_same(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(_same, wanted, found))
    return bool(wanted == found)
