"""`fraudops bootstrap`: creates or updates the platform stack and the workflows' roles in an account.

A person runs it on a laptop: it creates the roles of the workflows, so no workflow may run it. It is idempotent: equal
resources stay, others are updated, and the result says which.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ml.aws import lambda_concurrency, log_groups
from ml.aws import platform_stack as platform
from ml.aws.cloudformation import platform_source, retained_names, stack, stack_names, staging_role
from ml.aws.cloudformation import workflow_roles as identity
from ml.aws.cloudformation.platform_source import FUNCTION, IDENTITY, TEMPLATE, Source
from ml.aws.cloudformation.workflow_roles import Trusted
from ml.console import note, stage
from ml.diagnosis import environments as environment_checks
from ml.diagnosis import main_rules as rule_checks
from ml.diagnosis import manual_settings
from ml.diagnosis import repository as setting_checks
from ml.diagnosis.environments import WEAKER
from ml.diagnosis.subjects import Subjects
from ml.errors import Refused, UsageError
from ml.gitops import code_owners, environments, repository_settings

if TYPE_CHECKING:
    from ml.gitops.github_client import GitHub

State = Literal["created", "updated", "unchanged"]
_WITHOUT_RESOURCES = (stack.UNUSED, "ROLLBACK_COMPLETE")
"""States of a stack that has no resources: those with its names are of another one."""


@dataclass(frozen=True, kw_only=True)
class Protection:
    """What makes a second person necessary, as far as it was named.

    `reviewers` approve deployments to `production`: logins, or ORG/TEAM. `status_app` is the id of the App that posts
    fraudops/ci, `bot_app` that of the App that may push retrain requests and gate failures to main.
    """

    reviewers: tuple[str, ...] = ()
    status_app: int | None = None
    bot_app: int | None = None


@dataclass(frozen=True, kw_only=True)
class Bootstrapped:
    """The result of `bootstrap`, and the platform.

    `identity` is the state of the workflows' roles, None if no repository has access yet; `variables` are the
    repository's variables, and `configured` the state of each that was set here. `settings` lists what a person has to
    do on GitHub, in plain lines; `missing` are those of them that were read back from the repository, and `unanswered`
    the subjects that could not be read there.
    """

    state: State
    stack: str
    platform: platform.Platform
    code_bucket: str
    code_key: str
    identity: State | None
    variables: Mapping[str, str]
    configured: Mapping[str, str]
    settings: tuple[str, ...]
    missing: tuple[str, ...]
    unanswered: tuple[str, ...]


def bootstrap(
    root: Path,
    *,
    notify: str | None = None,
    repository: str | None = None,
    configure: bool = False,
    reserve_concurrency: int | None = None,
    settings_given: Sequence[str] = (),
    without_environments: bool = False,
    protect: Protection | None = None,
    code_owner: str | None = None,
    staging: bool = False,
) -> Bootstrapped:
    """Creates or updates both stacks from infra/ below `root`, for the endpoint that serving/production.yaml names.

    Args:
        notify: an e-mail address for alarms and for refused and failed deployments; None keeps the present one.
        repository: OWNER/NAME of the repository whose workflows get roles; None keeps the present one.
        configure: also set the repository's variables, with the token GITHUB_TOKEN.
        reserve_concurrency: concurrent executions reserved for the deploy function, 0 for none; None keeps the present
            value, and reserves 1 in a new stack if the account's quota permits it.
        settings_given: parameters of infra/platform.yaml as NAME=VALUE, those of `platform_source.SETTINGS`; others
            keep their present values.
        without_environments: the roles trust main instead of one environment each.
        protect: with `configure`, set the rules of main and the reviewers of `production`, which need a second person.
        code_owner: @LOGIN or @ORG/TEAM, for which .github/CODEOWNERS is written into `root` unless there is one.
        staging: for the endpoint of serving/staging.yaml, in the stack that FRAUDOPS_STACK names, `staging-NAME`. With
            `repository` its workflow deploy-staging.yml gets a role, which every later run updates.

    Raises:
        Refused: the caller is the account's root user, the stack's name overlaps with that of another stack, another
            stack of the account and region has the endpoint, a removed stack has left resources whose names a new one
            needs, or the repository's plan has no environments and `without_environments` does not say to go on;
            nothing was changed.
        UsageError: a setting or the code owner is invalid, or an option lacks another; nothing was changed.
        ConfigError: infra/ or serving/production.yaml is missing or invalid.
        CloudError: a resource could not be created; it is named, with CloudFormation's reason.
        GitHubError: GitHub shows no such repository, and nothing was changed. Or the variables could not be set: both
            stacks exist, and a rerun continues with the variables.
    """
    _require_fitting_options(repository, configures=configure or without_environments, staging=staging)
    given = platform_source.settings(settings_given)
    if code_owner is not None:
        code_owners.text(code_owner)  # refuses another form before anything is changed
    if protect is not None and not configure:
        raise UsageError("the rules of main are set with the repository's variables: add --configure to --protect")
    platform.refuse_root()
    made, name = platform_source.source(root, staging=staging), platform.stack_name()
    if meeting := stack_names.overlap() or stack_names.same_endpoint(made.parameters["EndpointName"]):
        raise Refused(f"{meeting}; nothing was changed")
    before = platform.describe_stack(name)
    if before is None or before["StackStatus"] in _WITHOUT_RESOURCES:
        _refuse_retained_names(name)
    if configure and repository is not None and not without_environments:
        _ensure_environments(repository)
    elif repository is not None and os.environ.get("GITHUB_TOKEN"):
        repository_settings.require(_github(repository))
    if code_owner is not None:
        _write_code_owners(root, code_owner)
    with stage(f"Deploy function's code to s3://{made.code_bucket}"):
        stack.ensure_bucket(made.code_bucket)
        stack.upload(made.code_bucket, FUNCTION.name, made.archive)
    parameters = made.parameters | given | ({"NotificationEmail": notify} if notify is not None else {})
    if before is None or not stack.was_created(before):
        parameters = log_groups.ownership(made.parameters["EndpointName"]) | parameters
    reserved = _concurrency(name) if reserve_concurrency is None else reserve_concurrency
    if reserved is not None:
        parameters["ReservedConcurrency"] = str(reserved)
    with stage(f"Stack {name} from {TEMPLATE}"):
        applied = stack.apply(name, made.template, parameters)
    where = platform.read()
    trusted = _trusted(repository, environments=not without_environments) if repository is not None else None
    let_in, values, boundary = _let_in(root, trusted, where, made, staging=staging)
    if boundary is not None:
        # After the first run only: the boundary of the platform's roles is made together with the workflows' roles,
        # which need the platform's outputs.
        with stage(f"Permissions boundary of the roles of {name}"):
            bounded = stack.apply(name, made.template, made.parameters | {identity.BOUNDARY: boundary})
        applied = applied if applied.state != "unchanged" else bounded
    configured: Mapping[str, str] = {}
    missing: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    if configure and repository is not None:
        configured = _configure(repository, values, protect)
        missing, unanswered = ((), ()) if staging else _read_back(root, repository)
    return Bootstrapped(
        state=applied.state,
        stack=name,
        platform=where,
        code_bucket=made.code_bucket,
        code_key=made.code_key,
        identity=let_in,
        variables=values,
        configured=configured,
        settings=_STAGING_NEXT
        if staging
        else _settings(repository, values, (missing, unanswered) if configured else None)
        if let_in
        else _NOBODY_LET_IN,
        missing=missing,
        unanswered=unanswered,
    )


def _require_fitting_options(repository: str | None, *, configures: bool, staging: bool) -> None:
    """Raises UsageError if one option lacks another, or contradicts the stack's name."""
    if repository is None and configures:
        raise UsageError("to configure a repository, name it: --repository OWNER/NAME")
    if staging and not platform.is_staging(platform.stack_name()):
        raise UsageError(
            "the stack of staging is named staging-NAME for a platform NAME: set FRAUDOPS_STACK to "
            f"staging-{platform.stack_name()} for this command"
        )


def _settings(
    repository: str | None, values: Mapping[str, str], read_back: tuple[tuple[str, ...], tuple[str, ...]] | None
) -> tuple[str, ...]:
    """What a person still has to do, in order; `read_back` is that of `_read_back`, None if nothing was configured."""
    has_environments = values[identity.ENVIRONMENTS_VARIABLE] == "true"
    weaker = () if has_environments else (WEAKER,)
    named = repository or "OWNER/NAME"
    last = (
        f"Check all of it, also the account: fraudops doctor --repository {named}",
        "Import your data: fraudops data import PATH…",
        f'Then: gh workflow run train.yml --repo {named} --field reason="first model"',
    )
    if read_back is not None:
        missing, unanswered = read_back
        unknown = (f"not checked, as they depend on other settings: {', '.join(unanswered)}",) if unanswered else ()
        return (*weaker, *missing, *unknown, *last)
    return (*manual_settings.lines(environments=has_environments), *weaker, *last)


def _read_back(root: Path, repository: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The faults that `fraudops doctor` finds in the repository, and the subjects that it cannot read there."""
    subjects = Subjects(root, repository)
    parts = (setting_checks.checks, environment_checks.checks, rule_checks.checks)
    found = [check for part in parts for check in part(subjects)]
    missing = tuple(f"{check.subject}: {check.detail}" for check in found if check.state == "will fail")
    return missing, tuple(check.subject for check in found if check.state == "cannot tell")


_STAGING_NEXT = (
    "Then, with FRAUDOPS_STACK as it was: fraudops deploy --staging; or, with the variable FRAUDOPS_ROLE_STAGING and "
    "the environment `staging`: gh workflow run deploy-staging.yml",
)

_NOBODY_LET_IN = (
    "No repository's workflows have roles yet: run `fraudops bootstrap --repository OWNER/NAME`, or with "
    "--configure to set its variables too.",
)


def _concurrency(stack_name: str) -> int | None:
    """The reservation for a new stack, as the account's quota permits it; None for a stack that has one."""
    before = platform.describe_stack(stack_name)
    if before is not None and stack.was_created(before):
        return None
    reservable = lambda_concurrency.reservable()
    if reservable:
        return 1
    why = "the caller may not read the quota" if reservable is None else "the account's quota leaves none to reserve"
    note(f"note: no concurrency is reserved for the deploy function: {why}. It is idempotent, so it works without")
    return 0


def _refuse_retained_names(stack_name: str) -> None:
    if found := retained_names.find(stack_name):
        raise Refused(
            f"a removed stack {stack_name} has left {' and '.join(each.what for each in found)}, and a new one needs "
            f"{'these names' if len(found) > 1 else 'this name'}; set FRAUDOPS_STACK to another name, or delete "
            f"{'them' if len(found) > 1 else 'it'} for ever: {'; '.join(each.command for each in found)}; nothing was "
            "changed"
        )


def _let_in(
    root: Path, trusted: Trusted | None, where: platform.Platform, made: Source, *, staging: bool
) -> tuple[State | None, dict[str, str], str | None]:
    """The state of the roles, None if no repository has access; the repository's variables; the platform's boundary."""
    name = identity.stack_name()
    if staging:
        if trusted is None and not staging_role.exists():
            return None, {}, None
        with stage(f"Stack {name} from {staging_role.TEMPLATE}"):
            role = staging_role.apply(staging_role.template(root), where, trusted)
        return role.state, staging_role.variables(role), None
    if trusted is None and platform.describe_stack(name) is None:
        return None, {}, None
    template = platform_source.identity_template(root)
    with stage(f"Stack {name} from {IDENTITY}"):
        applied = identity.apply(template, platform_source.identity_parameters(where, made), trusted)
    named = {"FRAUDOPS_REGION": where.region, "FRAUDOPS_STACK": platform.stack_name()}
    return applied.state, named | identity.variables(applied.outputs), applied.outputs[identity.BOUNDARY]


def _trusted(repository: str, *, environments: bool) -> Trusted:
    """The repository as its OIDC tokens name it, which takes a token to read."""
    if not os.environ.get("GITHUB_TOKEN"):
        note(
            f"note: the roles trust {repository} by name. The OIDC tokens of repositories created since 2026-07-15 "
            "contain ids, which such roles refuse: set GITHUB_TOKEN, so that this can be read"
        )
        return Trusted(repository=repository, environments=environments)
    from ml.gitops import oidc_subject

    return Trusted(repository=oidc_subject.repository_in_subject(_github(repository)), environments=environments)


def _write_code_owners(root: Path, owner: str) -> None:
    written = code_owners.write(root, owner)
    note(f"{code_owners.FILE} {'is written; commit it' if written else 'exists and stays as it is'}")


def _ensure_environments(repository: str) -> None:
    with stage(f"Environments of {repository}, limited to main"):
        try:
            environments.ensure(_github(repository), environments.NAMES)
        except environments.NoEnvironments as error:
            repository_settings.require(_github(repository))  # a wrong name must not suggest weaker settings
            raise Refused(
                f"{error}. The token needs administration of the repository, and a private repository a paid plan. "
                f"{WEAKER} To go on like that, run this again with --without-environments; nothing was changed in AWS"
            ) from error


def _configure(repository: str, values: Mapping[str, str], protect: Protection | None) -> dict[str, str]:
    from ml.gitops import actions_variables, main_rules

    github = _github(repository)
    with stage(f"Variables and settings of {repository}"):
        states: dict[str, str] = dict(actions_variables.set_variables(github, values))
        repository_settings.configure(github)
        if protect is not None:
            main_rules.ensure(github, status_app=protect.status_app, bypass_app=protect.bot_app)
            environments.set_reviewers(github, environments.REVIEWED, protect.reviewers)
    return states


def _github(repository: str) -> GitHub:
    from ml.gitops.github_client import GitHub

    return GitHub.from_environment(repository=repository)
