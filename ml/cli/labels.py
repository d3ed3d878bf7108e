"""`fraudops labels`: labels of transactions that become known after them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ml.cli.options import HERE, Repo, View, group, verb

if TYPE_CHECKING:
    from ml.commands.labels_import import FileImport, LabelImport


class Channel(StrEnum):
    """The channels of labels, as the option's values."""

    ANALYST = "analyst"
    CHARGEBACK = "chargeback"


_UNKNOWN_EVENTS = (
    "Rows that the endpoint scored are known once the daily drift check has indexed their day, after its end; if these "
    "are older, other ids were sent"
)

labels = group("Import labels as they become known, and see how many transactions have one.")


@verb(labels, "import", example="fraudops labels import chargebacks-2026-03-01.csv analysts/ --quarantine")
def labels_import(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Files, folders, patterns or S3 prefixes; CSV, also gzip or zstd of it, and Parquet, with the columns "
            "event_id, label (0 or 1), known_at (ISO 8601) and optionally channel, or those that data.yaml names.",
        ),
    ],
    channel: Annotated[
        Channel | None,
        typer.Option(help="Of the labels of files without a column channel; by default that of data.yaml, chargeback."),
    ] = None,
    quarantine: Annotated[bool, typer.Option(help="Quarantine rows that break the contract; import the rest.")] = False,
    repo: Repo = HERE,
) -> View:
    """Check files of labels and import each into the data lake; what is there already is not written again."""
    from ml.commands.labels_import import import_files

    report = import_files(repo, paths, channel=channel, quarantine=quarantine)
    return View(value=report, rows=_import_rows(report), error=report.error)


@verb(labels, "collect", example="fraudops labels collect")
def labels_collect(repo: Repo = HERE) -> View:
    """Import the label files in the lake's labels-inbox/, and move each to its imported/; drift.yml runs this."""
    from ml.commands.labels_collect import collect

    result = collect(repo)
    if result.labels is None:
        return View(value=result, rows=[("inbox", f"{result.inbox}: no files")])
    moved = [("moved to", uri) for uri in result.moved]
    return View(value=result, rows=[*_import_rows(result.labels), *moved], error=result.labels.error)


@verb(labels, "status", example="fraudops labels status --days 60")
def labels_status(
    days: Annotated[int, typer.Option(min=1, help="The latest days (UTC), today included.")] = 30, repo: Repo = HERE
) -> View:
    """Show by day how many scored rows or transactions have a label of each channel, and whether that is enough."""
    from ml.commands.labels_status import status

    report = status(repo, days=days)
    return View(
        value=report,
        rows=[
            *((str(each.day), _day_text(each)) for each in report.days),
            ("rows", None if report.days else _no_rows(days)),
            ("mature", f"{report.mature} of {len(report.days)} days with rows"),
            (
                "needed",
                f"chargeback labels of {report.min_coverage:.0%} of a day's rows, {report.min_age_days:g} days after "
                "its end",
            ),
        ],
    )


def _no_rows(days: int) -> str:
    """Why the status has no day."""
    latest = "today" if days == 1 else f"the last {days} days"
    return f"none of {latest}; rows that the endpoint scored count once the daily drift check has indexed their day"


def _day_text(each: Any) -> str:
    """One day of the status."""
    channels = "".join(
        f"; {name} {status.share:.1%}" + (f" after {status.median_days:g} days" if status.labelled else "")
        for name, status in (("chargeback", each.chargeback), ("analyst", each.analyst))
    )
    verdict = "mature" if each.mature else f"not mature: {each.reason}"
    return f"{each.rows:,} {each.source}{channels}; {each.frauds:,} frauds; {verdict}"


def _import_rows(report: LabelImport) -> list[tuple[str, Any]]:
    from ml import render

    one, events = len(report.files) == 1, report.events
    rows = _file_rows(report.files[0]) if one else [(each.path, _summary(each)) for each in report.files]
    if not one:
        new = sum(each.imported for each in report.files if each.new)
        counts = f"{new:,} imported, {report.imported - new:,} in the lake already, {report.frauds:,} frauds"
        rows.append(("labels", counts))
    if events.unknown:
        places = f"transactions since {render.plain(events.since)}" + (
            f", scored rows until {render.plain(events.scored_until)}"
            if events.scored_until
            else "; no scored rows are indexed yet"
        )
        examples = ", ".join(events.unknown_examples)
        rows.append(("unknown events", f"{events.unknown:,} labels ({places}): {examples}. {_UNKNOWN_EVENTS}"))
    if events.early:
        rows.append(("before the event", f"{events.early:,} labels: {', '.join(events.early_examples)}"))
    return rows


def _summary(each: FileImport) -> str:
    if each.refused:
        return f"refused: {each.refused}"
    what = f"{each.imported:,} labels {'imported' if each.new else 'in the lake already'}, {each.frauds:,} frauds"
    return what + (f", {each.quarantined:,} rows in {each.quarantine_path}" if each.quarantined else "")


def _file_rows(each: FileImport) -> list[tuple[str, Any]]:
    from ml import render

    if each.refused:
        return [("refused", each.refused)]
    return [
        ("import", f"{each.name} ({'imported' if each.new else 'in the lake already, nothing written'})"),
        (
            "rows",
            f"{each.rows:,}: {each.imported:,} {'imported' if each.new else 'in the lake already'}, "
            f"{each.repeated:,} repeated, {each.quarantined:,} quarantined",
        ),
        ("quarantine", each.quarantine_path),
        ("problems", ", ".join(f"{kind} {count:,}" for kind, count in each.problems.items()) or None),
        ("frauds", f"{each.frauds:,}"),
        ("channels", ", ".join(f"{name} {count:,}" for name, count in each.channels.items())),
        ("known", f"{render.plain(each.first)} to {render.plain(each.last)}"),
        *(("note", text) for text in each.notes),
    ]
