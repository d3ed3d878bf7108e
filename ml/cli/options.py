"""Options that several verbs share, and the decorator that turns a function into a verb with `--json`."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from ml.config import Window

HERE = Path()
_EXPECTED = {
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_parsing": "must be a number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""What a value must be, by the type of pydantic's error."""
_OTHER = re.compile(r"^Value error, |\.$")
"""What pydantic adds to typer's own message about a choice, which names the value."""
_OWNER_AND_NAME = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
SETTINGS: dict[str, Any] = {
    "no_args_is_help": True,
    "rich_markup_mode": "rich",
    "pretty_exceptions_enable": False,
}


def folder(path: Path) -> Path:
    """`path` if there is such a folder; a usage error otherwise, in place of one about the first file below it."""
    if not path.is_dir():
        raise typer.BadParameter(f"must be a folder, the root of a clone (got {str(path)!r})")
    return path


def existing(path: Path | None) -> Path | None:
    """`path` if it exists; a usage error before any work otherwise."""
    if path is not None and not path.exists():
        raise typer.BadParameter(f"must be a file or a folder (got {str(path)!r})")
    return path


Repo = Annotated[Path, typer.Option("--repo", callback=folder, help="The repository's root.", show_default="here")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Merge = Annotated[bool, typer.Option("--merge", help="Merge the branch into main, which must be checked out.")]
Registry = Annotated[
    bool | None,
    typer.Option(
        "--registry/--no-registry",
        help="Whether approval records are compared with the registry; in workflows by default.",
    ),
]
PullRequest = Annotated[
    int | None,
    typer.Option(
        "--pull-request",
        envvar="FRAUDOPS_PULL_REQUEST",
        metavar="N",
        help="The number of the pull request; that of the event by default.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class View:
    """The presentation of a verb's value: `rows` as a table or `text` unchanged, `value` as JSON.

    With `error` the table goes to standard error, and the error is raised once it is shown.
    """

    value: Any
    rows: Iterable[tuple[str, Any]] = ()
    text: str | None = None
    error: Exception | None = None


class Command(TyperCommand):
    """A verb whose usage errors name the expectation and the value, also of a number."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the command line. typer alone reports a wrong number in pydantic's words and without the value."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = _expected(error.__cause__) or error.message
            raise


def _expected(cause: BaseException | None) -> str:
    """What a value had to be, from the error of pydantic that typer reports; '' if it is another one."""
    errors = getattr(cause, "errors", None)  # typer takes pydantic's errors apart in the same way
    if errors is None:
        return ""
    found = errors()[0]
    words = _EXPECTED.get(found["type"])
    return f"{words.format(**found.get('ctx', {}))} (got {found['input']!r})" if words else _OTHER.sub("", found["msg"])


def verb(app: typer.Typer, name: str | None = None, *, example: str) -> Callable[[Callable[..., Any]], Any]:
    """Registers a function as a verb of `app`: adds `--json`, and prints what the function returns.

    The function returns a `View`, or a flat dataclass whose fields become the rows. Its annotations must be resolvable
    when the module is imported.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        hints = get_type_hints(function, include_extras=True)
        hints.pop("return", None)
        signature = inspect.signature(function)
        option = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)

        @functools.wraps(function)
        def command(*, json: bool, **arguments: Any) -> None:
            _show(function(**arguments), as_json=json)

        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
            for parameter in signature.parameters.values()
        ]
        command.__signature__ = signature.replace(  # type: ignore[attr-defined] # typer reads it
            parameters=[*parameters, option], return_annotation=None
        )
        command.__annotations__ = {**hints, "json": Json}
        app.command(name, cls=Command, epilog=f"Example: {example}")(command)
        return function

    return register


def _show(result: Any, *, as_json: bool) -> None:
    from ml import console, render

    view = result if isinstance(result, View) else View(value=result, rows=render.fields(result))
    if as_json:
        typer.echo(render.as_json(view.value))
    elif view.text is not None:
        typer.echo(view.text)
    elif rows := list(view.rows):
        (console.err if view.error else console.out).print(render.table(rows))
    if view.error is not None:
        raise view.error


def group(text: str) -> typer.Typer:
    """A group of verbs that shows its help when it is called alone."""
    return typer.Typer(help=text, **SETTINGS)


def owner_and_name(text: str | None) -> str | None:
    """`text` as the name of a repository; a usage error for an address or a name without its owner."""
    if text is not None and not _OWNER_AND_NAME.fullmatch(text):
        raise typer.BadParameter(f"must be OWNER/NAME, as acme/fraudops (got {text!r})")
    return text


OnGithub = Annotated[
    str | None,
    typer.Option(
        "--repository",
        metavar="OWNER/NAME",
        callback=owner_and_name,
        help="The repository on GitHub; by default GITHUB_REPOSITORY, or the one that the roles trust.",
    ),
]


def day(text: str | None, option: str) -> date | None:
    """`text` as a day; a usage error that names `option` if it is not one."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise typer.BadParameter(f"must be a day, as 2013-09-01 (got {text!r})", param_hint=option) from None


def window(start: str | None, end: str | None) -> Window | None:
    """The event times from `start` to `end`; None if neither is given, a usage error if they are not in order."""
    from ml.config import Window

    first, last = moment(start, "--start"), moment(end, "--end")
    if first is None and last is None:
        return None
    if first is not None and last is not None and first >= last:
        raise typer.BadParameter(f"must be later than --start (got {last.isoformat()})", param_hint="--end")
    return Window(start=first, end=last)


def moment(text: str | None, option: str) -> datetime | None:
    """`text` as a time, in UTC if it has no offset; a usage error that names `option` if it is none."""
    try:
        found = datetime.fromisoformat(text) if text else None
        if found is not None and found.tzinfo is not None:
            found.astimezone(UTC)  # an offset may lead out of the years 1 to 9999
    except (ValueError, OverflowError):
        message = f"must be ISO 8601, as 2013-09-01T00:00:00Z (got {text!r})"
        raise typer.BadParameter(message, param_hint=option) from None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)


def confirm(question: str, expected: str) -> None:
    """Refused unless the person types `expected`; without a terminal nobody can."""
    from ml.errors import Refused

    try:
        given = typer.prompt(question, default="", show_default=False, err=True)
    except typer.Abort:
        given = ""
    if given.strip() != expected:
        raise Refused(f"not confirmed: {expected} was not typed; nothing was removed. Scripts pass --yes")
