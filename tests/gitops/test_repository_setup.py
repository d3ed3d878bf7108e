"""What bootstrap sets in a repository, and what it says is missing, on the GitHub emulator."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_github.domain.records import Repository
from local_github.server import LocalGitHub

from ml.errors import ConfigError, GitHubError
from ml.gitops import code_owners, environments, main_rules, repository_setup
from ml.gitops.github_client import GitHub
from ml.gitops.repository import Repository as GitRepository
from tests.harness.git.repositories import GitWorkspace

NAMES = ("train", "production")
STATUS_APP, BOT_APP = 4711, 4712


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


def write_owners(github: GitHub, text: str) -> None:
    """Commits .github/CODEOWNERS to main."""
    github.run("x", lambda repository: repository.create_file(str(code_owners.FILE), "Add owners", text))


def test_fresh_repository_lacks_everything(github: GitHub) -> None:
    """One line for each, with what to do."""
    lines = repository_setup.missing(github, NAMES)
    for expected in (
        "environment `train` is missing",
        "environment `production` is missing",
        "environment `ci-status` is missing",
        "variable FRAUDOPS_STATUS_APP_CLIENT_ID is missing",
        "main accepts pushes without a pull request",
        "main does not require the status fraudops/ci",
        "main accepts force pushes",
        "main can be deleted",
        "/model-config/ has no code owner",
        "/infra/ has no code owner",
        "/.github/ has no code owner",
        "squash merges are allowed",
    ):
        assert len([line for line in lines if expected in line]) == 1, expected
    assert all("\n" not in line for line in lines)


def test_second_person_is_required_and_nothing_of_it_is_missing(github: GitHub, repository: Repository) -> None:
    """What remains are the reviewers and the App's key, which a person has."""
    write_owners(github, code_owners.text("@acme/risk"))
    environments.ensure(github, (*NAMES, repository_setup.CI_STATUS))
    repository_setup.configure(github)
    repository_setup.require_second_person(github, status_app=STATUS_APP, bot_app=BOT_APP)
    repository.variables[repository_setup.STATUS_APP] = "Iv1"
    lines = repository_setup.missing(github, NAMES)
    assert [
        line for line in lines if not line.startswith(("environment `production`", "environment `ci-status`"))
    ] == []
    assert [line for line in lines if "FRAUDOPS_STATUS_APP_PRIVATE_KEY" in line] == [lines[-1]]
    assert main_rules.read(github) == main_rules.MainRules(
        reviews=1,
        code_owners=True,
        dismisses_stale=True,
        last_push=True,
        status=True,
        status_source=STATUS_APP,
        no_force_pushes=True,
        no_deletion=True,
    )


def test_rules_are_created_kept_and_updated(github: GitHub, repository: Repository) -> None:
    """A rerun with the same wishes writes nothing; the bot's App is the only one that may push."""
    assert main_rules.ensure(github, status_app=None, bypass_app=None) == "created"
    assert main_rules.ensure(github, status_app=None, bypass_app=None) == "kept"
    assert any("from any source" in line for line in repository_setup.missing(github, ()))
    assert main_rules.ensure(github, status_app=STATUS_APP, bypass_app=BOT_APP) == "updated"
    (ruleset,) = repository.rulesets.values()
    assert ruleset["bypass_actors"] == [{"actor_id": BOT_APP, "actor_type": "Integration", "bypass_mode": "always"}]
    assert main_rules.read(github).status_source == STATUS_APP


def test_app_that_is_not_installed_is_an_error(github: GitHub) -> None:
    """GitHub refuses it; nothing is created."""
    with pytest.raises(GitHubError, match="setting the rules of main"):
        main_rules.ensure(github, status_app=1, bypass_app=None)
    assert not main_rules.read(github).status


def test_keys_that_every_branch_can_read_are_named(github: GitHub, repository: Repository) -> None:
    """A repository's secret reaches each workflow of each branch."""
    repository.secrets.update({"FRAUDOPS_APP_PRIVATE_KEY": "k", "FRAUDOPS_STATUS_APP_PRIVATE_KEY": "k"})
    lines = [line for line in repository_setup.missing(github, NAMES) if "every branch can read it" in line]
    assert len(lines) == 2
    assert "move it to the environments `ci-status`" in lines[0]
    assert "move it to the environments `train`, `production`" in lines[1]
    without = [line for line in repository_setup.missing(github, ()) if "every branch can read it" in line]
    assert all("there are no environments" in line for line in without)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("* @alice\n", []),
        ("/model-config/ @alice\n/infra/ @acme/risk\n/.github/ @alice\n", []),
        ("# none\n/model-config/** @alice # the models\ninfra @alice\n", ["/.github/"]),
        ("* @alice\n/infra/\n", ["/infra/"]),
        ("/model-config/approvals/ @alice\n", ["/model-config/", "/infra/", "/.github/"]),
    ],
)
def test_folder_has_an_owner_by_its_last_line(github: GitHub, content: str, expected: list[str]) -> None:
    """A line without an owner removes it, and a line for a part of the folder is not enough."""
    write_owners(github, content)
    assert code_owners.without_owner(github) == expected


def test_owners_are_written_once_and_never_invented(tmp_path: Path) -> None:
    """The file has the owner that was given; an existing file stays."""
    assert code_owners.write(tmp_path, "@acme/risk")
    text = (tmp_path / code_owners.FILE).read_text()
    assert [line.split()[-1] for line in text.splitlines()[1:]] == ["@acme/risk"] * 3
    assert not code_owners.write(tmp_path, "@bob")
    assert (tmp_path / code_owners.FILE).read_text() == text
    for wrong in ("bob", "@", "@a b", "@acme/", "someone@example.org"):
        with pytest.raises(ConfigError, match="a code owner is @LOGIN or @ORG/TEAM"):
            code_owners.text(wrong)
