"""`fraudops data`: transactions and labels in the data lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ml.cli.options import HERE, Repo, View, day, group, verb

app = group("Import transactions and labels, or draw stand-in data.")


@verb(app, "import", example="fraudops data import creditcard.csv --start 2013-09-01 --quarantine")
def data_import(
    path: Annotated[str, typer.Argument(help="CSV, gzipped CSV or Parquet; a local path or s3://.")],
    start: Annotated[str | None, typer.Option(help="The day (YYYY-MM-DD, UTC) from which Time counts.")] = None,
    quarantine: Annotated[bool, typer.Option(help="Quarantine rows that break the contract; import the rest.")] = False,
    repo: Repo = HERE,
) -> View:
    """Check a file of transactions and import it into the data lake, labels apart."""
    from ml import render
    from ml.commands.data_import import import_file

    report = import_file(repo, path, start=day(start, "--start"), quarantine=quarantine)
    return View(
        value=report,
        rows=[
            ("import", f"{report.name} ({'imported' if report.new else 'in the lake already, nothing written'})"),
            ("rows", f"{report.rows:,}: {report.imported:,} imported, {report.quarantined:,} quarantined"),
            ("quarantine", report.quarantine_path),
            ("problems", ", ".join(f"{kind} {count:,}" for kind, count in report.problems.items()) or None),
            ("frauds", f"{report.frauds:,}"),
            ("duplicates", f"{report.duplicates:,} (kept)"),
            ("events", f"{render.plain(report.start)} to {render.plain(report.end)}"),
            ("manifest", report.manifest_uri),
            *(("note", text) for text in report.notes),
        ],
    )


@verb(app, "synthesise", example="fraudops data synthesise --seed 7 --out transactions.parquet")
def data_synthesise(
    rows: Annotated[int, typer.Option(min=1, help="Transactions to draw.")] = 284_807,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    start: Annotated[str | None, typer.Option(help="The first day (YYYY-MM-DD); adds event_time.")] = None,
    months: Annotated[int | None, typer.Option(min=1, help="With --start: over calendar months, not two days.")] = None,
    out: Annotated[Path, typer.Option(help="Ends in .csv, .csv.gz or .parquet.")] = Path("standin.parquet"),
) -> View:
    """Draw stand-in transactions from published statistics of real ones."""
    from ml.simulate import stand_in_data, table_files

    if not out.name.endswith(table_files.ENDINGS):
        raise typer.BadParameter(f"must end in {', '.join(table_files.ENDINGS)} (got {out})", param_hint="--out")
    if months is not None and not start:
        raise typer.BadParameter("needs --start, the first day of the first month", param_hint="--months")
    table = stand_in_data.draw(rows, seed=seed, start=day(start, "--start"), months=months)
    size = table_files.write(out, table)
    frauds = int(sum(table.column("Class").to_pylist()))
    summary = {"path": str(out), "rows": table.num_rows, "frauds": frauds, "bytes": size, "seed": seed}
    return View(
        value=summary,
        rows=[(name, f"{value:,}" if isinstance(value, int) else value) for name, value in summary.items()],
    )
