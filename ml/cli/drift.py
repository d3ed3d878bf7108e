"""`fraudops drift check`: the drift check of live traffic."""

from __future__ import annotations

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
    repo: Repo = HERE,
) -> View:
    """Compare captured traffic and labels with the drift reference; create a retrain request if they have drifted."""
    from ml import render
    from ml.commands.drift_check import check

    result = check(repo, window=window, report_only=report_only)
    return View(value=result, rows=render.drift_rows(result))
