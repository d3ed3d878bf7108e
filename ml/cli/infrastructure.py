"""`fraudops bootstrap`, `doctor`, `teardown` and `infra`: the platform in an account."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ml.cli.options import HERE, OnGithub, PullRequest, Repo, View, confirm, group, owner_and_name, verb

app = group("Create the platform.")
infra = group("Plan and apply changes of infra/.")


@verb(app, example="fraudops bootstrap --repository OWNER/NAME --configure")
def bootstrap(
    notify: Annotated[
        str | None, typer.Option(help="An e-mail address for alarms, and for refused and failed deployments.")
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", callback=owner_and_name, help="The repository whose workflows get roles."),
    ] = None,
    configure: Annotated[
        bool,
        typer.Option(
            "--configure",
            help="Also set the repository's variables, environments and settings of Actions, with GITHUB_TOKEN.",
        ),
    ] = False,
    without_environments: Annotated[
        bool,
        typer.Option(
            "--without-environments",
            help="For a repository whose plan has no environments: every job on main may assume every role.",
        ),
    ] = False,
    protect: Annotated[
        bool, typer.Option("--protect", help="Also set the rules of main, so that a second person is needed.")
    ] = False,
    reviewer: Annotated[
        list[str] | None,
        typer.Option(metavar="LOGIN", help="With --protect: who approves deployments; ORG/TEAM for a team."),
    ] = None,
    code_owner: Annotated[
        str | None,
        typer.Option(metavar="@LOGIN", help="Write .github/CODEOWNERS for @LOGIN or @ORG/TEAM."),
    ] = None,
    status_app: Annotated[
        int | None, typer.Option(metavar="ID", help="With --protect: the id of the App that posts fraudops/ci.")
    ] = None,
    bot_app: Annotated[
        int | None, typer.Option(metavar="ID", help="With --protect: the id of the bot's App, which may push to main.")
    ] = None,
    reserve_concurrency: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=10,
            metavar="N",
            help="Reserve N concurrent executions for the deploy function; by default as the account's quota permits.",
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A setting of infra/platform.yaml, such as Encryption=customer-key; the template describes each.",
        ),
    ] = None,
    staging: Annotated[
        bool,
        typer.Option("--staging", help="Create staging's stack, which FRAUDOPS_STACK names, and its workflow's role."),
    ] = False,
    repo: Repo = HERE,
) -> View:
    """Create or update the platform and the workflows' roles in an account."""
    from ml import render
    from ml.commands.bootstrap import Protection
    from ml.commands.bootstrap import bootstrap as run

    given = {"--reviewer": reviewer, "--status-app": status_app, "--bot-app": bot_app}
    for option, value in given.items():
        if value and not protect:
            raise typer.BadParameter("is set with the rules of main: add --protect", param_hint=option)
    result = run(
        repo,
        notify=notify,
        repository=repository,
        configure=configure,
        reserve_concurrency=reserve_concurrency,
        settings_given=parameter or (),
        without_environments=without_environments,
        protect=Protection(reviewers=tuple(reviewer or ()), status_app=status_app, bot_app=bot_app)
        if protect
        else None,
        code_owner=code_owner,
        staging=staging,
    )
    states = {name: f" ({state})" for name, state in result.configured.items()}
    return View(
        value=result,
        rows=[
            ("stack", f"{result.stack}: {result.state}"),
            *render.fields(result.platform),
            ("workflows' roles", result.identity or "none made"),
            *((name, f"{value}{states.get(name, '')}") for name, value in result.variables.items()),
            *(("to do", text) for text in result.settings),
        ],
    )


@verb(app, example="fraudops doctor --repository OWNER/NAME")
def doctor(
    repository: OnGithub = None,
    repo: Repo = HERE,
) -> View:
    """Check everything that can be checked before the first run, and change nothing."""
    from ml.commands.doctor import doctor as run

    result = run(repo, repository=repository)
    return View(value=result, text=result.text, error=result.error)


@verb(app, example="fraudops teardown --repository OWNER/NAME")
def teardown(
    repository: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER/NAME",
            callback=owner_and_name,
            help="Also remove this repository's variables, with GITHUB_TOKEN.",
        ),
    ] = None,
    delete_buckets: Annotated[
        bool, typer.Option("--delete-buckets", help="Also delete the buckets with all data and versions.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, for scripts.")] = False,
) -> View:
    """Remove from the account what bootstrap and the workflows have created; asks first."""
    from ml import console
    from ml.commands import teardown as command

    found = command.survey(repository=repository)
    doomed = [*found.lines(), *(f"bucket {name} with all its data" for name in found.buckets if delete_buckets)]
    for line in doomed:
        console.note(f"  remove  {line}")
    if doomed and not yes:
        confirm(f"Type the stack's name, {found.stack}, to remove this", found.stack)
        for bucket in found.buckets if delete_buckets else ():
            confirm(f"Type {bucket} to delete this bucket with all its data, for ever", bucket)
    result = command.teardown(found, buckets=delete_buckets, repository=repository)
    return View(
        value=result,
        rows=[*(("removed", line) for line in result.removed), *(("left", line) for line in result.left)],
    )


@verb(infra, "plan", example="fraudops infra plan")
def infra_plan(pull_request: PullRequest = None, repo: Repo = HERE) -> View:
    """Show what applying infra/ would change in the account, deletions first."""
    from ml.commands.infra import plan as run

    result = run(repo, pull_request=pull_request)
    return View(value=result, text=result.markdown)


@verb(infra, "apply", example="fraudops infra apply")
def infra_apply(repo: Repo = HERE) -> Any:
    """Apply the platform's template; show changes of the workflows' roles, which a person applies."""
    from ml.commands.infra import apply as run

    return run(repo)
