"""Lists the settings of a repository for a person who makes them by hand, because `bootstrap` has no token.

It reads nothing: the lines say what to set, not what is missing.
"""

from __future__ import annotations

from ml.gitops.commit_statuses import CI
from ml.gitops.environments import BOT, CI_STATUS, NAMES, REVIEWED
from ml.gitops.github_apps import BOT_APP, BOT_KEY, BOTS, STATUS_APP, STATUS_KEY, WORKFLOW_LOGIN


def lines(*, environments: bool) -> tuple[str, ...]:
    """The settings in their order; `environments` says whether the repository's plan has any."""
    return (
        "Settings, Secrets and variables, Actions, Variables: the variables above. With GITHUB_TOKEN and --configure "
        "this command sets them and most of what follows, and reads back what is missing.",
        *(_ENVIRONMENTS if environments else ()),
        *_ALWAYS,
    )


_ENVIRONMENTS = (
    f"Settings, Environments: create {', '.join(f'`{name}`' for name in NAMES)}, each with deployment branches: "
    "selected, `main` only. Tokens name the environment and not the branch, so only this keeps other branches from the "
    "roles.",
    f"Settings, Environments, `{REVIEWED}`: add a required reviewer, prevent self-review, and do not allow "
    "administrators to bypass the rules.",
)
_ALWAYS = (
    'Settings, Actions, General: tick "Allow GitHub Actions to create and approve pull requests", or no approval '
    "can be proposed; workflow permissions: read only, each job requests the permissions that it needs.",
    "Settings, General, Pull Requests: allow merge commits only. A rollback reverts one of an approval's commits.",
    "Commit .github/CODEOWNERS with an owner of model-config/, infra/ and .github/; `fraudops bootstrap --code-owner "
    "@LOGIN` writes it.",
    f"Settings, Rules, for `main`: require a pull request with an approval by a code owner and the status check "
    f"`{CI}`; dismiss stale approvals, require approval of the last push, block force pushes and deletion.",
    f"An App that may write commit statuses and nothing else: its client id as the variable {STATUS_APP}, its key as "
    f"the secret {STATUS_KEY} of the environment `{CI_STATUS}`, and the App as the source of `{CI}`. Otherwise a "
    "branch's own workflow can post it.",
    f"Optional, an App that pushes retrain requests and gate failures to `main`: its client id as the variable "
    f"{BOT_APP}, its key as the secret {BOT_KEY} of the environment `{BOT}`, its login in {BOTS}, as `{WORKFLOW_LOGIN} "
    "NAME[bot]`, and a bypass of main's rules.",
)
