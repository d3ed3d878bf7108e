"""Checks the environments of the workflows and the Apps whose keys they hold. Changes neither, and reads no key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ml.aws.cloudformation import workflow_roles
from ml.diagnosis.check import CannotTell, Check, WillFail, run
from ml.diagnosis.subjects import Subjects
from ml.gitops import actions_secrets, environments, github_apps
from ml.gitops.environments import BOT, CI_STATUS, REVIEWED
from ml.gitops.github_apps import BOT_APP, BOT_KEY, BOTS, STATUS_APP, STATUS_KEY, WORKFLOW_LOGIN

WEAKER = (
    "Weaker without environments: every job on main may assume every role, so a bad dependency in one workflow has the "
    "rights of all; nobody has to approve a deployment; and the App's key is a secret that every branch can read."
)
_BRANCH = "main"


def checks(subjects: Subjects) -> Iterator[Check]:
    """The checks of environments, Apps and secrets, in order."""
    if subjects.uses_environments:
        for name in environments.NAMES:
            yield run(f"environment {name}", partial(_environment, subjects, name))
        yield run(f"reviewers of {REVIEWED}", lambda: _reviewers(subjects))
        yield run("status App", lambda: _status_app(subjects))
    else:
        yield run("environments", lambda: f"none, as {workflow_roles.ENVIRONMENTS_VARIABLE} says. {WEAKER}")
    yield run("bot's App", lambda: _bot_app(subjects))
    yield run("repository secrets", lambda: _secrets(subjects))


def _environment(subjects: Subjects, name: str) -> str:
    found = environments.read(subjects.github, name)
    remedy = f"fraudops bootstrap --repository {subjects.repository} --configure"
    if found is None:
        raise WillFail(f"there is no environment {name}, which a workflow uses; create it: {remedy}")
    if found.protected_branches:
        # "If no branch protection rules are defined for any branch in the repository, then all branches can deploy":
        # GitHub Docs, "Deployments and environments". The rules of main are a ruleset, which is no such rule.
        raise WillFail(
            f"the environment {name} is open to every protected branch, and to all branches where none has branch "
            f"protection; limit it to {_BRANCH}: {remedy}"
        )
    if found.branches is None:
        raise WillFail(
            f"every branch may use the environment {name} and so get its role and secrets; limit it to {_BRANCH}: "
            f"{remedy}"
        )
    if not found.for_main_only:
        raise WillFail(
            f"the environment {name} is open to {', '.join(found.branches) or 'no branch'}; set Settings, "
            f"Environments, {name}, Deployment branches: selected, `{_BRANCH}` only"
        )
    return f"limited to {_BRANCH}"


def _reviewers(subjects: Subjects) -> str:
    found = environments.read(subjects.github, REVIEWED)
    if found is None:
        raise CannotTell(f"there is no environment {REVIEWED}")
    options = "--configure --protect --reviewer LOGIN"
    plan = "a private repository has reviewers only with GitHub Enterprise"
    remedy = f"name a reviewer ({plan}): fraudops bootstrap --repository {subjects.repository} {options}"
    if not found.reviewers:
        raise WillFail(f"a deployment needs nobody's approval; {remedy}")
    if not found.prevents_self_review:
        raise WillFail(f"the person who starts a deployment may approve it; {remedy}")
    if found.admins_bypass:
        raise WillFail(
            f"an administrator may start a waiting deployment without a review (can_admins_bypass); set it: fraudops "
            f"bootstrap --repository {subjects.repository} --configure --protect"
        )
    return ", ".join(found.reviewers)


def _status_app(subjects: Subjects) -> str:
    """ci-status.yml posts fraudops/ci as an App, whose key no branch but main can read."""
    if subjects.app(STATUS_APP) is None:
        raise WillFail(
            f"the variable {STATUS_APP} is missing, so ci.yml posts fraudops/ci with the token of any branch; create "
            "an App that may write commit statuses and nothing else, and set its client id: "
            f"gh variable set {STATUS_APP} --repo {subjects.repository}"
        )
    if environments.read(subjects.github, CI_STATUS) is None:
        raise CannotTell(f"there is no environment {CI_STATUS}")
    if STATUS_KEY not in environments.secret_names(subjects.github, CI_STATUS):
        raise WillFail(
            f"the environment {CI_STATUS} has no secret {STATUS_KEY}, so nothing posts fraudops/ci; set the App's key: "
            f"gh secret set {STATUS_KEY} --env {CI_STATUS} --repo {subjects.repository}"
        )
    return f"its key is in the environment {CI_STATUS}"


def _bot_app(subjects: Subjects) -> str:
    """Pull requests of the bot's App start their checks by themselves, and validate accepts its records."""
    found = subjects.app(BOT_APP)
    if found is None:
        return f"none ({BOT_APP} is not set); workflow tokens are used"
    if not github_apps.slugs(subjects.variables.get(BOTS) or ""):
        raise WillFail(
            f"{BOTS} does not name the App's login, so validate refuses the records in its pull requests; set it: gh "
            f"variable set {BOTS} --body '{WORKFLOW_LOGIN} NAME[bot]' --repo {subjects.repository}"
        )
    if not subjects.uses_environments:
        return "its key is a secret of the repository"
    if environments.read(subjects.github, BOT) is None:
        raise CannotTell(f"there is no environment {BOT}")
    if BOT_KEY not in environments.secret_names(subjects.github, BOT):
        raise WillFail(
            f"the environment {BOT} has no secret {BOT_KEY}, so no retrain request can be pushed; set the App's key: "
            f"gh secret set {BOT_KEY} --env {BOT} --repo {subjects.repository}"
        )
    for name in environments.WITH_ROLE:
        if BOT_KEY in environments.secret_names(subjects.github, name):
            raise WillFail(
                f"the environment {name} has the secret {BOT_KEY}, so a bad package in its workflow could push to "
                f"{_BRANCH}; delete it: gh secret delete {BOT_KEY} --env {name} --repo "
                f"{subjects.repository}"
            )
    return f"its key is in the environment {BOT} alone"


def _secrets(subjects: Subjects) -> str:
    """A secret of the repository reaches the workflows of every branch."""
    found = actions_secrets.names(subjects.github)
    if not subjects.uses_environments:
        return "every branch can read them"
    for key, name in ((STATUS_KEY, CI_STATUS), (BOT_KEY, BOT)):
        if key in found:
            raise WillFail(
                f"every branch can read the secret {key} of the repository; set it in the environment "
                f"{name} and delete it: gh secret delete {key} --repo {subjects.repository}"
            )
    return "no App's key is among them"
