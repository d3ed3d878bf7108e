"""`fraudops explore`: a page about a data file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.options import HERE, Repo, View, group, verb

app = group("Look at a data file.")


@verb(app, example="fraudops explore creditcard.csv --out build/data.html")
def explore(
    path: Annotated[str, typer.Argument(metavar="DATA", help="CSV, gzip or zstd of it, or Parquet; local or s3://.")],
    out: Annotated[Path, typer.Option(help="The page.")] = Path("build/data.html"),
    repo: Repo = HERE,
) -> View:
    """Make a page of a file of labelled transactions: classes, columns, hours, amounts, correlations, bins."""
    from ml.commands.explore import explore as run

    report = run(repo, path, out)
    return View(
        value=report,
        rows=[
            ("rows", f"{report.rows:,}, {report.frauds:,} of them frauds"),
            ("invalid rows", f"{report.invalid_rows:,}, left out" if report.invalid_rows else "none"),
            ("repeated rows", f"{report.duplicates:,}"),
            ("separates best", f"{report.best_column}, alone {report.separability:.3f} of 1 (0.5 separates nothing)"),
            ("page", report.path),
        ],
    )
