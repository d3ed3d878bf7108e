"""What serves: approvals, deployments, rollbacks, the traffic, and models used offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.options import HERE, Json, Merge, Repo, group

app = group("Approve, deploy, roll back, score.")
drift = group("Captured traffic.")


@app.command(epilog="Example: fraudops approve arn:aws:sagemaker:…:model-package/fraudops-model/3 --merge")
def approve(
    package: Annotated[str, typer.Argument(metavar="PACKAGE_ARN", help="The registered model package.")],
    merge: Merge = False,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Makes the approval branch: one commit for the record, one that moves the pointer."""
    from ml import render
    from ml.commands.approve import approve as run

    result = run(repo, package, merge=merge)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: fraudops deploy")
def deploy(
    reason: Annotated[str, typer.Option(envvar="FRAUDOPS_REASON", help="Why it is deployed again, in words.")] = "",
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Makes the endpoint serve exactly what the commit checked out says, and proves it."""
    from ml import render
    from ml.commands.deploy import deploy as run

    result = run(repo, reason=reason)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: fraudops rollback --to 3 --merge && fraudops deploy")
def rollback(
    to: Annotated[int | None, typer.Option(help="The approval to return to; the former one by default.")] = None,
    merge: Merge = False,
    propose: Annotated[bool, typer.Option("--propose", help="Push the branch and open its pull request.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Because the deployment of what main says failed.")] = False,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Prepares the revert of the pointer's commit, to a model that served before."""
    from ml import render
    from ml.commands.rollback import rollback as run

    result = run(repo, to=to, merge=merge, propose=propose, failed=failed)
    render.show(result, render.fields(result), as_machine=json)


@app.command(epilog="Example: fraudops score model.tar.gz transactions.csv --out scores.parquet")
def score(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tar.gz", help="A model archive.")],
    path: Annotated[Path, typer.Argument(metavar="DATA", help="CSV, gzipped CSV or Parquet.")],
    out: Annotated[Path, typer.Option(help="Ends in .csv or .parquet.")],
    json: Json = False,
) -> None:
    """Scores a file with a model archive, offline."""
    from ml import render
    from ml.commands.score import score as run

    report = run(model, path, out)
    rows = [
        ("rows", f"{report.rows:,}"),
        ("alerts", f"{report.alerts:,} at {report.threshold:.6g} or more"),
        ("scores", report.out),
        ("model", f"version {report.model_version}, sha256 {report.artifact_sha256}"),
    ]
    render.show(report, rows, as_machine=json)


@app.command(epilog="Example: fraudops evaluate model.tar.gz labelled.csv --json")
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL.tar.gz", help="A model archive.")],
    path: Annotated[Path, typer.Argument(metavar="DATA", help="CSV, gzipped CSV or Parquet, with labels.")],
    label: Annotated[str | None, typer.Option(help="The label's column, where it is not the model's own.")] = None,
    alert_budget: Annotated[float | None, typer.Option(help="Share of rows that may be alerted.")] = None,
    json: Json = False,
) -> None:
    """Reports how a model archive does on a labelled file, at its own threshold, offline."""
    from ml import render
    from ml.commands.score import evaluate as run

    result = run(model, path, label=label, alert_budget=alert_budget)
    render.show(result, render.evaluation_rows(result), as_machine=json)


@drift.command("check", epilog="Example: fraudops drift check --window 2026-03-01T00:00:00Z/2026-04-01T00:00:00Z")
def drift_check(
    window: Annotated[
        str | None,
        typer.Option(
            envvar="FRAUDOPS_WINDOW",
            help="START/END in ISO 8601; by default the latest whole one that drift.yaml's `window` names.",
        ),
    ] = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Judge and report; ask for no new model and tell GitHub nothing.")
    ] = False,
    repo: Repo = HERE,
    json: Json = False,
) -> None:
    """Judges captured traffic and labels, and asks for a new model where they have drifted."""
    from ml import render
    from ml.commands.drift_check import check

    result = check(repo, window=window, report_only=report_only)
    render.show(result, render.drift_rows(result), as_machine=json)
