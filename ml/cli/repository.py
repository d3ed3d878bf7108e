"""What pull requests are checked with, and the infrastructure behind it all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from ml.cli.options import HERE, Json, PullRequest, Repo, group

app = group("Check what a change does; make the platform.")
infra = group("What a change of infra/ does to the account.")


@app.command(epilog="Example: fraudops validate")
def validate(pull_request: PullRequest = None, repo: Repo = HERE, json: Json = False) -> None:
    """Checks every file of model-config/, alone, against the others and against main."""
    from ml import render
    from ml.commands.validate import validate as run

    result = run(repo, pull_request=pull_request)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: fraudops plan")
def plan(pull_request: PullRequest = None, repo: Repo = HERE, json: Json = False) -> None:
    """Says what merging would do: which workflows, which values, which model; comments on the pull request."""
    from ml import render
    from ml.commands.plan import plan as run

    result = run(repo, pull_request=pull_request)
    if json:
        typer.echo(render.as_json(result))
    else:
        typer.echo(result.markdown)


@app.command(epilog="Example: fraudops changes --json")
def changes(repo: Repo = HERE, json: Json = False) -> None:
    """Tells whether code or model-config/ is touched, for the jobs that depend on it."""
    from ml import render
    from ml.commands.changes import changes as run

    result = run(repo)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: FRAUDOPS_NEEDS='{}' fraudops ci-status")
def ci_status(pull_request: PullRequest = None, json: Json = False) -> None:
    """Posts the results of ci.yml's jobs as the commit status fraudops/ci."""
    from ml import render
    from ml.commands.ci_status import ci_status as run

    result = run(pull_request=pull_request)
    render.show(result, render.fields(result), as_machine=json)


@infra.command("plan", epilog="Example: fraudops infra plan")
def infra_plan(pull_request: PullRequest = None, repo: Repo = HERE, json: Json = False) -> None:
    """Shows what applying infra/ would change in the account, deletions first."""
    from ml import render
    from ml.commands.infra import plan as run

    result = run(repo, pull_request=pull_request)
    if json:
        typer.echo(render.as_json(result))
    else:
        typer.echo(result.markdown)


@infra.command("apply", epilog="Example: fraudops infra apply")
def infra_apply(repo: Repo = HERE, json: Json = False) -> None:
    """Applies the platform's template; identity is shown, and left to a person."""
    from ml import render
    from ml.commands.infra import apply as run

    result = run(repo)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: fraudops bootstrap --repository OWNER/NAME --configure")
def bootstrap(
    notify: Annotated[str | None, typer.Option(help="An e-mail address to tell of refusals and failures.")] = None,
    repository: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Let this repository's workflows in.")
    ] = None,
    configure: Annotated[
        bool, typer.Option("--configure", help="Also set the repository's variables, with GITHUB_TOKEN.")
    ] = False,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Makes the platform and the workflows' roles in an account, or brings them up to date."""
    from ml import render
    from ml.commands.bootstrap import bootstrap as run

    result = run(repo, notify=notify, repository=repository, configure=configure)
    rows = [
        ("stack", f"{result.stack}: {result.state}"),
        *render.fields(result.platform),
        ("workflows' roles", result.identity or "none made"),
        *((name, f"{value}{done(name, result.configured)}") for name, value in result.variables.items()),
        *(("to do", text) for text in result.settings),
    ]
    render.show(result, rows, as_machine=json)


def done(name: str, configured: Mapping[str, str]) -> str:
    """What became of a repository variable, to stand behind its value."""
    return f" ({configured[name]})" if name in configured else ""
