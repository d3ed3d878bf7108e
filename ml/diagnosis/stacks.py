"""Checks the two stacks: their names, their state, their templates against the checkout, and the last drift detection.

Starts no drift detection: it is a job that reads every resource of a stack, so it needs the permissions to read them,
and it changes the stack's drift status. The check reads the last result and names the command.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ml import clock
from ml.aws import platform_stack
from ml.aws.cloudformation import deployed_stack, platform_source, stack_names
from ml.aws.pipeline.image import NoImage
from ml.diagnosis.check import CannotTell, Check, NotYet, WillFail, run
from ml.diagnosis.subjects import Subjects

NO_ROLE = "not made: no workflow has a role for staging"
_DRIFT_DAYS = 7
_IN_PROGRESS = "_IN_PROGRESS"


def checks(subjects: Subjects) -> Iterator[Check]:
    """The checks of both stacks, the platform's first; and whether another stack of the account is in their way."""
    yield run("stack names", lambda: _names(subjects))
    yield from comparisons(subjects)


def comparisons(subjects: Subjects) -> Iterator[Check]:
    """Those of `checks` that compare the two stacks with Git. They read no other stack of the account."""
    platform, roles = subjects.stacks
    yield run(f"stack {platform}", lambda: _state(subjects, platform))
    yield run(f"template {platform}", lambda: _platform_template(subjects))
    yield run(f"drift of {platform}", lambda: _drift(subjects, platform))
    yield run(f"stack {roles}", lambda: _roles_state(subjects))
    yield run(f"template {roles}", lambda: _roles_template(subjects))
    yield run(f"drift of {roles}", lambda: _drift(subjects, roles) if subjects.has_roles else NO_ROLE)


def _names(subjects: Subjects) -> str:
    subjects.require_account()
    meeting = stack_names.overlap() or stack_names.same_endpoint(subjects.serving.endpoint)
    if meeting:
        raise WillFail(meeting)
    return (
        "no other stack's name begins with this stack's and a dash, nor the other way round, and none has its endpoint"
    )


def _state(subjects: Subjects, name: str) -> str:
    found = subjects.description(name)
    if found is None:
        _require_image(subjects, name)
        command = _bootstrap(subjects) if subjects.staging else subjects.bootstrap
        raise WillFail(f"there is no stack {name} in {subjects.region}; create it: {command}")
    status = found["StackStatus"]
    if status.endswith(_IN_PROGRESS) and not platform_stack.is_usable(status):
        raise NotYet(f"{status}: wait for its end, then run this again")
    if status == "UPDATE_ROLLBACK_FAILED":
        raise WillFail(
            f"{status} ({_reason(found)}): no update is possible; remove the cause, then: "
            f"aws cloudformation continue-update-rollback --stack-name {name}"
        )
    if not platform_stack.is_usable(status):
        raise WillFail(
            f"{status} ({_reason(found)}); remove the cause, then: fraudops bootstrap. It deletes a stack whose "
            "creation failed and creates it again"
        )
    return str(status)


def _require_image(subjects: Subjects, name: str) -> None:
    """A stack that is missing where it could not work is no fault of its own."""
    try:
        _ = subjects.image
    except NoImage as error:
        raise CannotTell(f"there is no stack {name}, and no image in {subjects.region}; see its line") from error


def _reason(description: object) -> str:
    reason = description.get("StackStatusReason") if isinstance(description, dict) else None
    return str(reason or "no reason given").rstrip(".")


def _roles_state(subjects: Subjects) -> str:
    """The roles' stack depends on the platform's: where that is missing, it is not a fault of its own."""
    platform, roles = subjects.stacks
    subjects.usable(platform)
    if not subjects.has_roles:
        return NO_ROLE
    if subjects.description(roles) is None:
        raise WillFail(
            f"there is no stack {roles}, so no workflow has a role; create it: fraudops bootstrap "
            f"--repository {subjects.named_repository or 'OWNER/NAME'} --configure"
        )
    return _state(subjects, roles)


def _platform_template(subjects: Subjects) -> str:
    name, _ = subjects.stacks
    found = subjects.usable(name)
    source = platform_source.source(subjects.root, staging=subjects.staging)
    deployed = deployed_stack.parameters(found)
    if not _equal(deployed_stack.template(name), source.template):
        raise WillFail(_other(subjects, name, platform_source.TEMPLATE.as_posix(), "its template"), remedy="template")
    if deployed.get("CodeKey") != source.code_key:
        raise WillFail(
            _other(subjects, name, f"{platform_source.FUNCTION.as_posix()}/", "the code of its deploy function"),
            remedy="template",
        )
    if deployed.get("EndpointName") != subjects.serving.endpoint:
        raise WillFail(
            f"the stack's endpoint is {deployed.get('EndpointName')}, and {subjects.serving_path.as_posix()} names "
            f"{subjects.serving.endpoint}: the deploy function may change only the former; run "
            f"{_bootstrap(subjects)}"
        )
    return f"equal to {platform_source.TEMPLATE.as_posix()}, with the code of {platform_source.FUNCTION.as_posix()}/"


def _roles_template(subjects: Subjects) -> str:
    if not subjects.has_roles:
        return NO_ROLE
    (_, name), path = subjects.stacks, subjects.roles_template.as_posix()
    subjects.usable(name)
    if not _equal(deployed_stack.template(name), (subjects.root / path).read_text("utf-8")):
        raise WillFail(_other(subjects, name, path, "its template"), remedy="template")
    return f"equal to {path}"


def _other(subjects: Subjects, name: str, path: str, what: str) -> str:
    return f"stack {name} differs from this checkout: {what} is not that of {path}; update it: {_bootstrap(subjects)}"


def _bootstrap(subjects: Subjects) -> str:
    """The command that updates both stacks."""
    if not subjects.staging:
        return "fraudops bootstrap"
    return f"FRAUDOPS_STACK={subjects.stacks[0]} fraudops bootstrap --staging"


def _equal(deployed: str, source: str) -> bool:
    """Whether two templates are equal; CloudFormation may drop white space at the end."""
    return deployed.rstrip() == source.rstrip()


def _drift(subjects: Subjects, name: str) -> str:
    found = deployed_stack.drift(subjects.usable(name))
    command = f"aws cloudformation detect-stack-drift --stack-name {name}"
    if found.status == "DRIFTED":
        raise WillFail(
            f"resources of stack {name} were changed by hand, so the template does not say what is deployed; list "
            f"them: aws cloudformation describe-stack-resource-drifts --stack-name {name}, change them back, then: "
            f"{command}"
        )
    if found.status != "IN_SYNC" or found.checked is None:
        raise NotYet(f"drift was never detected; start it, wait a minute and run this again: {command}")
    age = clock.now() - found.checked
    if age > timedelta(days=_DRIFT_DAYS):
        raise NotYet(f"drift was last detected {age.days} days ago; start it again: {command}")
    return f"none, detected {clock.stamp(found.checked)}"
