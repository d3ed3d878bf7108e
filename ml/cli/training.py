"""`fraudops train`, `propose`, `record-failure`, `pipeline`: from a commit to an approval pull request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ml.cli.options import HERE, Repo, View, group, verb, window
from ml.errors import GateFailed

app = group("Train and open approval pull requests.")
pipeline = group("Show the SageMaker pipeline that trains.")
Outcome = Annotated[Path, typer.Option(metavar="FILE", help="The file that `fraudops train --outcome` wrote.")]


@verb(pipeline, "definition", example="fraudops pipeline definition --bucket my-lake > definition.json")
def pipeline_definition(
    bucket: Annotated[str | None, typer.Option(help="Offline: the lake's bucket.")] = None,
    role: Annotated[str | None, typer.Option(help="Offline: the execution role's ARN.")] = None,
    group: Annotated[str | None, typer.Option(help="Offline: the model package group.")] = None,
    region: Annotated[str | None, typer.Option(help="Offline: the region.")] = None,
    repo: Repo = HERE,
) -> View:
    """Print the pipeline definition that SageMaker would get, for the platform stack or for the offline options.

    It is JSON with and without --json. An offline option that is left out becomes a placeholder, which a line on
    standard error names.
    """
    from ml.commands.pipeline_definition import definition

    text = definition(repo, bucket=bucket, role=role, group=group, region=region)
    return View(value=json.loads(text), text=text)


@verb(app, example="fraudops train --start 2013-09-01T00:00:00Z")
def train(
    request: Annotated[
        list[str] | None,
        typer.Option(
            envvar="FRAUDOPS_REQUEST", help="A retrain request to resolve (repeatable); all open ones by default."
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(envvar="FRAUDOPS_START", help="Use events from this time on (ISO 8601).")
    ] = None,
    end: Annotated[
        str | None, typer.Option(envvar="FRAUDOPS_END", help="Use events before this time (ISO 8601).")
    ] = None,
    reason: Annotated[str, typer.Option(envvar="FRAUDOPS_REASON", help="Why; the pull request repeats it.")] = "",
    outcome: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the gate's result, for `propose` or `record-failure`.")
    ] = None,
    resume: Annotated[str | None, typer.Option(metavar="ARN", help="Wait for this execution; start none.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", envvar="FRAUDOPS_DRY_RUN", help="Show what would be trained; start nothing.")
    ] = False,
    repo: Repo = HERE,
) -> Any:
    """Train the committed model; exit code 0 only if a model package was registered."""
    from ml.commands import train as training

    training_window = window(start, end)
    if resume is not None:
        _refuse_beside_resume(resume, {"--request": request, "--start": start, "--end": end, "--dry-run": dry_run})
    if dry_run:
        return _dry_run(training.dry_run(repo, requests=request or None, window=training_window, reason=reason))
    try:
        result = training.train(
            repo, requests=request or None, window=training_window, resume=resume, reason=reason, outcome=outcome
        )
    except GateFailed as error:
        return _gate_failure(error)
    return _registered(result)


def _dry_run(result: Any) -> View:
    from ml import render

    first, last = result.window.start, result.window.end
    spans = f"{first or 'the first event'} to {last or 'the last event'}" if first or last else "all events"
    changed = {"window": spans, "rows": f"{result.rows:,}", "frauds": f"{result.frauds:,}"}
    return View(value=result, rows=[(name, changed.get(name, text)) for name, text in render.fields(result)])


def _registered(result: Any) -> View:
    from ml import render

    return View(
        value={"status": "passed", **render.plain(result)},
        rows=[
            ("package", result.package_arn),
            *render.evaluation_rows(result.evaluation),
            ("evaluation", result.evaluation_uri),
            ("next", f"fraudops approve {result.package_arn}"),
        ],
    )


def _gate_failure(error: GateFailed) -> View:
    """The view of a gate failure: JSON as for a passed gate, or figures on standard error; both end with the error."""
    from ml import render

    failure = {"status": "failed", "reason": str(error), "execution_arn": error.execution_arn}
    figures = {name: value for name, value in error.evaluation.items() if name != "verdict"}  # the error says it
    return View(
        value={**failure, "evaluation": error.evaluation, "evaluation_uri": error.evaluation_uri},
        rows=render.evaluation_rows(figures) if "metrics" in figures else [],
        error=error,
    )


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


@verb(app, example="fraudops propose --outcome outcome.json")
def propose(outcome: Outcome, repo: Repo = HERE) -> Any:
    """Open or update the approval pull request of a model that passed the gate."""
    from ml.commands.propose import propose as run

    return run(repo, outcome=outcome)


@verb(app, example="fraudops record-failure --outcome outcome.json")
def record_failure(
    outcome: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file that `fraudops train --outcome` wrote.")
    ] = None,
    document: Annotated[
        str | None,
        typer.Option(
            envvar="FRAUDOPS_HAND_OVER", metavar="YAML", help="Instead, the step output `gate_failure` of `train`."
        ),
    ] = None,
    repo: Repo = HERE,
) -> Any:
    """Record a failed gate on main and open or update one issue per cause."""
    from ml.commands.record_failure import record_failure as run

    return run(repo, outcome=outcome, document=document)
