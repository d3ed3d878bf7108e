"""Checks who may change main: reviews, code owners, the required status and its source, the bot's bypass.

Changes no rule.
"""

from __future__ import annotations

from collections.abc import Iterator

from ml.diagnosis.check import CannotTell, Check, WillFail, run
from ml.diagnosis.subjects import Subjects
from ml.gitops import code_owners, github_apps
from ml.gitops.commit_statuses import CI
from ml.gitops.github_apps import ACTIONS_APP, BOT_APP, BOTS
from ml.gitops.main_rules import NAME

MAIN = "main"
_HIDDEN = "GitHub shows who bypasses a ruleset only to those who may edit it"


def checks(subjects: Subjects) -> Iterator[Check]:
    """The checks of main's rules, in order."""
    yield run(f"reviews on {MAIN}", lambda: _reviews(subjects))
    yield run(f"code owners on {MAIN}", lambda: _code_owners(subjects))
    yield run(f"required check on {MAIN}", lambda: _required_check(subjects))
    yield run(f"source of {CI}", lambda: _check_source(subjects))
    yield run(f"force pushes to {MAIN}", lambda: _force_pushes(subjects))
    yield run(f"deletion of {MAIN}", lambda: _deletion(subjects))
    yield run(f"exemptions on {MAIN}", lambda: _exemptions(subjects))
    yield run(f"the App's pushes to {MAIN}", lambda: _bypass(subjects))


def _remedy(subjects: Subjects, options: str = "") -> str:
    return f"set the rules: fraudops bootstrap --repository {subjects.repository} --configure --protect{options}"


def _reviews(subjects: Subjects) -> str:
    rules = subjects.main_rules
    fault = None
    if rules.reviews is None:
        fault = f"{MAIN} accepts pushes without a pull request"
    elif rules.reviews < 1:
        fault = f"a pull request to {MAIN} needs no approval, so nobody else reads a change"
    elif not rules.dismisses_stale:
        fault = f"{MAIN} keeps approvals of commits that were replaced"
    elif not rules.last_push:
        fault = f"{MAIN} accepts the last pusher's own approval"
    if fault:
        raise WillFail(f"{fault}; {_remedy(subjects)}")
    return f"{rules.reviews} required, of the last push"


def _code_owners(subjects: Subjects) -> str:
    missing, rules = code_owners.without_owner(subjects.github), subjects.main_rules
    if missing:
        raise WillFail(
            f"{', '.join(missing)} have no code owner on {MAIN}, so nobody in particular has to approve their changes; "
            f"commit a {code_owners.FILE}, which fraudops bootstrap --code-owner @LOGIN writes"
        )
    if rules.reviews is None:
        raise CannotTell(f"{MAIN} requires no pull request")
    if not rules.code_owners:
        raise WillFail(f"{MAIN} requires no review by code owners; {_remedy(subjects)}")
    return "their review is required"


def _required_check(subjects: Subjects) -> str:
    if not subjects.main_rules.status:
        raise WillFail(
            f"{MAIN} does not require the status {CI}, so a change that failed its checks can be merged; "
            f"{_remedy(subjects)}"
        )
    return f"{CI} is required"


def _check_source(subjects: Subjects) -> str:
    rules = subjects.main_rules
    if not rules.status:
        raise CannotTell(f"{MAIN} does not require {CI}")
    app = rules.status_source
    if app in (None, ACTIONS_APP):
        who = "the Actions App is" if app == ACTIONS_APP else "no App is named as"
        raise WillFail(
            f"{who} the source of {CI}, so the workflow of any branch can post it; "
            f"{_remedy(subjects, ' --status-app ID')}"
        )
    return f"App {app}"


def _force_pushes(subjects: Subjects) -> str:
    if not subjects.main_rules.no_force_pushes:
        _expect_rules(subjects)
        raise WillFail(f"{MAIN} can be rewritten, and with it the record of approvals; {_remedy(subjects)}")
    return "blocked"


def _deletion(subjects: Subjects) -> str:
    if not subjects.main_rules.no_deletion:
        _expect_rules(subjects)
        raise WillFail(f"{MAIN} can be deleted; {_remedy(subjects)}")
    return "blocked"


def _expect_rules(subjects: Subjects) -> None:
    """CannotTell if main has no rules at all, which the check of its reviews reports."""
    if subjects.main_rules.reviews is None and not subjects.main_rules.status:
        raise CannotTell(f"{MAIN} has no rules")


def _exemptions(subjects: Subjects) -> str:
    """Nobody but the bot's App is exempt from the reviews and the required status."""
    _expect_rules(subjects)
    rules = subjects.main_rules
    if rules.bypassing_apps is None or rules.other_bypasses is None:
        raise CannotTell(_HIDDEN)
    where = f"remove them in Settings, Rules, Rulesets, {NAME}, Bypass list, or in the protection of {MAIN}"
    if {str(ACTIONS_APP), "github-actions"} & set(rules.bypassing_apps):
        raise WillFail(f"the Actions App bypasses the rules, so the workflow of any branch can push to {MAIN}; {where}")
    if rules.other_bypasses:
        raise WillFail(
            f"{', '.join(rules.other_bypasses)} bypass the rules, so one person alone can change {MAIN}; {where}"
        )
    if not rules.bypassing_apps:
        return "none"
    if subjects.app(BOT_APP) is None:
        raise WillFail(
            f"App {', '.join(rules.bypassing_apps)} bypasses the rules, and {BOT_APP} names no App; set it, or {where}"
        )
    own = _bot_names(subjects)
    if others := [app for app in rules.bypassing_apps if app not in own]:
        raise WillFail(f"App {', '.join(others)} bypasses the rules and is none that {BOTS} names; {where}")
    return "none but the App's"


def _bypass(subjects: Subjects) -> str:
    """Requests and gate failures reach main directly only by the bot's App, if it bypasses the rules."""
    rules = subjects.main_rules
    if rules.reviews is None:
        raise CannotTell(f"{MAIN} requires no pull request")
    if subjects.app(BOT_APP) is None:
        return f"no App is set ({BOT_APP}); requests and gate failures reach {MAIN} by pull request"
    if rules.bypassing_apps is None:
        raise CannotTell(_HIDDEN)
    own = _bot_names(subjects) if rules.bypassing_apps else frozenset()
    bypassing = [app for app in rules.bypassing_apps if app in own]
    if not bypassing:
        raise WillFail(
            f"{BOT_APP} names an App that may not push to {MAIN}, so drift.yml and train.yml fail to record requests "
            f"and gate failures there; {_remedy(subjects, ' --bot-app ID')}"
        )
    return f"App {', '.join(bypassing)} bypasses the pull request"


def _bot_names(subjects: Subjects) -> frozenset[str]:
    """The slugs and ids of the Apps that FRAUDOPS_BOTS names: branch protection has the former, a ruleset the latter.

    CannotTell if it names none, which the check of the bot's App reports, or if GitHub does not show one of them.
    """
    names: set[str] = set()
    for slug in github_apps.slugs(subjects.variables.get(BOTS) or ""):
        number = github_apps.read_id(subjects.github, slug)
        if number is None:
            raise CannotTell(
                f"GitHub shows no App {slug}, which {BOTS} names, to this token; a private App's owner sees it"
            )
        names |= {slug, str(number)}
    if not names:
        raise CannotTell(f"{BOTS} names no App whose bypass could be recognised")
    return frozenset(names)
