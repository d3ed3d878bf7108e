"""The labels of the bot's pull requests and issues, created where missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.gitops.github_client import absent, invalid

if TYPE_CHECKING:
    from github.Repository import Repository


@dataclass(frozen=True)
class Label:
    """A label: its name, its colour as six hex digits, and what it means (100 characters at most)."""

    name: str
    colour: str
    description: str


APPROVAL = Label("model-approval", "1a7f37", "Merging this pull request approves a model and deploys it")
ROLLBACK = Label("model-rollback", "bf8700", "Merging this pull request serves a former model again")
BOT = Label("fraudops-bot", "57606a", "A commit of the bot that a protected main took only as a pull request")
GATE_FAILURE = Label("gate-failed", "cf222e", "A model was trained and was not good enough to be proposed")
FAILURE = Label("deploy-failed", "cf222e", "A deployment failed; the former model serves on")
BREAKER = Label("drift-breaker", "cf222e", "Retraining for a cause failed the gate again and again; a person is asked")
SILENCE = Label("no-traffic", "bf8700", "The endpoint has had no traffic, so nobody knows whether it drifts")


def ensure(repository: Repository, labels: Iterable[Label]) -> list[str]:
    """The names of `labels`, all of which the repository has afterwards; one that people restyled stays as it is."""
    from github import GithubException

    names = []
    for label in labels:
        names.append(label.name)
        try:
            repository.get_label(label.name).color  # noqa: B018 - the client asks when a value is read
        except GithubException as error:
            if not absent(error):
                raise
            _create(repository, label)
    return names


def _create(repository: Repository, label: Label) -> None:
    from github import GithubException

    try:
        repository.create_label(label.name, label.colour, label.description)
    except GithubException as error:
        if not invalid(error):  # another run has made it meanwhile
            raise
