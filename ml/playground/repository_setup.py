"""Sets up the demo's repository with the settings that `fraudops bootstrap` asks for, as docs/first-account.md says.

Two Apps with their keys, a second person who reviews, code owners, and the rules of main. All of it goes through
`bootstrap` and GitHub's API; only the Apps themselves are created at the emulator, because GitHub creates an App on a
page and not by its API. It relaxes no setting, and ends with an error if bootstrap finds one missing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ml.errors import FraudopsError
from ml.gitops import code_owners, github_apps
from ml.gitops.environments import BOT, CI_STATUS
from ml.playground.scripted_reviewer import LOGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from github.Repository import Repository

    from ml.playground.emulators import Emulators


class SettingMissing(FraudopsError):
    """The repository lacks a setting that `fraudops bootstrap` asks for."""


@dataclass(frozen=True, kw_only=True)
class _App:
    """A GitHub App: its slug, its client id and its private key, here random text that the emulator compares."""

    slug: str
    client_id: str
    private_key: str


def _app(slug: str) -> _App:
    return _App(slug=slug, client_id=f"Iv1.{slug}", private_key=secrets.token_hex(32))


def set_up(emulators: Emulators, remote: Repository, root: Path, *, push_code_owners: Callable[[Path], None]) -> None:
    """Creates both stacks, and sets up the repository `remote` whose clone is `root`.

    Args:
        remote: the repository on the GitHub emulator, through a client of its owner.
        push_code_owners: commits the file to main and pushes it, before the rules of main require a pull request.

    Raises:
        SettingMissing: bootstrap has read back that a setting is missing, or cannot read one.
    """
    from ml.commands.bootstrap import Protection, bootstrap

    bootstrap(root, repository=remote.full_name, configure=True, code_owner=f"@{LOGIN}")
    push_code_owners(code_owners.FILE)
    remote.add_to_collaborators(LOGIN, permission="push")
    status_app, bot = _app("fraudops-status"), _app("fraudops-bot")
    for app in (status_app, bot):
        emulators.actions.install_app(app.client_id, slug=app.slug, private_key=app.private_key)
    _set_variables_and_keys(remote, status_app, bot)
    protection = Protection(reviewers=(LOGIN,), status_app=_id(remote, status_app), bot_app=_id(remote, bot))
    made = bootstrap(root, repository=remote.full_name, configure=True, protect=protection)
    if made.missing:
        raise SettingMissing(f"the demo's repository lacks settings after bootstrap: {'; '.join(made.missing)}")
    if made.unanswered:
        raise SettingMissing(f"bootstrap cannot read settings of the demo's repository: {'; '.join(made.unanswered)}")


def _set_variables_and_keys(remote: Repository, status_app: _App, bot: _App) -> None:
    remote.create_variable(github_apps.STATUS_APP, status_app.client_id)
    remote.create_variable(github_apps.BOT_APP, bot.client_id)
    remote.create_variable(github_apps.BOTS, f"{github_apps.WORKFLOW_LOGIN} {bot.slug}[bot]")
    remote.get_environment(CI_STATUS).create_secret(github_apps.STATUS_KEY, status_app.private_key)
    remote.get_environment(BOT).create_secret(github_apps.BOT_KEY, bot.private_key)


def _id(remote: Repository, app: _App) -> int:
    """The id that the App's page shows; rules name Apps by it."""
    base = remote.url.partition("/repos/")[0]
    _, found = remote.requester.requestJsonAndCheck("GET", f"{base}/apps/{app.slug}")
    return int(found["id"])
