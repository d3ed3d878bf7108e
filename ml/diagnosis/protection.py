"""Checks who may change main and use the environments: rules, required check, reviewers, App. Changes no rule."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ml.aws.cloudformation import workflow_roles
from ml.diagnosis.check import CannotTell, Check, WillFail, run
from ml.diagnosis.subjects import Subjects
from ml.gitops import repository_settings
from ml.gitops.commit_statuses import CI
from ml.gitops.repository_settings import ACTIONS_APP, BranchRules

MAIN = "main"
REVIEWED = "production"
"""The environment whose deployments a person approves."""
ENVIRONMENTS = workflow_roles.ENVIRONMENTS
"""The environments that the workflows' roles trust."""
_CODE_OWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")  # the places that GitHub reads, in its order
_OWNED = ("model-config", "infra", ".github")
_APP = "FRAUDOPS_APP_CLIENT_ID"


def checks(subjects: Subjects) -> Iterator[Check]:
    """The checks of environments and of main's rules, in order."""
    for name in ENVIRONMENTS:
        yield run(f"environment {name}", partial(_environment, subjects, name))
    yield run(f"reviewers of {REVIEWED}", lambda: _reviewers(subjects))
    yield run(f"reviews on {MAIN}", lambda: _reviews(subjects))
    yield run(f"code owners on {MAIN}", lambda: _code_owners(subjects))
    yield run(f"required check on {MAIN}", lambda: _required_check(subjects))
    yield run(f"source of {CI}", lambda: _check_source(subjects))
    yield run(f"force pushes to {MAIN}", lambda: _force_pushes(subjects))
    yield run(f"the App's pushes to {MAIN}", lambda: _bypass(subjects))


def _environment(subjects: Subjects, name: str) -> str:
    found = repository_settings.environment(subjects.github, name)
    where = f"Settings, Environments, {name}, Deployment branches: selected, `{MAIN}` only"
    if found is None:
        raise WillFail(f"there is no environment {name}, which a role trusts; create it: {where}")
    if found.protected_branches:
        return "limited to protected branches"
    if found.branches is None:
        raise WillFail(f"every branch may use the environment {name} and so get its role; set {where}")
    if found.branches != (MAIN,):
        raise WillFail(f"the environment {name} is open to {', '.join(found.branches) or 'no branch'}; set {where}")
    return f"limited to {MAIN}"


def _reviewers(subjects: Subjects) -> str:
    found = repository_settings.environment(subjects.github, REVIEWED)
    if found is None:
        raise CannotTell(f"there is no environment {REVIEWED}")
    if not found.reviewers:
        raise WillFail(
            f"a deployment needs nobody's approval; set Settings, Environments, {REVIEWED}, Required reviewers"
        )
    return ", ".join(found.reviewers)


def _rules(subjects: Subjects) -> BranchRules:
    return repository_settings.branch_rules(subjects.github, MAIN)


def _reviews(subjects: Subjects) -> str:
    found = _rules(subjects).approvals
    if found is None:
        raise WillFail(f"{MAIN} takes pushes without a pull request; require one: {_SETTINGS}")
    if found < 1:
        raise WillFail(
            f"a pull request to {MAIN} needs no approval, so nobody else reads a change; require 1: {_SETTINGS}"
        )
    return f"{found} required"


_SETTINGS = f"Settings, Rules, Rulesets, for `{MAIN}`"


def _code_owners(subjects: Subjects) -> str:
    file = next((subjects.root / path for path in _CODE_OWNERS if (subjects.root / path).is_file()), None)
    if file is None:
        raise WillFail(
            f"the checkout has no {_CODE_OWNERS[0]}, so nobody in particular has to approve changes of "
            f"{', '.join(f'{path}/' for path in _OWNED)}; add one with a line for each"
        )
    patterns = [line.split() for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    owned = {words[0].strip("/*") for words in patterns if len(words) > 1}
    missing = [f"{path}/" for path in _OWNED if path not in owned and "" not in owned]
    if missing:
        raise WillFail(f"{file.relative_to(subjects.root)} has no owner of {', '.join(missing)}; add a line for each")
    rules = _rules(subjects)
    if rules.approvals is None:
        raise CannotTell(f"{MAIN} requires no pull request")
    if not rules.code_owners:
        raise WillFail(f"{MAIN} requires no review by code owners; tick it: {_SETTINGS}")
    return "their review is required"


def _required_check(subjects: Subjects) -> str:
    if not any(check.context == CI for check in _rules(subjects).checks):
        raise WillFail(
            f"{MAIN} does not require the status {CI}, so a change that failed its checks can be merged; {_SETTINGS}"
        )
    return f"{CI} is required"


def _check_source(subjects: Subjects) -> str:
    found = [check for check in _rules(subjects).checks if check.context == CI]
    if not found:
        raise CannotTell(f"{MAIN} does not require {CI}")
    app = found[0].app_id
    if app in (None, -1, ACTIONS_APP):
        who = "the Actions App is" if app == ACTIONS_APP else "no App is named as"
        raise WillFail(
            f"{who} the source of {CI}, so the workflow of any branch can post it; select the dedicated App as the "
            f"expected source: {_SETTINGS}"
        )
    return f"App {app}"


def _force_pushes(subjects: Subjects) -> str:
    rules = _rules(subjects)
    if rules.force_pushes and rules.approvals is None and not rules.checks:
        raise CannotTell(f"{MAIN} has no rules")
    if rules.force_pushes:
        raise WillFail(f"{MAIN} can be rewritten, and with it the record of approvals; block force pushes: {_SETTINGS}")
    return "blocked"


def _bypass(subjects: Subjects) -> str:
    """Requests and gate failures reach main directly only by an App that bypasses the rule."""
    rules, variables = _rules(subjects), subjects.readable_variables()
    if rules.approvals is None:
        raise CannotTell(f"{MAIN} requires no pull request")
    if variables is None:
        raise CannotTell("the variables cannot be read; see their line")
    if not variables.get(_APP):
        return f"no App is set ({_APP}); requests and gate failures reach {MAIN} by pull request"
    if rules.bypassing_apps is None:
        raise CannotTell("GitHub shows who bypasses a ruleset only to those who may edit it")
    if not rules.bypassing_apps:
        raise WillFail(
            f"{_APP} names an App that may not push to {MAIN}, so drift.yml and train.yml fail to record requests and "
            f"gate "
            f"failures there; add it to the bypass list: {_SETTINGS}"
        )
    return f"App {', '.join(rules.bypassing_apps)} bypasses the pull request"
