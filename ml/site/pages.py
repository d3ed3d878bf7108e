"""Renders the pages of the site and writes them. A page loads nothing from elsewhere and runs no script.

Every text that comes from Git, GitHub or the lake is escaped; links to a repository are http(s) or relative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from jinja2 import Environment

from ml.report import heat_tables, page_template
from ml.site import drift_checks, model_card, overview, report_copy, request_causes, serving_facts, wording, words
from ml.site.time_line import number
from ml.site.values import Event, Kind, Site

INDEX, TIMELINE, YEAR, WORDS = "index.html", "timeline.html", "year.html", "words.html"
_RECENT, _MOST_COLUMNS = 6, 24


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """The addresses of a repository's pages, with `{}` for a commit, the number of a pull request and a file of docs/.

    Relative ones are relative to the site's first page. None makes no links.
    """

    commit: str | None
    pull: str | None
    docs: str | None = None

    @classmethod
    def of_repository(cls, url: str | None) -> Addresses:
        """Those of the repository at `url`, e.g. https://github.com/acme/fraudops."""
        if url is None or not url.startswith(("https://", "http://")):
            return cls(commit=None, pull=None)
        base = url.rstrip("/")
        return cls(commit=f"{base}/commit/{{}}", pull=f"{base}/pull/{{}}", docs=f"{base}/blob/main/docs/{{}}")


def write(site: Site, folder: Path, addresses: Addresses) -> list[Path]:
    """Writes every page below `folder`, which exists; their paths, the first page first. Other files stay."""
    contents = {name: text.encode() for name, text in render(site, addresses).items()}
    contents |= {
        check.page: page for check in site.checks if (page := report_copy.drift_report(check, site)) is not None
    }
    contents |= {YEAR: report_copy.year(site.year, site, docs=addresses.docs)} if site.year is not None else {}
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def render(site: Site, addresses: Addresses) -> dict[str, str]:
    """The pages by their paths below the site's folder; the same site gives the same text."""
    common = {
        "site": site,
        "commit_address": addresses.commit,
        "pull_address": addresses.pull,
        "docs_address": addresses.docs,
    }
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
    }
    for name, kind in {TIMELINE: None, **{kind_page(kind): kind for kind in _kinds(site.events)}}.items():
        root = "" if kind is None else "../"
        pages[name] = _page("timeline.html", root, "time line", common, _time_line(site.events, kind))
    pages[WORDS] = _page("words.html", "", "words", common, {"words": words.words(site)})
    pages["drift.html"] = _page("drift.html", "", "drift", common, _drift(site))
    for each in cards:
        name = number(each.record.approval)
        pages[f"models/{name}.html"] = _page("model.html", "../", "models", common, {"card": each})
    return pages


def kind_page(kind: Kind) -> str:
    """The page of the time line that has the events of one kind."""
    return f"timeline/{kind.replace(' ', '-')}.html"


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
        "rows": drift_checks.heat_rows(shown, site.drift_rules.data.min_ks),
        "columns": drift_checks.columns(shown),
        "legend": heat_tables.drift_legend(site.drift_rules.data.min_ks),
        "urgent_word": drift_checks.URGENT,
        "former": serving_facts.former(site),
        "rules": serving_facts.request_rules(site),
        "urgency_of": lambda check: drift_checks.urgency(site, check),
        "requests_of": lambda check: request_causes.of_window(check, site.requests),
        "alarms_of": lambda check: request_causes.alarms(check, site.requests),
        "raised": lambda item: request_causes.raised(item, site.suppressed),
    }


def _kinds(events: tuple[Event, ...]) -> list[Kind]:
    """The kinds that have a page, in alphabetical order: those that there are, if there are several."""
    found = sorted({event.kind for event in events})
    return found if len(found) > 1 else []


def _time_line(events: tuple[Event, ...], kind: Kind | None) -> dict[str, object]:
    """The events of one kind, or all, and the links to the others: words, page, count, and whether it is this page."""
    counts = Counter(event.kind for event in events)
    filters = [("all", TIMELINE, len(events), kind is None)]
    filters += [(each, kind_page(each), counts[each], each == kind) for each in _kinds(events)]
    chosen = tuple(event for event in events if kind in (None, event.kind))
    return {"kind": kind, "filters": filters, "months": _months(chosen)}


def _months(events: tuple[Event, ...]) -> list[tuple[str, list[Event]]]:
    """The events by month, the latest first."""
    return [(month, list(found)) for month, found in groupby(events, key=lambda event: f"{event.at:%B %Y}")]


@cache
def _environment() -> Environment:
    return page_template.environment(
        "ml.site",
        moment=wording.moment,
        request_title=request_causes.title,
        request_outcome=request_causes.outcome,
        request_rule=request_causes.rule,
        alert_words=serving_facts.alert_words,
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
