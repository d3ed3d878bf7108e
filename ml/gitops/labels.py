"""Defines the labels of the bot's pull requests and issues, and creates missing ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.gitops.github_client import is_invalid, is_not_found

if TYPE_CHECKING:
    from github.Repository import Repository


@dataclass(frozen=True)
class Label:
    """A label: its name, its colour as six hex digits, and what it means (100 characters at most)."""

    name: str
    colour: str
    description: str


APPROVAL = Label("model-approval", "1a7f37", "Merging this pull request approves a model and deploys it")
ROLLBACK = Label("model-rollback", "bf8700", "Merging this pull request serves an earlier model again")
PROMOTION = Label("model-promotion", "1a7f37", "Merging this pull request moves a model from staging to production")
BOT = Label("fraudops-bot", "57606a", "A commit of the bot that a protected main accepts only as a pull request")
GATE_FAILURE = Label("gate-failed", "cf222e", "A trained model failed the gate and was not proposed")
FAILURE = Label("deploy-failed", "cf222e", "A deployment failed; the former model keeps serving")
CIRCUIT_BREAKER = Label(
    "drift-breaker", "cf222e", "Circuit breaker open: retraining for a cause keeps failing the gate"
)
SELF_HEAL = Label("self-heal", "bf8700", "The account differed from Git, and a deployment was started to put it back")
NO_LABELS = Label("no-labels", "bf8700", "Labels of the whole traffic are missing, so recall is not known")
NO_TRAFFIC = Label("no-traffic", "bf8700", "The endpoint has no traffic, so drift cannot be checked")


def ensure(repository: Repository, labels: Iterable[Label]) -> list[str]:
    """Creates the missing ones of `labels` and returns all names. An existing label is not changed."""
    from github import GithubException

    names = []
    for label in labels:
        names.append(label.name)
        try:
            repository.get_label(label.name).color  # noqa: B018 - the lazy client sends the request when a value is read
        except GithubException as error:
            if not is_not_found(error):
                raise
            _create(repository, label)
    return names


def _create(repository: Repository, label: Label) -> None:
    from github import GithubException

    try:
        repository.create_label(label.name, label.colour, label.description)
    except GithubException as error:
        if not is_invalid(error):  # another run has created it meanwhile
            raise
