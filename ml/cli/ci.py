"""`fraudops validate`, `plan`, `changes`, `ci-status`, `confirm-ci`: the checks of a pull request."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ml.cli.options import HERE, PullRequest, Registry, Repo, View, group, verb

app = group("Check what a change does.")


@verb(app, example="fraudops validate")
def validate(pull_request: PullRequest = None, registry: Registry = None, repo: Repo = HERE) -> View:
    """Check every file of model-config/: alone, against the others, against main and, in a workflow, the registry."""
    from ml.commands.validate import validate as run

    result = run(repo, pull_request=pull_request, registry=registry)
    return View(
        value=result,
        rows=[
            ("valid", f"{result.files:,} files of model-config/"),
            ("compared with", f"main at {result.compared_with}" if result.compared_with else "nothing"),
            ("pull request", result.pull_request),
            ("registry", f"agrees with {', '.join(f'{n:04d}' for n in result.records)}" if result.records else None),
        ],
    )


@verb(app, example="fraudops plan")
def plan(pull_request: PullRequest = None, repo: Repo = HERE) -> View:
    """Show what merging would do (workflows, values, model) and comment on the pull request."""
    from ml.commands.plan import plan as run

    result = run(repo, pull_request=pull_request)
    return View(value=result, text=result.markdown)


@verb(app, example="fraudops changes --json")
def changes(repo: Repo = HERE) -> Any:
    """Detect whether code or model-config/ changed, for the jobs that depend on it."""
    from ml.commands.changes import changes as run

    return run(repo)


@verb(app, example="FRAUDOPS_NEEDS='{}' fraudops ci-status")
def ci_status(pull_request: PullRequest = None) -> Any:
    """Post the results of ci.yml's jobs as the commit status fraudops/ci."""
    from ml.commands.ci_status import ci_status as run

    return run(pull_request=pull_request)


@verb(app, example="fraudops confirm-ci --run 9000001")
def confirm_ci(
    run: Annotated[int, typer.Option(envvar="FRAUDOPS_RUN", metavar="ID", help="The finished run of ci.yml.")],
    repo: Repo = HERE,
) -> Any:
    """Post fraudops/ci as an App, after reading the run's results again; from main's workflow only."""
    from ml.commands.confirm_ci import confirm_ci as confirm

    return confirm(repo, run=run)
