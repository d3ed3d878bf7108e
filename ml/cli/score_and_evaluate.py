"""`fraudops score` and `fraudops evaluate`: a model archive on a file, without AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.options import View, group, verb

app = group("Use a model archive offline.")
Model = Annotated[Path, typer.Argument(metavar="MODEL.tar.gz", help="A model archive.")]
Names = Annotated[Path | None, typer.Option("--names", help="A data.yaml whose `renamed` has names of the file.")]


@verb(app, example="fraudops score model.tar.gz transactions.csv --out scores.parquet")
def score(
    model: Model,
    path: Annotated[Path, typer.Argument(metavar="DATA", help="CSV, gzipped CSV or Parquet.")],
    out: Annotated[Path, typer.Option(help="Ends in .csv or .parquet.")],
    calibrated: Annotated[bool, typer.Option("--calibrated", help="Add the fraud rate to expect of each row.")] = False,
    names: Names = None,
) -> View:
    """Score a file with a model archive."""
    from ml.commands.score_and_evaluate import score as run

    report = run(model, path, out, calibrated=calibrated, renamed=_renamed(names))
    return View(
        value=report,
        rows=[
            ("rows", f"{report.rows:,}"),
            ("alerts", f"{report.alerts:,} at {report.threshold:.6g} or more"),
            *(
                (name, f"{rows:,} rows with a value that the model has no coefficient for")
                for name, rows in report.other_values.items()
            ),
            ("scores", report.out),
            ("model", f"version {report.model_version}, sha256 {report.artifact_sha256}"),
        ],
    )


@verb(app, example="fraudops evaluate model.tar.gz labelled.csv --json")
def evaluate(
    model: Model,
    path: Annotated[Path, typer.Argument(metavar="DATA", help="CSV, gzipped CSV or Parquet, with labels.")],
    label: Annotated[str | None, typer.Option(help="The label's column; that of the model by default.")] = None,
    alert_budget: Annotated[float | None, typer.Option(help="Share of rows that may become alerts.")] = None,
    names: Names = None,
) -> View:
    """Evaluate a model archive on a labelled file, at the model's own threshold."""
    from ml import render
    from ml.commands.score_and_evaluate import evaluate as run

    result = run(model, path, label=label, alert_budget=alert_budget, renamed=_renamed(names))
    return View(value=result, rows=render.evaluation_rows(result))


def _renamed(path: Path | None) -> dict[str, str]:
    """The mapping `renamed` of the data.yaml at `path`; none without one."""
    from ml import config

    if path is None:
        return {}
    if not path.is_file():
        raise typer.BadParameter(
            f"must be a file, as model-config/training/data.yaml (got {str(path)!r})", param_hint="--names"
        )
    return config.read(Path(), path, config.DataFile).renamed
