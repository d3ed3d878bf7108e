"""Checks whether a repository can be read, its variables, OIDC subject, workflow tokens and merge methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ml.aws import platform_stack
from ml.aws.cloudformation import deployed_stack, role_trust, workflow_roles
from ml.diagnosis.check import CannotTell, Check, WillFail, run
from ml.diagnosis.subjects import Subjects
from ml.gitops import oidc_subject, repository_settings


def checks(subjects: Subjects) -> Iterator[Check]:
    """The checks of the repository's settings, in order."""
    yield run("repository", lambda: _repository(subjects))
    yield run("variables", lambda: _variables(subjects))
    yield run("OIDC subject", lambda: _subject(subjects))
    yield run("pull requests by Actions", lambda: _pull_requests(subjects))
    yield run("workflow token", lambda: _token(subjects))
    yield run("merge method", lambda: _merging(subjects))


def _repository(subjects: Subjects) -> str:
    """A wrong name will fail; a rejected token or an unreachable GitHub is no answer."""
    name = subjects.client.repository
    if isinstance(subjects.unreadable, repository_settings.NoRepository):
        raise WillFail(str(subjects.unreadable))
    if subjects.unreadable is not None:
        raise subjects.unreadable
    return f"{name}, which GITHUB_TOKEN can read"


def _variables(subjects: Subjects) -> str:
    """Each variable that the stacks define has their value; FRAUDOPS_REGION is part of the check of the region."""
    found = subjects.variables
    roles = deployed_stack.outputs(subjects.usable(workflow_roles.stack_name()))
    wanted = {"FRAUDOPS_STACK": platform_stack.stack_name(), **workflow_roles.variables(roles)}
    absent = sorted({"FRAUDOPS_REGION", *wanted} - set(found))
    others = sorted(name for name in wanted if found.get(name, wanted[name]) != wanted[name])
    faults = [f"{', '.join(absent)} missing"] if absent else []
    faults += [f"{name} is {found[name]}, and the stack has {wanted[name]}" for name in others]
    if faults:
        raise WillFail(
            f"{'; '.join(faults)}; set them: fraudops bootstrap --repository {subjects.repository} --configure"
        )
    return f"{len(wanted) + 1} variables are those of the stacks"


def _roles(subjects: Subjects) -> dict[str, str]:
    """The ARN of each workflow's role, by the variable that names it."""
    name = workflow_roles.stack_name()
    outputs = deployed_stack.outputs(subjects.usable(name))
    missing = sorted(set(workflow_roles.ROLES) - set(outputs))
    if missing:
        raise CannotTell(f"stack {name} lacks the outputs {', '.join(missing)}; see the line of its template")
    return {variable: outputs[output] for output, variable in workflow_roles.ROLES.items()}


def _subject(subjects: Subjects) -> str:
    """Each role trusts the form of `sub` that GitHub issues for the repository."""
    found = oidc_subject.read(subjects.github)
    if found.repository is None:
        raise WillFail(oidc_subject.own_template(subjects.github, found))
    prefix = found.prefix
    for variable, arn in _roles(subjects).items():
        trusted = role_trust.subjects(arn)
        if not any(role_trust.accepts(pattern, prefix) for pattern in trusted):
            raise WillFail(
                f"tokens of {subjects.repository} begin with {prefix}, and the role of {variable} trusts "
                f"{', '.join(trusted) or 'no subject'}; update the roles: fraudops bootstrap --repository "
                f"{subjects.repository} --configure"
            )
    return f"{prefix}, which every role trusts"


def _pull_requests(subjects: Subjects) -> str:
    if not _tokens(subjects).may_create_pull_requests:
        raise WillFail(
            "workflows may open no pull request, so no approval can be proposed; tick Settings, Actions, General, "
            '"Allow GitHub Actions to create and approve pull requests"'
        )
    return "allowed"


def _token(subjects: Subjects) -> str:
    found = _tokens(subjects)
    if found.default_permissions != "read":
        raise WillFail(
            f"a job without `permissions` may {found.default_permissions} everything in the repository; set Settings, "
            "Actions, General, Workflow permissions: read"
        )
    return "read by default; each job requests what it needs"


def _tokens(subjects: Subjects) -> repository_settings.WorkflowTokens:
    found = repository_settings.workflow_tokens(subjects.github)
    if found is None:
        raise CannotTell("GitHub shows the settings of workflow tokens only to administrators of the repository")
    return found


def _merging(subjects: Subjects) -> str:
    found: Mapping[str, Any] = repository_settings.merge_methods(subjects.github)
    if not found:
        raise CannotTell("GitHub shows the merge methods only to those who may write to the repository")
    if not found.get("merge"):
        raise WillFail(
            "merge commits are not allowed, and a rollback reverts one of an approval's commits; tick Settings, "
            'General, "Allow merge commits"'
        )
    others = [name for name in ("squash", "rebase") if found.get(name)]
    if others:
        raise WillFail(
            f"{' and '.join(others)} merges are allowed and would lose the commits that a rollback reverts; allow "
            "merge commits only: Settings, General, Pull Requests"
        )
    return "merge commits only"
