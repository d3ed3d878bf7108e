"""The scripted reviewer of the demo: what its rule approves, what it leaves open, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from github import GithubException
from github.PullRequest import PullRequest
from local_github.server import LocalGitHub

from ml import config
from ml.commands.propose import propose
from ml.errors import GitHubError
from ml.gitops import main_rules
from ml.playground.scripted_reviewer import LOGIN, RULE, ScriptedReviewer
from tests.harness.github import bot_environment
from tests.harness.github.bot_environment import BotEnvironment
from tests.harness.github.emulator import NAME
from tests.harness.platform import served

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bot(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotEnvironment]:
    """A platform on moto, and a repository on a GitHub emulator of its own; nothing is approved yet."""
    env = served.on_moto(server, tmp_path, monkeypatch)
    with LocalGitHub(tmp_path / "github") as github:
        yield bot_environment.around(env, github, tmp_path, monkeypatch)


@pytest.fixture
def reviewer(bot: BotEnvironment) -> ScriptedReviewer:
    """The reviewer of that repository."""
    return ScriptedReviewer(bot.hub.server, NAME)


def proposed(bot: BotEnvironment, *, status: str = "success") -> PullRequest:
    """An approval that the bot proposes, with that state of fraudops/ci."""
    number = propose(bot.root, outcome=bot.outcome(bot.register(-1.0))).pull_request
    assert number is not None
    pull = bot.api.get_pull(number)
    post(bot, pull, status)
    return pull


def post(bot: BotEnvironment, pull: PullRequest, status: str) -> None:
    """Posts fraudops/ci on the head of a pull request."""
    bot.api.get_commit(bot.api.get_pull(pull.number).head.sha).create_status(status, context="fraudops/ci")


def reviews(pull: PullRequest) -> list[tuple[str, str]]:
    """Who reviewed a pull request, and how."""
    return [(review.user.login, review.state) for review in pull.get_reviews()]


def amend(bot: BotEnvironment, pull: PullRequest, path: Path, old: str, new: str) -> None:
    """Edits a file on the branch of a pull request, whose new head passes its checks."""
    found = bot.api.get_contents(path.as_posix(), ref=pull.head.ref)
    assert not isinstance(found, list)
    text = found.decoded_content.decode()
    assert old in text
    bot.api.update_file(path.as_posix(), "Edit", text.replace(old, new), found.sha, branch=pull.head.ref)
    post(bot, pull, "success")


def test_record_that_equals_the_registry_is_approved(bot: BotEnvironment, reviewer: ScriptedReviewer) -> None:
    """The review is of the head commit, by the reviewer's own user, and quotes the rule."""
    pull = proposed(bot)
    assert reviewer.review(pull.number) is None
    (review,) = pull.get_reviews()
    assert (review.user.login, review.state, review.commit_id) == (LOGIN, "APPROVED", pull.head.sha)
    assert review.body == RULE


@pytest.mark.parametrize(("status", "objection"), [("pending", "is pending"), ("failure", "is failure")])
def test_status_that_is_not_green_is_not_approved(
    bot: BotEnvironment, reviewer: ScriptedReviewer, status: str, objection: str
) -> None:
    """Nothing is reviewed before the checks have passed."""
    pull = proposed(bot, status=status)
    assert reviewer.review(pull.number) == f"fraudops/ci {objection}"
    assert reviews(pull) == []


def test_missing_status_is_not_approved(bot: BotEnvironment, reviewer: ScriptedReviewer) -> None:
    """A pull request whose checks have not begun has none."""
    number = propose(bot.root, outcome=bot.outcome(bot.register(-1.0))).pull_request
    assert reviewer.review(number or 0) == "fraudops/ci is missing"


def test_record_that_differs_from_the_registry_is_not_approved(bot: BotEnvironment, reviewer: ScriptedReviewer) -> None:
    """Another reason of the verdict, with green checks: the registry decides."""
    pull = proposed(bot)
    amend(bot, pull, config.approval_path(1), "Recall is enough.", "Recall is ample.")
    objection = reviewer.review(pull.number) or ""
    assert "verdict.reason is Recall is ample., and the registry has Recall is enough." in objection
    assert reviews(pull) == []


def test_page_without_the_gates_verdict_is_not_approved(bot: BotEnvironment, reviewer: ScriptedReviewer) -> None:
    """Somebody has edited the description."""
    pull = proposed(bot)
    pull.edit(body=pull.body.replace("## Gate: passed", "## Gate: failed"))
    assert reviewer.review(pull.number) == "its page does not say that the gate passed"


def test_change_outside_model_config_is_not_approved(bot: BotEnvironment, reviewer: ScriptedReviewer) -> None:
    """Code needs a person, also beside a valid record."""
    pull = proposed(bot)
    bot.api.create_file("infra/x.yaml", "Add", "x", branch=pull.head.ref)
    post(bot, pull, "success")
    assert reviewer.review(pull.number) == "it changes infra/x.yaml, which is not below model-config/"


def test_file_that_is_moved_into_model_config_is_not_approved(bot: BotEnvironment, reviewer: ScriptedReviewer) -> None:
    """Moving it changes the folder that it leaves."""
    bot.api.create_file("infra/x.yaml", "Add", "a: 1\n" * 20, branch="main")
    bot.api.create_git_ref("refs/heads/move", bot.tip("main"))
    bot.api.create_file("model-config/x.yaml", "Move", "a: 1\n" * 20, branch="move")
    found = bot.api.get_contents("infra/x.yaml", ref="move")
    assert not isinstance(found, list)
    bot.api.delete_file("infra/x.yaml", "Move", found.sha, branch="move")
    pull = bot.api.create_pull(base="main", head="move", title="Move", body="")
    assert [file.status for file in pull.get_files()] == ["renamed"]
    post(bot, pull, "success")
    assert reviewer.review(pull.number) == "it changes infra/x.yaml, which is not below model-config/"


def test_rollback_is_approved(bot: BotEnvironment, reviewer: ScriptedReviewer) -> None:
    """It moves the serving pointer and adds no record."""
    for intercept in (-1.0, 2.0):
        bot.env.approve(bot.register(intercept))
    bot.push()
    bot.api.create_git_ref("refs/heads/rollback/0001", bot.tip("main"))
    pointer = bot.api.get_contents(config.SERVING.as_posix())
    assert not isinstance(pointer, list)
    text = pointer.decoded_content.decode().replace("approval: 2", "approval: 1")
    bot.api.update_file(config.SERVING.as_posix(), "Return", text, pointer.sha, branch="rollback/0001")
    pull = bot.api.create_pull(base="main", head="rollback/0001", title="Serve approval 0001 again", body="")
    post(bot, pull, "success")
    assert reviewer.review(pull.number) is None
    assert reviews(pull) == [(LOGIN, "APPROVED")]


def test_own_review_does_not_come_from_the_author(bot: BotEnvironment) -> None:
    """GitHub refuses the approval of every author, also of the reviewer."""
    own = bot.hub.person(LOGIN)
    own.create_git_ref("refs/heads/own", bot.tip("main"))
    own.create_file("model-config/notes.md", "Add notes", "x\n", branch="own")
    pull = own.create_pull(base="main", head="own", title="Own", body="")
    post(bot, pull, "success")
    with pytest.raises(GitHubError, match="Can not approve your own pull request"):
        ScriptedReviewer(bot.hub.server, NAME).review(pull.number)


def test_approval_lets_a_protected_pull_request_merge(bot: BotEnvironment, reviewer: ScriptedReviewer) -> None:
    """With the rules that bootstrap sets, the merge is refused before the review, and not after it."""
    pull = proposed(bot)
    main_rules.ensure(bot.hub.client(bot.hub.server.token("alice")), status_app=None, bypass_app=None)
    with pytest.raises(GithubException, match="approving review is required"):
        pull.merge()
    assert reviewer.review(pull.number) is None
    assert pull.merge().merged


def test_rule_is_quoted_where_the_demo_is_described() -> None:
    """docs/demo.md has the whole rule, word for word."""
    text = " ".join((ROOT / "docs/demo.md").read_text("utf-8").split())
    assert RULE in text
