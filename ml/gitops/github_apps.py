"""The names of the two GitHub Apps' variables and secrets, and the public id of an App. Reads no secret.

The status App may write commit statuses and nothing else: it posts `fraudops/ci`. The bot's App pushes
retrain requests and gate failures to main where the rules let it bypass them, and otherwise proposes them.
"""

from __future__ import annotations

from ml.gitops import rest_reader
from ml.gitops.github_client import GitHub

STATUS_APP = "FRAUDOPS_STATUS_APP_CLIENT_ID"
"""The variable with the client id of the status App."""
STATUS_KEY = "FRAUDOPS_STATUS_APP_PRIVATE_KEY"
"""The secret with its key, in the environment `ci-status`."""
BOT_APP = "FRAUDOPS_APP_CLIENT_ID"
"""The variable with the client id of the bot's App."""
BOT_KEY = "FRAUDOPS_APP_PRIVATE_KEY"
"""The secret with its key, in the environment `bot`, whose jobs have no role in AWS."""
BOTS = "FRAUDOPS_BOTS"
"""The variable with the logins whose pull requests may change records, separated by spaces."""
WORKFLOW_LOGIN = "github-actions[bot]"
"""The login of workflow tokens."""
ACTIONS_APP = 15_368
"""The id of GitHub's own App "GitHub Actions", as which every workflow of every branch posts."""
_SUFFIX = "[bot]"


def slugs(logins: str) -> list[str]:
    """The slugs of the Apps among logins that spaces separate, without the Actions App."""
    return [
        login.removesuffix(_SUFFIX) for login in logins.split() if login.endswith(_SUFFIX) and login != WORKFLOW_LOGIN
    ]


def read_id(github: GitHub, slug: str) -> int | None:
    """The id of the App with that slug, by which rulesets name it; None if GitHub shows this token no such App.

    Source: GitHub REST API, "Get an app".
    """
    found = rest_reader.public_document(github, f"the App {slug}", f"/apps/{slug}")
    return None if found is None else int(found["id"])
