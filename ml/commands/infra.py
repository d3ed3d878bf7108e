"""`fraudops infra plan` and `apply`: previews and applies changes of infra/ in the account.

A pull request shows the changes, destructive ones first; main applies the platform stack. Changes of the workflows'
roles are shown but never applied: no workflow may extend the rights of workflows, so a person runs `fraudops
bootstrap`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml.aws import platform_stack
from ml.aws.cloudformation import change_set, platform_source, stack, workflow_roles
from ml.aws.cloudformation.change_set import Change, Preview
from ml.console import command, stage
from ml.errors import CloudError
from ml.gitops import markdown_escaping as markdown
from ml.workflow import changed_files as change
from ml.workflow import runner_commands

MARKER = "infra"
_PLANNED = "### What merging this changes in the account"
_DONE = "### What was changed in the account"
_FAILED = "### Planned changes in the account that were not made"
_VERBS = {
    "Remove": "deleted",
    "Add": "created",
    "Import": "imported",
    "Dynamic": "changed, details known at deployment",
}


@dataclass(frozen=True, kw_only=True)
class InfraPlan:
    """The planned changes. `comment` is the URL of the comment; None if none may be written."""

    stacks: tuple[Preview, ...]
    changes: int
    losing: int
    """Number of resources that would or could be deleted or replaced."""
    markdown: str
    comment: str | None


@dataclass(frozen=True, kw_only=True)
class InfraApplied:
    """The result for the platform stack, and the number of pending changes of the workflows' roles."""

    state: Literal["created", "updated", "unchanged"]
    stack: str
    identity_changes: int


def plan(root: Path, *, pull_request: int | None = None) -> InfraPlan:
    """Writes the changes of applying infra/ to the step's summary and to the pull request.

    Raises:
        CloudError: a template is refused, or CloudFormation cannot be reached.
        GitHubError: the comment cannot be written.
    """
    pull = change.pull_request(pull_request)
    found = _previews(root)
    text = describe(found)
    runner_commands.summary(text)
    comment = None
    if pull is not None and not pull.read_only:
        from ml.gitops import comments
        from ml.gitops.github_client import GitHub

        comment = comments.upsert(GitHub.from_environment(), pull.number, MARKER, text).url
    every = [change for each in found for change in each.changes]
    return InfraPlan(
        stacks=tuple(found),
        changes=len(every),
        losing=sum(change.loses for change in every),
        markdown=text,
        comment=comment,
    )


def apply(root: Path) -> InfraApplied:
    """Applies the platform template of the checkout and reports its changes and the pending changes of the roles.

    Raises:
        Refused: the caller is the account's root user.
        CloudError: there is no platform stack, or a resource could not be changed; the message names it and the reason.
    """
    platform_stack.refuse_root()
    name = platform_stack.stack_name()
    if platform_stack.describe_stack(name) is None:
        raise CloudError(f"there is no stack {name} in this account and region; create it with `fraudops bootstrap`")
    made, found = platform_source.source(root), _previews(root)
    try:
        with stage(f"Deploy function's code to s3://{made.code_bucket}"):
            stack.upload(made.code_bucket, platform_source.FUNCTION.name, made.archive)
        with stage(f"Stack {name} from {platform_source.TEMPLATE}"):
            applied = stack.apply(name, made.template, made.parameters)
    except CloudError as error:
        runner_commands.summary(f"{describe(found, title=_FAILED)}\n\n{markdown.text(error)}")
        raise
    runner_commands.summary(describe(found, title=_DONE))
    waiting = next((len(each.changes) for each in found if each.stack == workflow_roles.stack_name()), 0)
    if waiting:
        message = (
            f"{platform_source.IDENTITY} differs from its stack in {waiting} resource{'s' if waiting > 1 else ''}; no "
            "workflow may change the rights of workflows: a person applies it with `fraudops bootstrap`"
        )
        command(runner_commands.annotate("warning", message, file=platform_source.IDENTITY))
    return InfraApplied(state=applied.state, stack=name, identity_changes=waiting)


def _previews(root: Path) -> list[Preview]:
    made = platform_source.source(root)
    found = [change_set.preview(platform_stack.stack_name(), made.template, made.parameters)]
    if found[0].exists:
        template = platform_source.identity_template(root)
        parameters = platform_source.identity_parameters(platform_stack.read(), made)
        found.append(change_set.preview(workflow_roles.stack_name(), template, parameters))
    return found


def describe(found: list[Preview], *, title: str = _PLANNED) -> str:
    """The change sets as Markdown, for the reviewer."""
    blocks = [title]
    for each in found:
        losing = sum(change.loses for change in each.changes)
        if not each.exists:
            blocks.append(
                f"There is no stack {markdown.code(each.stack)} yet: a person creates it with `fraudops bootstrap`."
            )
            continue
        if not each.changes:
            blocks.append(f"Stack {markdown.code(each.stack)}: no changes.")
            continue
        by = " A person applies this, with `fraudops bootstrap`." if each.stack == workflow_roles.stack_name() else ""
        lost = f" **{losing} would or could be deleted or replaced.**" if losing else ""
        rows = [_row(change) for change in each.changes]
        blocks.append(
            f"Stack {markdown.code(each.stack)}: {len(each.changes)} of its resources.{lost}{by}\n\n"
            + markdown.table(["", "resource", "type", "because of"], rows)
        )
    return "\n\n".join(blocks)


def _row(change: Change) -> list[str]:
    verb = _VERBS.get(change.action, "changed")
    if change.action == "Modify" and change.replacement in ("True", "Conditional"):
        verb = "replaced" if change.replacement == "True" else "changed or replaced"
    name = markdown.code(change.resource)
    return [
        f"**{verb}**" if change.loses else verb,
        f"{name} ({markdown.code(change.physical_id)})" if change.physical_id else name,
        markdown.code(change.type),
        markdown.text(", ".join(change.because)),
    ]
