"""The rules of main on the GitHub emulator: what bootstrap sets, what it keeps, and how every rule is read."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from local_github.domain.records import Repository
from local_github.server import LocalGitHub

from ml.errors import GitHubError
from ml.gitops import main_rules
from ml.gitops.github_apps import ACTIONS_APP
from ml.gitops.github_client import GitHub
from ml.gitops.main_rules import MainRules
from ml.gitops.repository import Repository as GitRepository
from tests.harness.git.repositories import GitWorkspace
from tests.harness.github.scripted import Script, answer, refusal, serving

STATUS_APP, BOT_APP = 4711, 4712
NONE = MainRules(
    reviews=None,
    code_owners=False,
    dismisses_stale=False,
    last_push=False,
    status=False,
    status_source=None,
    no_force_pushes=False,
    no_deletion=False,
    bypassing_apps=(),
    other_bypasses=(),
)
ALL = MainRules(
    reviews=1,
    code_owners=True,
    dismisses_stale=True,
    last_push=True,
    status=True,
    status_source=None,
    no_force_pushes=True,
    no_deletion=True,
    bypassing_apps=(),
    other_bypasses=(),
)
"""What bootstrap sets without Apps."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGitHub]:
    """One emulator for the file."""
    with LocalGitHub(tmp_path_factory.mktemp("github")) as running:
        running.backend.state.app_ids.update({"checker": STATUS_APP, "robot": BOT_APP})
        yield running


@pytest.fixture
def repository(server: LocalGitHub, request: pytest.FixtureRequest, tmp_path: Path) -> Repository:
    """A repository of this test's own, with one commit."""
    workspace = GitWorkspace(root=tmp_path, repository=GitRepository(tmp_path))
    workspace.git("init", "-q", "-b", "main")
    workspace.write({"README.md": "x\n"}, "Begin")
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name)[:80]
    return server.create_repository(f"acme/{name}-{uuid.uuid4().hex[:6]}", seed=tmp_path)


@pytest.fixture
def github(server: LocalGitHub, repository: Repository) -> GitHub:
    """A client of its administrator."""
    return GitHub(
        api_url=server.api_url, server_url=server.url, repository=repository.full_name, token=server.token("alice")
    )


def test_fresh_repository_has_no_rules(github: GitHub) -> None:
    """Everything is allowed, and nobody needs a bypass."""
    assert main_rules.read(github) == NONE


def test_rules_are_created_kept_and_updated(github: GitHub, repository: Repository) -> None:
    """A rerun with the same wishes writes nothing; the bot's App is the only one that may push."""
    assert main_rules.ensure(github, status_app=None, bypass_app=None) == "created"
    assert main_rules.read(github) == ALL
    assert main_rules.ensure(github, status_app=None, bypass_app=None) == "kept"
    assert main_rules.ensure(github, status_app=STATUS_APP, bypass_app=BOT_APP) == "updated"
    (ruleset,) = repository.rulesets.values()
    assert ruleset["bypass_actors"] == [{"actor_id": BOT_APP, "actor_type": "Integration", "bypass_mode": "always"}]
    assert main_rules.read(github) == replace(ALL, status_source=STATUS_APP, bypassing_apps=(str(BOT_APP),))


def test_rerun_loosens_nothing(github: GitHub, repository: Repository) -> None:
    """Apps that are not given stay, and so do more reviews, other checks and up-to-date branches."""
    main_rules.ensure(github, status_app=STATUS_APP, bypass_app=BOT_APP)
    (ruleset,) = repository.rulesets.values()
    pulls, checks = ruleset["rules"][0]["parameters"], ruleset["rules"][1]["parameters"]
    pulls["required_approving_review_count"] = 2
    checks["strict_required_status_checks_policy"] = True
    checks["required_status_checks"].append({"context": "licences"})
    before = main_rules.read(github)
    assert (before.reviews, before.status_source, before.bypassing_apps) == (2, STATUS_APP, (str(BOT_APP),))
    assert main_rules.ensure(github, status_app=None, bypass_app=None) == "kept"
    pulls["require_code_owner_review"] = False
    assert main_rules.ensure(github, status_app=None, bypass_app=None) == "updated"
    assert main_rules.read(github) == before
    (ruleset,) = repository.rulesets.values()
    parameters = ruleset["rules"][1]["parameters"]
    assert parameters["strict_required_status_checks_policy"] is True
    assert [check["context"] for check in parameters["required_status_checks"]] == ["fraudops/ci", "licences"]


def test_app_that_is_not_installed_is_an_error(github: GitHub) -> None:
    """GitHub refuses it; nothing is created."""
    with pytest.raises(GitHubError, match="setting the rules of main"):
        main_rules.ensure(github, status_app=1, bypass_app=None)
    assert not main_rules.read(github).status


RULES, PROTECTION, RULESET = "/rules/branches/main", "/branches/main/protection", "/rulesets/7"
UNPROTECTED = refusal(404, "Branch not protected")


def check(**source: int | None) -> dict[str, Any]:
    """A rule that requires fraudops/ci, of ruleset 7 of the repository."""
    parameters = {"required_status_checks": [{"context": "other"}, {"context": "fraudops/ci", **source}]}
    return {
        "type": "required_status_checks",
        "parameters": parameters,
        "ruleset_id": 7,
        "ruleset_source_type": "Repository",
    }


def read(script: Script) -> MainRules:
    """The rules of a scripted GitHub."""
    with serving(script):
        return main_rules.read(script.github())


def test_branch_protection_counts_like_a_ruleset() -> None:
    """The names of its settings differ; Apps are named by slug."""
    protection = {
        "required_status_checks": {"checks": [{"context": "fraudops/ci", "app_id": STATUS_APP}]},
        "required_pull_request_reviews": {
            "required_approving_review_count": 2,
            "require_code_owner_reviews": True,
            "dismiss_stale_reviews": True,
            "require_last_push_approval": True,
            "bypass_pull_request_allowances": {"apps": [{"slug": "robot"}]},
        },
        "allow_force_pushes": {"enabled": False},
        "allow_deletions": {"enabled": False},
        "enforce_admins": {"enabled": True},
    }
    found = read(Script().on("GET", RULES, answer([])).on("GET", PROTECTION, answer(protection)))
    assert found == replace(ALL, reviews=2, status_source=STATUS_APP, bypassing_apps=("robot",))
    protection |= {"allow_force_pushes": {"enabled": True}, "allow_deletions": {"enabled": True}}
    found = read(Script().on("GET", RULES, answer([])).on("GET", PROTECTION, answer(protection)))
    assert (found.no_force_pushes, found.no_deletion) == (False, False)


def test_stricter_of_ruleset_and_protection_counts() -> None:
    """GitHub applies both."""
    pulls = {"required_approving_review_count": 2, "require_code_owner_review": False}
    ruleset = {"type": "pull_request", "parameters": pulls, "ruleset_id": 7, "ruleset_source_type": "Organization"}
    protection = {"required_pull_request_reviews": {"require_code_owner_reviews": True}}
    found = read(Script().on("GET", RULES, answer([ruleset])).on("GET", PROTECTION, answer(protection)))
    assert (found.reviews, found.code_owners) == (2, True)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([check()], None),
        ([check(integration_id=-1)], None),
        ([check(integration_id=ACTIONS_APP)], ACTIONS_APP),
        ([check(integration_id=ACTIONS_APP), check(integration_id=STATUS_APP)], STATUS_APP),
    ],
)
def test_source_of_the_status_is_the_app_that_is_not_actions(rules: list[Any], expected: int | None) -> None:
    """-1 and no id accept any source."""
    script = Script().on("GET", RULES, answer(rules)).on("GET", PROTECTION, UNPROTECTED)
    found = read(script.on("GET", RULESET, answer({"bypass_actors": []})))
    assert (found.status, found.status_source, found.bypassing_apps) == (True, expected, ())


def test_bypass_that_github_does_not_show_is_unknown() -> None:
    """Only who may edit a ruleset sees it; users and roles are no Apps."""
    script = Script().on("GET", RULES, answer([check()])).on("GET", PROTECTION, UNPROTECTED)
    hidden = read(script.on("GET", RULESET, answer({"id": 7})))
    assert (hidden.bypassing_apps, hidden.other_bypasses) == (None, None)
    actors: list[dict[str, Any]] = [
        {"actor_type": "RepositoryRole", "actor_id": 5},
        {"actor_type": "Integration", "actor_id": BOT_APP},
        {"actor_type": "Team", "actor_id": 9},
        {"actor_type": "DeployKey", "actor_id": None},
    ]
    script = Script().on("GET", RULES, answer([check()])).on("GET", PROTECTION, UNPROTECTED)
    found = read(script.on("GET", RULESET, answer({"bypass_actors": actors})))
    assert found.bypassing_apps == (str(BOT_APP),)
    assert found.other_bypasses == ("administrators of the repository", "Team 9", "DeployKey")


def test_exemptions_of_protection_count_without_a_ruleset() -> None:
    """A ruleset that requires pull requests applies to those whom the protection exempts."""
    allowances = {"users": [{"login": "bob"}], "teams": [{"slug": "ops"}]}
    protection = {
        "required_pull_request_reviews": {"bypass_pull_request_allowances": allowances},
        "enforce_admins": {"enabled": False},
    }
    found = read(Script().on("GET", RULES, answer([])).on("GET", PROTECTION, answer(protection)))
    assert found.other_bypasses == ("administrators of the repository", "bob", "ops")
    pulls = {"type": "pull_request", "parameters": {}, "ruleset_id": 7, "ruleset_source_type": "Organization"}
    found = read(Script().on("GET", RULES, answer([pulls])).on("GET", PROTECTION, answer(protection)))
    assert found.other_bypasses == ()


def test_protection_that_the_token_may_not_read_is_an_error() -> None:
    """GitHub answers 404 to it as well, with another message."""
    script = Script().on("GET", RULES, answer([])).on("GET", PROTECTION, refusal(404, "Not Found"))
    with serving(script), pytest.raises(GitHubError, match="reading the protection of main"):
        main_rules.read(script.github())
