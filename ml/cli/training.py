"""From a commit to a proposed model: the pipeline, the training run, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ml.cli.options import HERE, Json, Repo, group, window
from ml.errors import GateFailed

app = group("Train and propose.")
pipeline = group("The SageMaker pipeline that trains.")
Outcome = Annotated[Path, typer.Option(metavar="FILE", help="What `fraudops train --outcome` wrote.")]


@pipeline.command("definition", epilog="Example: fraudops pipeline definition --bucket my-lake > definition.json")
def pipeline_definition(
    bucket: Annotated[str | None, typer.Option(help="Offline: the lake's bucket.")] = None,
    role: Annotated[str | None, typer.Option(help="Offline: the execution role's ARN.")] = None,
    group: Annotated[str | None, typer.Option(help="Offline: the model package group.")] = None,
    region: Annotated[str | None, typer.Option(help="Offline: the region.")] = None,
    repo: Repo = HERE,
) -> None:
    """Prints the definition that AWS would get; of the platform stack, or offline of what the options say.

    Where an offline option is left out a placeholder stands, and a line on standard error names it.
    """
    from ml.commands.pipeline_definition import definition

    typer.echo(definition(repo, bucket=bucket, role=role, group=group, region=region))


@app.command(epilog="Example: fraudops train --start 2013-09-01T00:00:00Z")
def train(
    request: Annotated[
        list[str] | None,
        typer.Option(
            envvar="FRAUDOPS_REQUEST", help="Answer this retrain request only (repeatable); all that are open."
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(envvar="FRAUDOPS_START", help="Train on events from this time on (ISO 8601).")
    ] = None,
    end: Annotated[
        str | None, typer.Option(envvar="FRAUDOPS_END", help="Train on events before this time (ISO 8601).")
    ] = None,
    reason: Annotated[str, typer.Option(envvar="FRAUDOPS_REASON", help="Why, in words; the proposal repeats it.")] = "",
    outcome: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what it came to, for `propose` or `record-failure`.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="ARN", help="Wait for this execution, whatever it is about; start none.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", envvar="FRAUDOPS_DRY_RUN", help="Say what would be trained; start nothing.")
    ] = False,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Runs the pipeline on what is committed; ends 0 only if a model package was registered."""
    from ml import render
    from ml.commands import train as training

    stretch = window(start, end)
    if resume is not None:
        _refuse_beside_resume(resume, {"--request": request, "--start": start, "--end": end, "--dry-run": dry_run})
    if dry_run:
        found = training.dry_run(repo, requests=request or None, window=stretch, reason=reason)
        render.show(found, render.fields(found), as_machine=json)
        return
    try:
        result = training.train(
            repo, requests=request or None, window=stretch, resume=resume, reason=reason, outcome=outcome
        )
    except GateFailed as error:
        _show_gate_failure(error, as_machine=json)
        raise
    rows = [
        ("package", result.package_arn),
        *render.evaluation_rows(result.evaluation),
        ("evaluation", result.evaluation_uri),
        ("next", f"fraudops approve {result.package_arn}"),
    ]
    render.show({"status": "passed", **render.plain(result)}, rows, as_machine=json)


def _refuse_beside_resume(resume: str, others: Mapping[str, object]) -> None:
    from ml.commands.train import is_execution

    if not is_execution(resume):
        form = "arn:aws:sagemaker:REGION:ACCOUNT:pipeline/NAME/execution/ID"
        raise typer.BadParameter(f"must be an execution's ARN, as {form} (got {resume!r})", param_hint="--resume")
    given = [name for name, value in others.items() if value]
    if given:
        raise typer.BadParameter(
            f"waits for an execution whose inputs are settled; leave out {', '.join(given)}", param_hint="--resume"
        )


def _show_gate_failure(error: GateFailed, *, as_machine: bool) -> None:
    """Shows a failed gate as a passed one is shown: JSON for machines, figures on standard error."""
    from ml import console, render

    if as_machine:
        failure = {"status": "failed", "reason": str(error), "execution_arn": error.execution_arn}
        typer.echo(render.as_json({**failure, "evaluation": error.evaluation, "evaluation_uri": error.evaluation_uri}))
    elif "metrics" in error.evaluation:
        figures = {name: value for name, value in error.evaluation.items() if name != "verdict"}  # the error says it
        console.err.print(render.table(render.evaluation_rows(figures)))


@app.command(epilog="Example: fraudops propose --outcome outcome.json")
def propose(outcome: Outcome, repo: Repo = HERE, json: Json = False) -> None:
    """Opens the pull request that approves a model when it is merged, or brings it up to date."""
    from ml import render
    from ml.commands.propose import propose as run

    result = run(repo, outcome=outcome)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: fraudops record-failure --outcome outcome.json")
def record_failure(outcome: Outcome, repo: Repo = HERE, json: Json = False) -> None:
    """Records on main that the gate said no, and says so in one issue for each cause."""
    from ml import render
    from ml.commands.record_failure import record_failure as run

    result = run(repo, outcome=outcome)
    render.show(result, render.fields(result), as_machine=json)
