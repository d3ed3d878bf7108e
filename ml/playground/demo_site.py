"""Makes the site at the end of a demo. Its links go to the exported pages of GitHub, because the emulator stops."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ml.playground import scripted_reviewer
from ml.playground.emulators import USER
from ml.site.pages import Addresses

if TYPE_CHECKING:
    from ml.commands.site_build import SiteReport


def build(root: Path, site: Path, github: Path, *, year: Path | None = None) -> SiteReport:
    """Makes the site of the clone at `root` in the folder `site`, while the emulators run.

    Args:
        github: where the pages of the repository on the GitHub emulator will be exported.
        year: the page of a simulated year, which becomes a page of the site.
    """
    from ml.commands.site_build import build as site_build

    target = _relative_path(site, github)
    page = None if year is None else relinked(year.read_text("utf-8"), _relative_path(year.parent, github), target)
    addresses = Addresses(
        commit=f"{target}/commit-{{}}.html",
        pull=f"{target}/pull-{{}}.html",
        docs=f"{_relative_path(site, root / 'docs')}/{{}}",
    )
    return site_build(
        root,
        site,
        addresses=addresses,
        year=page,
        simulated=True,
        scripted_reviewer=scripted_reviewer.LOGIN,
        local_user=USER,
    )


def relinked(page: str, old: str, new: str) -> str:
    """The page with its links below the folder `old` changed to the folder `new`."""
    return page.replace(f'href="{escape(old)}/', f'href="{escape(new)}/')


def _relative_path(start: Path, to: Path) -> str:
    return Path(os.path.relpath(to, start)).as_posix()
