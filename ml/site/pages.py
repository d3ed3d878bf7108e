"""Renders the pages of the site and writes them. A page loads nothing from elsewhere and runs no script.

Every text that comes from Git, GitHub or the lake is escaped; links to a repository are http(s) or relative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment

from ml.report import heat_tables, page_template
from ml.site import drift_checks, model_card, overview, wording
from ml.site.time_line import number
from ml.site.values import Event, Site

INDEX, YEAR = "index.html", "year.html"
_RECENT, _MOST_COLUMNS = 6, 24


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The addresses of a repository's pages, with `{}` for a commit and for the number of a pull request.

    Relative ones are relative to the site's first page. None makes no links.
    """

    commit: str | None
    pull: str | None

    @classmethod
    def of_repository(cls, url: str | None) -> Addresses:
        """Those of the repository at `url`, e.g. https://github.com/acme/fraudops."""
        if url is None or not url.startswith(("https://", "http://")):
            return cls(commit=None, pull=None)
        return cls(commit=f"{url.rstrip('/')}/commit/{{}}", pull=f"{url.rstrip('/')}/pull/{{}}")


def write(site: Site, folder: Path, addresses: Addresses) -> list[Path]:
    """Writes every page below `folder`, which exists; their paths, the first page first. Other files stay."""
    contents = {name: text.encode() for name, text in render(site, addresses).items()}
    contents |= {check.page: check.report for check in site.checks if check.report is not None}
    contents |= {YEAR: site.year} if site.year is not None else {}
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def render(site: Site, addresses: Addresses) -> dict[str, str]:
    """The pages by their paths below the site's folder; the same site gives the same text."""
    common = {"site": site, "commit_address": addresses.commit, "pull_address": addresses.pull}
    cards = [model_card.card(site, record) for _, record in sorted(site.records.items(), reverse=True)]
    pages = {
        INDEX: _page(
            "index.html",
            "",
            "now",
            common,
            {
                "now": overview.now(site),
                "recent": site.events[:_RECENT],
                "models": overview.models(site, cards),
            },
        ),
        "timeline.html": _page("timeline.html", "", "time line", common, {"months": _months(site.events)}),
    }
    pages["drift.html"] = _page("drift.html", "", "drift", common, _drift(site))
    for each in cards:
        name = number(each.record.approval)
        pages[f"models/{name}.html"] = _page("model.html", "../", "models", common, {"card": each})
    return pages


def commits(site: Site) -> tuple[str, ...]:
    """The commits that the pages name, in alphabetical order."""
    named = [period.commit for period in site.periods] + [event.commit for event in site.events]
    named += [record.commit for record in site.records.values()] + [site.commit]
    named += [item.landed.sha for item in site.requests]
    return tuple(sorted({each for each in named if each is not None}))


def _page(template: str, root: str, here: str, common: Mapping[str, object], values: Mapping[str, object]) -> str:
    return _environment().get_template(template).render(**common, **values, root=root, here=here)


def _drift(site: Site) -> dict[str, object]:
    shown = site.checks[-_MOST_COLUMNS:]
    return {
        "rows": drift_checks.heat_rows(shown, site.drift_floor),
        "columns": drift_checks.columns(shown),
        "legend": heat_tables.drift_legend(site.drift_floor),
    }


def _months(events: tuple[Event, ...]) -> list[tuple[str, list[Event]]]:
    """The events by month, the latest first."""
    return [(month, list(found)) for month, found in groupby(events, key=lambda event: f"{event.at:%B %Y}")]


@cache
def _environment() -> Environment:
    return page_template.environment(
        "ml.site",
        moment=wording.moment,
        day=wording.day,
        readable=wording.readable,
        opening=wording.opening,
        rate=wording.rate,
        window=lambda check: wording.span(check.start, check.end),
        number=number,
        count=lambda value: f"{value:,}",
        png=page_template.png_address,
        address=_address,
    )


def _address(value: object, form: str, root: str) -> str:
    """The address of a page of the repository, from a page of the site whose way to the first page is `root`."""
    return form.format(value) if "://" in form else f"{root}{form.format(value)}"
