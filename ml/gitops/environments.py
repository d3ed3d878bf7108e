"""The environments of the workflows: creates them, limits them to main, sets reviewers, reads them. Deletes nothing.

Their names are defined here; infra/github-oidc.yaml, infra/github-staging.yaml, infra/serving-image.yaml and
.github/workflows contain the same ones. A job's OIDC token names its environment and not its branch, and a job gets the
secrets of its environment: so what makes both belong to main is the environment's list of branches.

Source: GitHub REST API, "Deployment environments", "Deployment branch policies", "GitHub Actions Secrets".
`can_admins_bypass`, which they do not explain: https://github.com/google/go-github/issues/2722 and 2725.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ml.errors import GitHubError
from ml.gitops import rest_reader
from ml.gitops.github_client import GitHub, error_message, is_not_found

if TYPE_CHECKING:
    from github.Repository import Repository

TRAIN, DRIFT, INFRASTRUCTURE, PRODUCTION = "train", "drift", "infrastructure", "production"
SERVING_IMAGE, STAGING = "serving-image", "staging"
CI_STATUS, BOT = "ci-status", "bot"
WITH_ROLE = (TRAIN, DRIFT, INFRASTRUCTURE, PRODUCTION, SERVING_IMAGE, STAGING)
"""Each is trusted by one role in AWS: of train.yml, drift.yml, infra.yml, deploy.yml, serving-image.yml and
deploy-staging.yml."""
NAMES = (*WITH_ROLE, CI_STATUS, BOT)
"""All; `ci-status` and `bot` have no role, and hold the key of the status App and of the bot's App."""
REVIEWED = PRODUCTION
"""The environment whose deployments a person approves."""
_BRANCH = "main"
_UNAVAILABLE = (403, 404, 422)
"""What GitHub answers where the plan of a private repository has no environments, or no branch policies for them."""


class NoEnvironments(GitHubError):
    """The repository's plan has no environments that can be limited to a branch, or the token may not create them."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """An environment: the patterns of its branches and tags, and its reviewers.

    `branches` is None if every branch may use it; a pattern of tags is `tag PATTERN`. `protected_branches` admits each
    branch with a protection rule.
    """

    name: str
    branches: tuple[str, ...] | None
    protected_branches: bool
    reviewers: tuple[str, ...]
    """Logins of users and slugs of teams."""
    prevents_self_review: bool
    admins_bypass: bool
    """Whether an administrator may start a waiting job without a review, as GitHub permits unless it is set."""

    @property
    def for_main_only(self) -> bool:
        """Whether a job of any other branch is refused."""
        return self.branches == (_BRANCH,)


def ensure(github: GitHub, names: Iterable[str]) -> None:
    """Creates each environment that is missing, and limits each to main; reviewers and secrets stay.

    Patterns that a person has added stay too; `read` shows them.

    Raises:
        NoEnvironments: GitHub refuses; the message has GitHub's words.
    """
    for name in names:
        github.run(f"creating the environment {name}", partial(_ensure, name=name))


def set_reviewers(github: GitHub, name: str, reviewers: Iterable[str]) -> None:
    """Sets the reviewers of an environment: users, and teams as ORG/TEAM; if none is given, the present ones stay.

    The person who started a run may not approve it, and no administrator may skip the review. An environment that would
    have no reviewers is not changed.

    Raises:
        GitHubError: there is no such user or team, or GitHub refuses.
    """

    def operation(repository: Repository) -> None:
        chosen = [_reviewer(repository, reviewer) for reviewer in reviewers]
        chosen = chosen or _present_reviewers(_get(repository, name) or {})
        if chosen:
            _put(repository, name, chosen, prevent_self_review=True, admins_bypass=False)

    github.run(f"setting the reviewers of the environment {name}", operation)


def read(github: GitHub, name: str) -> Environment | None:
    """The environment; None if there is none."""
    found = rest_reader.document(github, f"the environment {name}", f"/environments/{name}")
    if found is None:
        return None
    policy, rule = found.get("deployment_branch_policy") or {}, _review_rule(found)
    patterns = None
    if policy.get("custom_branch_policies"):
        what, path = f"the branches of the environment {name}", f"/environments/{name}/deployment-branch-policies"
        patterns = tuple(_pattern(item) for item in rest_reader.items(github, what, path, "branch_policies"))
    return Environment(
        name=name,
        branches=patterns,
        protected_branches=bool(policy.get("protected_branches")),
        reviewers=tuple(
            str(each["reviewer"].get("login") or each["reviewer"]["slug"]) for each in rule.get("reviewers") or []
        ),
        prevents_self_review=bool(rule.get("prevent_self_review")),
        admins_bypass=_admins_bypass(found),
    )


def secret_names(github: GitHub, name: str) -> frozenset[str]:
    """The names of an environment's secrets; empty if there is no such environment."""
    what = f"the secrets of the environment {name}"
    listed = rest_reader.items(github, what, f"/environments/{name}/secrets", "secrets")
    return frozenset(str(item["name"]) for item in listed)


def _ensure(repository: Repository, *, name: str) -> None:
    from github import GithubException

    try:
        found = _get(repository, name) or {}
        prevent = bool(_review_rule(found).get("prevent_self_review"))
        _put(
            repository,
            name,
            _present_reviewers(found),
            prevent_self_review=prevent,
            admins_bypass=_admins_bypass(found),
        )
        if _BRANCH not in _branches(repository, name):
            repository.requester.requestJsonAndCheck(
                "POST",
                f"{_url(repository, name)}/deployment-branch-policies",
                input={"name": _BRANCH, "type": "branch"},
            )
    except GithubException as error:
        if error.status not in _UNAVAILABLE:
            raise
        raise NoEnvironments(
            f"{repository.full_name} cannot have the environment {name} limited to {_BRANCH}: GitHub answered "
            f"{error.status}, {error_message(error)}"
        ) from error


def _put(
    repository: Repository,
    name: str,
    reviewers: list[dict[str, Any]],
    *,
    prevent_self_review: bool,
    admins_bypass: bool,
) -> None:
    repository.requester.requestJsonAndCheck(
        "PUT",
        _url(repository, name),
        input={
            "reviewers": reviewers or None,
            "prevent_self_review": prevent_self_review,
            "can_admins_bypass": admins_bypass,
            "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
        },
    )


def _get(repository: Repository, name: str) -> dict[str, Any] | None:
    from github import GithubException

    try:
        _, found = repository.requester.requestJsonAndCheck("GET", _url(repository, name))
    except GithubException as error:
        if not is_not_found(error):
            raise
        return None
    return dict(found)


def _branches(repository: Repository, name: str) -> list[str]:
    url = f"{_url(repository, name)}/deployment-branch-policies?per_page=100"
    _, found = repository.requester.requestJsonAndCheck("GET", url)
    return [_pattern(item) for item in found["branch_policies"]]


def _pattern(policy: Mapping[str, Any]) -> str:
    """A policy's pattern; that of tags has the prefix `tag `, which no name of a branch can have."""
    tags = policy.get("type") == "tag"
    return f"tag {policy['name']}" if tags else str(policy["name"])


def _review_rule(found: dict[str, Any]) -> dict[str, Any]:
    rules = [rule for rule in found.get("protection_rules", []) if rule["type"] == "required_reviewers"]
    return dict(rules[0]) if rules else {}


def _present_reviewers(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": each["type"], "id": each["reviewer"]["id"]} for each in _review_rule(found).get("reviewers") or []]


def _admins_bypass(found: dict[str, Any]) -> bool:
    """Whether administrators may skip the rules; an answer without the field has GitHub's default, true."""
    return bool(found.get("can_admins_bypass", True))


def _reviewer(repository: Repository, reviewer: str) -> dict[str, Any]:
    from github import GithubException

    owner, _, team = reviewer.partition("/")
    base = repository.url.partition("/repos/")[0]
    path = f"/orgs/{owner}/teams/{team}" if team else f"/users/{owner}"
    try:
        _, found = repository.requester.requestJsonAndCheck("GET", f"{base}{path}")
    except GithubException as error:
        if not is_not_found(error):
            raise
        raise GitHubError(
            f"reviewer {reviewer}: GitHub shows no such {'team' if team else 'user'} to this token; give a LOGIN or "
            "ORG/TEAM that may read the repository"
        ) from error
    return {"type": "Team" if team else "User", "id": found["id"]}


def _url(repository: Repository, name: str) -> str:
    return f"{repository.url}/environments/{name}"
