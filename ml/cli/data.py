"""`fraudops data`: transactions and labels in the data lake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.cli.options import HERE, Repo, View, confirm, day, group, verb

if TYPE_CHECKING:
    from ml.commands.data_import import ImportReport

app = group("Import, list and remove transactions and labels, or draw stand-in data.")


@verb(app, "import", example="fraudops data import creditcard.csv --start 2013-09-01 --quarantine")
def data_import(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files, folders, patterns or S3 prefixes; CSV, also gzip or zstd of it, and Parquet.",
            show_default=False,
        ),
    ],
    start: Annotated[
        str | None,
        typer.Option(help="The day (YYYY-MM-DD, UTC) from which the time counts, or of a file without a time."),
    ] = None,
    quarantine: Annotated[bool, typer.Option(help="Quarantine rows that break the contract; import the rest.")] = False,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Whether the files have labels; if not, deliver them later.")
    ] = True,
    repo: Repo = HERE,
) -> View:
    """Check files of transactions and import them into the data lake, labels apart, all or nothing.

    Files that the lake has already are left out, and a run that was interrupted goes on where it stopped.
    """
    from ml import render
    from ml.commands.data_import import import_files

    report = import_files(repo, paths, start=day(start, "--start"), quarantine=quarantine, labelled=labels)
    several = report.files > 1
    return View(
        value=report,
        rows=[
            ("import", f"{report.name} ({'imported' if report.new else 'in the lake already, nothing written'})"),
            ("files", f"{report.files:,}, {report.present:,} of them in the lake already" if several else None),
            ("rows", _rows(report)),
            ("quarantine", report.quarantine_path),
            ("problems", ", ".join(f"{kind} {count:,}" for kind, count in report.problems.items()) or None),
            ("frauds", f"{report.frauds:,}"),
            ("duplicates", f"{report.duplicates:,} (kept)"),
            ("events", f"{render.plain(report.start)} to {render.plain(report.end)}"),
            ("manifest", report.manifest_uri),
            *(("note", text) for text in report.notes),
        ],
    )


def _rows(report: ImportReport) -> str:
    """What became of the rows; nothing now, if the lake had all of them."""
    if report.new:
        return f"{report.rows:,}: {report.imported:,} imported, {report.quarantined:,} quarantined"
    return f"{report.imported:,} in the lake already, 0 imported now"


@verb(app, "list", example="fraudops data list")
def data_list() -> View:
    """List the imports in the data lake, oldest first event first."""
    from ml import render
    from ml.commands.data_list import list_imports

    found = list_imports()
    return View(
        value=found,
        rows=[
            (
                item.name,
                f"{item.rows:,} rows, {item.frauds:,} frauds, {render.plain(item.start)} to {render.plain(item.end)}, "
                f"{len(item.sources):,} file{'s' if len(item.sources) > 1 else ''}: {item.files}",
            )
            for item in found
        ]
        or [("imports", "none; import data with `fraudops data import`")],
    )


@verb(app, "remove", example="fraudops data remove 20130901-0123456789ab")
def data_remove(
    name: Annotated[str, typer.Argument(metavar="IMPORT", help="The import's name, as `fraudops data list` shows it.")],
    even_if_trained: Annotated[
        bool, typer.Option("--even-if-trained", help="Also if a registered model was trained on it.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, for scripts.")] = False,
) -> Any:
    """Remove an import with its transactions and labels from the data lake; asks first."""
    from ml import console
    from ml.commands import data_remove as command

    found = command.plan(name)
    command.check(found, even_if_trained=even_if_trained)
    item = found.manifest
    console.note(f"  remove  import {item.name}: {item.rows:,} rows of {item.source_names}")
    for arn in (*found.models, *found.unknown):
        console.note(f"  trained on it, or perhaps: {arn}")
    if not yes:
        confirm(f"Type {item.name} to remove this import", item.name)
    return command.remove(found, even_if_trained=even_if_trained)


@verb(app, "profile", example="fraudops data profile --out build/profile.json")
def data_profile(
    start: Annotated[str | None, typer.Option(help="Leave out imports that end before this day (YYYY-MM-DD).")] = None,
    end: Annotated[str | None, typer.Option(help="Leave out imports that begin on this day or later.")] = None,
    floor: Annotated[int, typer.Option(min=10, help="The least number of transactions behind each figure.")] = 10,
    out: Annotated[Path, typer.Option(help="The JSON file to write.")] = Path("profile.json"),
    repo: Repo = HERE,
) -> View:
    """Write counts and quantiles of the lake's labelled transactions, to draw stand-in data from."""
    from ml.commands.data_profile import write

    report = write(repo, out, start=day(start, "--start"), end=day(end, "--end"), floor=floor)
    return View(
        value=report,
        rows=[
            ("profile", report.path),
            ("transactions", f"{report.rows:,} with a label, {report.frauds:,} of them frauds"),
            ("columns", f"{report.columns:,} numbers, {report.categories:,} text columns"),
            ("floor", f"each figure is of {report.floor:,} transactions or more"),
            ("use", f"fraudops simulate --profile {report.path}"),
        ],
    )


@verb(app, "synthesise", example="fraudops data synthesise --seed 7 --out transactions.parquet")
def data_synthesise(
    rows: Annotated[
        int | None, typer.Option(min=1, help="Transactions to draw; by default as many as were profiled.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    start: Annotated[str | None, typer.Option(help="The first day (YYYY-MM-DD); adds event_time.")] = None,
    months: Annotated[int | None, typer.Option(min=1, help="With --start: over calendar months, not two days.")] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Of `fraudops data profile`; by default that of the ULB card data.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Ends in .csv, .csv.gz or .parquet.")] = Path("standin.parquet"),
) -> View:
    """Draw stand-in transactions from statistics of real ones."""
    from ml.simulate import profile as profiles
    from ml.simulate import stand_in_data, table_files

    if not out.name.endswith(table_files.ENDINGS):
        raise typer.BadParameter(f"must end in {', '.join(table_files.ENDINGS)} (got {str(out)!r})", param_hint="--out")
    if months is not None and not start:
        raise typer.BadParameter("needs --start, the first day of the first month", param_hint="--months")
    source = profiles.read() if profile is None else profiles.read(profile)
    table = stand_in_data.draw(rows, seed=seed, start=day(start, "--start"), months=months, profile=source)
    size = table_files.write(out, table)
    frauds = int(sum(table.column(source.layout.label).to_pylist()))
    summary = {"path": str(out), "rows": table.num_rows, "frauds": frauds, "bytes": size, "seed": seed}
    return View(
        value=summary,
        rows=[(name, f"{value:,}" if isinstance(value, int) else value) for name, value in summary.items()],
    )
