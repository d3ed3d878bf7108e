"""The names of the two GitHub Apps' variables and secrets, which workflows read and a person sets. Reads none of them.

The status App may write commit statuses and nothing else: it posts `fraudops/ci`. The bot's App pushes
retrain requests and gate failures to main where the rules let it bypass them, and otherwise proposes them.
"""

from __future__ import annotations

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
