"""Sets the repository's settings that need no person's choice, and says which settings are missing, one line each.

It never loosens a setting, and never names a reviewer or an App that it was not given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ml.gitops import code_owners, environments, main_rules
from ml.gitops.environments import Environment
from ml.gitops.github_client import GitHub
from ml.gitops.main_rules import MainRules

if TYPE_CHECKING:
    from github.Repository import Repository

PRODUCTION = "production"
CI_STATUS = "ci-status"
"""The environment of ci-status.yml, which holds the key of the App that posts fraudops/ci."""
STATUS_APP = "FRAUDOPS_STATUS_APP_CLIENT_ID"
STATUS_KEY = "FRAUDOPS_STATUS_APP_PRIVATE_KEY"
BOT_APP = "FRAUDOPS_APP_CLIENT_ID"
BOT_KEY = "FRAUDOPS_APP_PRIVATE_KEY"


def configure(github: GitHub) -> None:
    """Sets what the workflows need whatever the team is: read-only tokens, pull requests by Actions, merge commits."""

    def operation(repository: Repository) -> None:
        request = repository.requester.requestJsonAndCheck
        wanted = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
        request("PUT", f"{repository.url}/actions/permissions/workflow", input=wanted)
        merges = {"allow_merge_commit": True, "allow_squash_merge": False, "allow_rebase_merge": False}
        request("PATCH", repository.url, input=merges)

    github.run(f"setting up Actions and merges of {github.repository}", operation)


def require_second_person(
    github: GitHub, *, reviewers: Sequence[str] = (), status_app: int | None = None, bot_app: int | None = None
) -> None:
    """Sets the rules of main, and the reviewers of `production` if there are any.

    Args:
        github: a client that may administer the repository.
        reviewers: who approves deployments: logins, or teams as ORG/TEAM.
        status_app: the id of the App that posts fraudops/ci; None accepts any source.
        bot_app: the id of the App that may push retrain requests and gate failures to main; None lets nobody.

    Raises:
        GitHubError: the plan has no rulesets, a reviewer does not exist, or the token lacks administration.
    """
    main_rules.ensure(github, status_app=status_app, bypass_app=bot_app)
    if reviewers:
        environments.set_reviewers(github, PRODUCTION, reviewers)


def missing(github: GitHub, names: Sequence[str]) -> list[str]:
    """What a person still has to set, one line each with the reason; read from GitHub.

    Args:
        github: a client with read access to settings, variables, environments and the names of secrets.
        names: the environments of the workflows; empty if the repository's plan has none.
    """
    settings = _settings(github)
    return [
        *_of_environments(github, names),
        *_of_keys(settings, github, names),
        *_of_main(main_rules.read(github)),
        *(
            f"{folder} has no code owner on main: commit .github/CODEOWNERS (--code-owner @LOGIN writes it)"
            for folder in code_owners.without_owner(github)
        ),
        *_of_settings(settings),
    ]


@dataclass(frozen=True, kw_only=True)
class _Settings:
    repository: dict[str, Any]
    workflow: dict[str, Any]
    variables: frozenset[str]
    secrets: frozenset[str]


def _settings(github: GitHub) -> _Settings:
    def operation(repository: Repository) -> _Settings:
        request, url = repository.requester.requestJsonAndCheck, repository.url
        return _Settings(
            repository=request("GET", url)[1],
            workflow=request("GET", f"{url}/actions/permissions/workflow")[1],
            variables=_all_names(repository, "variables"),
            secrets=_all_names(repository, "secrets"),
        )

    return github.run(f"reading the settings of {github.repository}", operation)


def _all_names(repository: Repository, kind: str) -> frozenset[str]:
    names: set[str] = set()
    page = 1
    while True:
        _, found = repository.requester.requestJsonAndCheck(
            "GET", f"{repository.url}/actions/{kind}?per_page=30&page={page}"
        )
        names.update(str(item["name"]) for item in found[kind])
        if not found[kind] or len(names) >= int(found["total_count"]):
            return frozenset(names)
        page += 1


def _of_environments(github: GitHub, names: Sequence[str]) -> Iterator[str]:
    for name in (*names, CI_STATUS) if names else ():
        found = environments.read(github, name)
        if found is None:
            yield f"environment `{name}` is missing: create it, deployment branches: selected, `main` only"
            continue
        if not found.for_main_only:
            admitted = "every branch" if found.branches is None else ", ".join(found.branches) or "no branch"
            yield f"environment `{name}` admits {admitted}: limit it to `main`, or others get its role and secrets"
        if name == PRODUCTION:
            yield from _of_production(found)
        if name == CI_STATUS and STATUS_KEY not in found.secrets:
            yield (
                f"environment `{name}` has no secret {STATUS_KEY}: add the key of an App that may write commit "
                "statuses and nothing else, so that no branch can post fraudops/ci"
            )


def _of_production(found: Environment) -> Iterator[str]:
    if not found.reviewers:
        yield f"environment `{found.name}` has no reviewers: name somebody with --reviewer LOGIN --protect"
    elif not found.prevents_self_review:
        yield f'environment `{found.name}` lets people approve their own deployments: tick "Prevent self-review"'


def _of_keys(settings: _Settings, github: GitHub, names: Sequence[str]) -> Iterator[str]:
    if STATUS_APP not in settings.variables and names:
        yield f"variable {STATUS_APP} is missing: the client id of the App that posts fraudops/ci"
    for key in (STATUS_KEY, BOT_KEY):
        if key in settings.secrets:
            where = f"`{CI_STATUS}`" if key == STATUS_KEY else ", ".join(f"`{name}`" for name in names)
            move = f": move it to the environments {where}" if names else ", since there are no environments"
            yield f"secret {key} belongs to the repository, so every branch can read it{move}"
    if BOT_APP in settings.variables and names and BOT_KEY not in settings.secrets:
        for name in ("train", "drift", PRODUCTION):
            found = environments.read(github, name)
            if found is not None and BOT_KEY not in found.secrets:
                yield f"environment `{name}` has no secret {BOT_KEY}: its workflow acts as the App {BOT_APP}"


def _of_main(rules: MainRules) -> Iterator[str]:
    if rules.reviews is None:
        yield "main accepts pushes without a pull request: set its rules with --protect"
    elif not rules.reviews:
        yield "main requires no review: require one approval (--protect), so that nobody merges alone"
    if rules.reviews is not None and not rules.code_owners:
        yield "main requires no review by code owners (--protect)"
    if rules.reviews is not None and not rules.dismisses_stale:
        yield "main keeps approvals of commits that were replaced: dismiss stale approvals (--protect)"
    if rules.reviews is not None and not rules.last_push:
        yield "main accepts the last pusher's own approval: require approval of the last push (--protect)"
    if not rules.status:
        yield "main does not require the status fraudops/ci (--protect)"
    elif rules.status_source is None:
        yield "main accepts fraudops/ci from any source, also from a branch's own workflow: --status-app ID --protect"
    if not rules.no_force_pushes:
        yield "main accepts force pushes: block them (--protect)"
    if not rules.no_deletion:
        yield "main can be deleted: restrict deletions (--protect)"


def _of_settings(settings: _Settings) -> Iterator[str]:
    if settings.workflow["default_workflow_permissions"] != "read":
        yield "Settings, Actions, General: workflow permissions are not read-only; each job asks for what it needs"
    if not settings.workflow["can_approve_pull_request_reviews"]:
        yield 'Settings, Actions, General: tick "Allow GitHub Actions to create and approve pull requests"'
    for field, what in (("allow_squash_merge", "squash"), ("allow_rebase_merge", "rebase")):
        if settings.repository.get(field):
            yield f"Settings, General: {what} merges are allowed; a rollback reverts one commit of a merged approval"
