"""The demo's repository: set up through bootstrap on both emulators, without workflows; then who may change main."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from github import Auth, Github, GithubException
from github.Repository import Repository as Remote
from local_github.domain.records import Repository as Record

from ml import config
from ml.errors import GitError
from ml.gitops import code_owners
from ml.gitops.environments import BOT, CI_STATUS, NAMES, PRODUCTION
from ml.gitops.github_apps import BOT_KEY, STATUS_KEY
from ml.gitops.repository import Repository
from ml.playground import repository_setup, template_state
from ml.playground.developer import Developer, isolated_environment
from ml.playground.emulators import Emulators
from ml.playground.scripted_reviewer import LOGIN
from ml.playground.workflow_watch import RunFailed
from tests.harness.git import adopter
from tests.harness.workflows.environment import snapshot

pytestmark = pytest.mark.slow
STATUS_LOGIN, BOT_LOGIN, ACTIONS_LOGIN = "fraudops-status[bot]", "fraudops-bot[bot]", "github-actions[bot]"


class Playground:
    """Both emulators and the developer's repository after `bootstrap`."""

    def __init__(self, emulators: Emulators, developer: Developer) -> None:
        self.emulators, self.developer = emulators, developer

    @property
    def record(self) -> Record:
        """The repository's record in the emulator."""
        return self.emulators.github.state.named(self.developer.full_name)

    def remote(self, login: str, **permissions: str) -> Remote:
        """The repository through the client of a user, or of an App with these permissions."""
        token = self.emulators.github.token(
            login,
            permissions=permissions or None,  # type: ignore[arg-type] # levels are plain text here
            repository=self.developer.full_name if permissions else None,
        )
        pauses: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
        hub = Github(base_url=self.emulators.github.api_url, auth=Auth.Token(token), retry=None, **pauses)
        return hub.get_repo(self.developer.full_name)

    def propose(self, branch: str, path: str) -> int:
        """Opens a pull request of the bot that adds a file; returns its number."""
        bot = self.remote(BOT_LOGIN, contents="write", pull_requests="write")
        main = self.remote(self.developer.login).get_branch("main").commit.sha
        bot.create_git_ref(f"refs/heads/{branch}", main)
        bot.create_file(path, f"Add {path}", "x\n", branch=branch)
        return bot.create_pull(base="main", head=branch, title="Change", body="").number

    def post_status(self, number: int, login: str) -> None:
        """Posts a green fraudops/ci on the head of a pull request."""
        head = self.remote(self.developer.login).get_pull(number).head.sha
        poster = self.remote(login, statuses="write", contents="read")
        poster.get_commit(head).create_status("success", context="fraudops/ci")

    def merge(self, number: int) -> bool:
        """Merges a pull request as the developer, who owns the repository."""
        return bool(self.remote(self.developer.login).get_pull(number).merge(merge_method="merge").merged)


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """One set-up for the file, from a repository that has been used for months."""
    folder = tmp_path_factory.mktemp("playground")
    workspace = snapshot(folder / "project")
    adopter.write(workspace.root)
    workspace.git("rm", "-q", "-r", ".github/workflows")
    workspace.write({}, "Use it, and remove the workflows")
    with Emulators(folder / "clouds") as emulators, isolated_environment(emulators.environment()):
        developer = Developer(emulators, root=workspace.root, place=folder / "clone", name="fraudops")
        developer.publish(variables={})
        developer.bootstrap()
        yield Playground(emulators, developer)


def test_repository_starts_with_the_shipped_state_and_no_history(playground: Playground) -> None:
    """The first commit has the shipped settings, no record and no code owner of the repository that was cloned."""
    repository = Repository(playground.developer.root)
    (first,) = [commit for commit in repository.log("main") if not commit.parents]
    assert first.subject.startswith("Start from ")
    for path in (*config.SETTINGS, config.SERVING, config.DRIFT):
        assert repository.show(first.sha, path) == (template_state.FOLDER / path).read_bytes()
    for folder in (config.APPROVALS, config.REQUESTS, config.GATE_FAILURES):
        assert [name for name in repository.files(first.sha, folder) if name.endswith(".yaml")] == []
    assert repository.show(first.sha, code_owners.FILE) is None


def test_settings_are_those_that_bootstrap_sets(playground: Playground) -> None:
    """The keys are in the environments that read them, and the reviewer may write but not administer."""
    record = playground.record
    assert set(record.environments) == set(NAMES)
    assert {name for name, each in record.environments.items() if BOT_KEY in each.secrets} == {BOT}
    assert {name for name, each in record.environments.items() if STATUS_KEY in each.secrets} == {CI_STATUS}
    assert (record.secrets, record.private) == ({}, True)
    production = record.environments[PRODUCTION]
    assert (production.reviewers, production.prevent_self_review) == ([LOGIN], True)
    assert record.permission_of(LOGIN) == "write"
    assert record.permission_of(playground.developer.login) == "admin"
    owners = playground.remote(LOGIN).get_contents(".github/CODEOWNERS")
    assert not isinstance(owners, list)
    assert owners.decoded_content.decode().count(f"@{LOGIN}\n") == 3


def test_merge_is_refused_without_the_apps_status_and_the_review(playground: Playground) -> None:
    """Also the owner needs the status of the App and the reviewer's approval; Actions' own status is none."""
    number = playground.propose("change", "model-config/notes.md")
    with pytest.raises(GithubException, match=r"fraudops/ci.* is expected"):
        playground.merge(number)
    playground.post_status(number, ACTIONS_LOGIN)
    with pytest.raises(GithubException, match=r"fraudops/ci.* is expected"):
        playground.merge(number)
    playground.post_status(number, STATUS_LOGIN)
    with pytest.raises(GithubException, match="approving review is required"):
        playground.merge(number)
    owner = playground.remote(playground.developer.login)
    owner.get_pull(number).create_review(event="APPROVE")  # somebody else's approval, but no code owner's
    with pytest.raises(GithubException, match=f"code owner review from @{LOGIN}"):
        playground.merge(number)
    assert playground.developer.merge(number, starts=None)


def test_what_the_reviewer_objects_to_is_not_merged(playground: Playground) -> None:
    """The developer's merge ends with the objection, and the pull request stays open."""
    number = playground.propose("outside", "infra/notes.md")
    playground.post_status(number, STATUS_LOGIN)
    with pytest.raises(RunFailed, match=f"{LOGIN} does not approve #{number}: it changes infra/notes.md"):
        playground.developer.merge(number, starts=None)
    assert playground.remote(LOGIN).get_pull(number).state == "open"


def test_only_the_bots_app_pushes_to_main(playground: Playground) -> None:
    """Neither the owner nor a workflow's token does; the App's commit is on main."""
    path = "model-config/retrain-requests/note.md"
    for login, permissions in ((playground.developer.login, {}), (ACTIONS_LOGIN, {"contents": "write"})):
        with pytest.raises(GithubException, match="Changes must be made through a pull request"):
            playground.remote(login, **permissions).create_file(path, "Request", "x\n", branch="main")
    playground.developer.commit("NOTES.md", "x\n", "Push")
    with pytest.raises(GitError, match="GH013"):
        playground.developer.push("main")
    made = playground.remote(BOT_LOGIN, contents="write").create_file(path, "Request", "x\n", branch="main")
    assert playground.remote(LOGIN).get_branch("main").commit.sha == made["commit"].sha


def test_missing_setting_ends_the_demo(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read back by bootstrap, and not by the demo itself."""
    monkeypatch.setattr(repository_setup, "_set_variables_and_keys", lambda *_: None)
    del playground.record.environments[CI_STATUS].secrets[STATUS_KEY]
    with (
        isolated_environment(playground.emulators.environment()),
        pytest.raises(repository_setup.SettingMissing, match=f"status App: .*gh secret set {STATUS_KEY}"),
    ):
        repository_setup.set_up(
            playground.emulators,
            playground.remote(playground.developer.login),
            playground.developer.root,
            push_code_owners=lambda _: None,
        )
