"""`fraudops drift request`: creates the retrain requests that a drift check has handed over. Calls no AWS service.

drift.yml runs it in a job of its own, which may act as the bot's App and has neither an AWS role nor the packages that
read data. The hand-over is untrusted: it is parsed strictly, it cannot name a file, and the checks against earlier
requests and the limits of drift.yaml are made here, from main. So the worst document is one valid request.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml import config
from ml.console import command, note
from ml.drift import hand_over, request_text
from ml.drift.drift_case import RequestOutcome
from ml.drift.retrain_requester import RetrainRequester
from ml.gitops.github_client import GitHub
from ml.gitops.remote import Remote
from ml.gitops.repository import Repository
from ml.workflow import runner_commands


@dataclass(frozen=True, kw_only=True)
class CreatedRequests:
    """The outcome of each decision that was handed over."""

    requests: tuple[RequestOutcome, ...]


def request(root: Path, *, document: str, main: str = "main") -> CreatedRequests:
    """Creates the requests of `document`, or reports why not.

    Args:
        root: a checkout of main with full history.
        document: what `fraudops drift check --hand-over` wrote as its output `hand_over`.

    Raises:
        ConfigError: `document` is invalid, and nothing was created; or a file of model-config/ is.
        GitError, GitHubError: the request was not created; run the job again.
    """
    handed = hand_over.read(document)
    requester = RetrainRequester(
        GitHub.from_environment(),
        Remote(Repository.find(root)),
        choose=lambda case: handed[case.name][1],
        rules=config.load_drift(root),
        main=main,
    )
    outcomes = requester.create([case for case, _ in handed.values()])
    for outcome in outcomes:
        note(f"{outcome.request}: {outcome.state} ({outcome.reason})")
        command(runner_commands.annotate("warning", request_text.annotation(outcome)))
    runner_commands.output(
        request=next((each.request for each in outcomes if each.state in ("requested", "proposed")), "")
    )
    runner_commands.summary("\n\n".join(request_text.outcome(each) for each in outcomes))
    return CreatedRequests(requests=tuple(outcomes))
