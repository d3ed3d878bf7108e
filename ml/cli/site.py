"""`fraudops site build`: the static site of the loop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ml.cli.options import HERE, Repo, View, group, verb

site = group("Make the static site of what serves, every model and what happened.")


@verb(site, "build", example="fraudops site build --out build/site")
def site_build(
    out: Annotated[Path, typer.Option(help="The folder of the site; emptied first.")] = Path("build/site"),
    offline: Annotated[
        bool, typer.Option("--offline", help="Read Git only; the pages say what is missing without the account.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option("--repository-url", metavar="URL", help="Of the repository, for links; by default of the run's."),
    ] = None,
    repo: Repo = HERE,
) -> View:
    """Make the static site of main: now, a card of every model, time line. Changes nothing else."""
    from ml.commands.site_build import build

    result = build(repo, out, offline=offline, repository_url=url or _of_the_run())
    serves = f"approval {result.serves:04d}" if result.serves is not None else "nothing"
    return View(
        value=result,
        rows=[
            ("named by Git" if offline else "serves", serves),
            ("pages", f"{result.pages:,}, with {result.models:,} models and {result.events:,} events"),
            *(("missing", text) for text in result.missing),
            *(("disagrees", text) for text in result.disagreements),
            ("open first", result.path),
        ],
    )


def _of_the_run() -> str | None:
    """The address of the repository that the environment names."""
    name = os.environ.get("GITHUB_REPOSITORY")
    return f"{os.environ.get('GITHUB_SERVER_URL') or 'https://github.com'}/{name}" if name else None
