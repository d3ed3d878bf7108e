"""Options that several verbs share, and how their texts are read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ml.config import Window

HERE = Path()
SETTINGS: dict[str, Any] = {
    "no_args_is_help": True,
    "rich_markup_mode": "rich",
    "pretty_exceptions_enable": False,
}
Repo = Annotated[Path, typer.Option("--repo", help="The repository's root.", show_default="here")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Merge = Annotated[bool, typer.Option("--merge", help="Merge the branch into main, checked out here.")]
PullRequest = Annotated[
    int | None,
    typer.Option(
        "--pull-request",
        envvar="FRAUDOPS_PULL_REQUEST",
        metavar="N",
        help="The pull request that this is about; that of the event by default.",
    ),
]


def group(text: str) -> typer.Typer:
    """A group of verbs that shows its help when it is called alone."""
    return typer.Typer(help=text, **SETTINGS)


def day(text: str | None, option: str) -> date | None:
    """`text` as a day; a usage error that names `option` where it is none."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"must be a day, as 2013-09-01 (got {text!r})", param_hint=option) from None


def window(start: str | None, end: str | None) -> Window | None:
    """The stretch of event time from `start` to `end`; None where neither is given, a usage error where it is none."""
    from ml.config import Window

    first, last = _moment(start, "--start"), _moment(end, "--end")
    if first is None and last is None:
        return None
    if first is not None and last is not None and first >= last:
        raise typer.BadParameter(f"must be later than --start (got {last.isoformat()})", param_hint="--end")
    return Window(start=first, end=last)


def _moment(text: str | None, option: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        message = f"must be ISO 8601, as 2013-09-01T00:00:00Z (got {text!r})"
        raise typer.BadParameter(message, param_hint=option) from None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
