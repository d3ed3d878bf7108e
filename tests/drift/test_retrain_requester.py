"""RetrainRequester creates one request per decision, on main or as a pull request (GitHub emulator and moto)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ml import config
from ml.drift.drift_case import DriftCase
from ml.drift.retrain_requester import RetrainRequester
from ml.gitops import commit_messages
from ml.gitops.github_client import GitHub
from ml.gitops.remote import Remote
from ml.gitops.repository import BOT
from ml.model.drift import detector
from ml.training import open_requests
from tests.drift.retrain_cases import NAMES, chooser, create_requests, due, moment
from tests.harness.platform.monitored import MonitoredEndpoint


def test_request_is_a_bot_commit_and_starts_the_training(env: MonitoredEndpoint) -> None:
    """The request on main is valid and open, and its text mentions no user."""
    (asked,) = create_requests(env)
    assert (asked.state, asked.request, asked.started) == ("requested", NAMES["data"], True)
    env.bot.pull()
    assert list(open_requests.open_requests(env.root)) == [asked.request]
    request = config.load_request(env.root, asked.request)
    assert request.kind == "threshold"
    assert request.window == config.Window(start=moment(4, 21) - timedelta(days=45), end=moment(4, 21))
    assert request.evidence["data"]["days_before_onset"] == 0
    author, subject = env.bot.workspace.git("log", "-1", "--format=%an%n%s").splitlines()
    assert (author, subject) == (BOT.name, f"Train: data drift (request {asked.request})")
    ((workflow, ref, inputs),) = env.bot.started
    assert (workflow, ref) == ("train.yml", "main")
    found = f"{asked.request[:4]}-{asked.request[4:6]}-{asked.request[6:8]}"
    assert inputs == {"reason": f"data drift found on {found}, threshold (request {asked.request})"}


def test_one_request_covers_all_causes_that_are_due(env: MonitoredEndpoint) -> None:
    """The strongest cause gets a request; the others are suppressed and name it."""
    strongest, other = create_requests(env, due("concept"), due("data"))
    assert (strongest.state, other.state) == ("requested", "suppressed")
    assert strongest.request in other.reason
    assert env.requests() == [NAMES["concept"]]


def test_protected_main_gets_one_pull_request(env: MonitoredEndpoint) -> None:
    """A second check updates the pull request; once closed, it is not opened again."""
    env.bot.api.get_branch("main").edit_protection(required_approving_review_count=1, enforce_admins=False)
    (asked,) = create_requests(env)
    assert (asked.state, asked.started, env.requests()) == ("proposed", False, [])
    assert [started[0] for started in env.bot.started] == ["ci.yml"]
    (again,) = create_requests(env)
    assert (again.state, again.pull_request) == ("proposed", asked.pull_request)
    pull = env.bot.api.get_pull(asked.pull_request or 0)
    assert pull.title == f"threshold: request a retrain, {asked.request}"
    assert "Kind of run: threshold (the champion's coefficients, new threshold)." in pull.body
    assert pull.head.ref == f"bot/request-{asked.request}"
    assert [file.filename for file in pull.get_files()] == [f"{config.REQUESTS}/{asked.request}.yaml"]
    later = DriftCase(
        decision=detector.Decision(
            kind="data",
            onset=moment(3),
            fired=((moment(5), moment(6)),),
            considered=((moment(5), moment(6)),),
        ),
        run_kind="threshold",
        reason="again",
        evidence={},
    )
    (later_outcome,) = create_requests(env, later)
    assert (later_outcome.state, later_outcome.pull_request) == ("already requested", asked.pull_request)
    pull.edit(state="closed")
    (declined,) = create_requests(env)
    assert (declined.state, declined.pull_request) == ("suppressed", asked.pull_request)
    assert "was closed without a merge" in declined.reason


def test_request_is_rebased_on_a_concurrent_push(env: MonitoredEndpoint) -> None:
    """A push between fetch and request does not fail the request."""
    requester = RetrainRequester(
        GitHub.from_environment(),
        Remote(env.bot.workspace.repository),
        choose=chooser(env, config.load_drift(env.root)),
        rules=config.load_drift(env.root),
    )
    env.bot.workspace.write({"README.md": "hello\n"}, "Say hello")
    env.bot.push()
    (asked,) = requester.create([due()])
    assert asked.state == "requested"
    assert env.bot.workspace.repository.is_ancestor("HEAD", asked.commit or "")
    assert env.requests() == [asked.request]


@pytest.mark.parametrize(
    ("cause", "subject"),
    [
        ("concept-drift", "Train: concept drift (request 20260501T000000Z-concept-drift)"),
        ("x" * 40, f"Open retrain request 20260501T000000Z-{'x' * 40}"),
    ],
)
def test_subject_of_a_request_says_why_and_fits(cause: str, subject: str) -> None:
    """It is the title of the run that the push starts; a cause too long for a subject is in the name alone."""
    request = config.RetrainRequest(
        kind="fit", cause=cause, reason="why", window=config.Window(start=None, end=None), evidence={}
    )
    assert commit_messages.request(request, f"20260501T000000Z-{cause}").splitlines()[0] == subject
