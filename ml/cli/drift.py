"""`fraudops drift check`: the drift check of live traffic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.options import HERE, Repo, View, group, verb

drift = group("Check live traffic for drift.")


@verb(drift, "check", example="fraudops drift check --window 2026-03-01T00:00:00Z/2026-04-01T00:00:00Z")
def drift_check(
    window: Annotated[
        str | None,
        typer.Option(
            envvar="FRAUDOPS_WINDOW",
            help="START/END in ISO 8601; by default the latest whole window that drift.yaml defines.",
        ),
    ] = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Report only; create no request and change nothing on GitHub.")
    ] = False,
    hand_over: Annotated[
        bool,
        typer.Option("--hand-over", help="Create no request; write what is due as a step output for `drift request`."),
    ] = False,
    report_file: Annotated[
        Path | None,
        typer.Option(
            "--report-file", envvar="FRAUDOPS_REPORT_FILE", help="Copy the report of the window here, as HTML."
        ),
    ] = None,
    repo: Repo = HERE,
) -> View:
    """Compare captured traffic and labels with the drift reference; create a retrain request if they have drifted."""
    from ml import render
    from ml.commands.drift_check import check

    if report_only and hand_over:
        raise typer.BadParameter(
            "creates no request that could be handed over; leave out one of both", param_hint="--report-only"
        )
    result = check(repo, window=window, report_only=report_only, handed_over=hand_over, report_file=report_file)
    return View(value=result, rows=render.drift_rows(result))


@verb(drift, "request", example='FRAUDOPS_HAND_OVER="$(cat due.yaml)" fraudops drift request')
def drift_request(
    document: Annotated[
        str,
        typer.Option(
            "--document",
            envvar="FRAUDOPS_HAND_OVER",
            metavar="YAML",
            help="The step output `hand_over` of `fraudops drift check --hand-over`.",
        ),
    ],
    repo: Repo = HERE,
) -> View:
    """Create the retrain requests that a drift check has handed over; needs no AWS account."""
    from ml.commands.drift_request import request

    result = request(repo, document=document)
    rows = [(each.request, f"{each.state}: {each.reason}") for each in result.requests]
    return View(value=result, rows=rows or [("requests", "none is due")])
