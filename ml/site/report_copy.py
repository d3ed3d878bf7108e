"""Copies drift reports and the report of a year into the site: with links back to it, and what they cannot know.

A drift report was made from one check and knows neither the site nor Git. Its bytes stay as they are but for one block
at the start of its head, whose every text is escaped.
"""

from __future__ import annotations

from html import escape

from ml.site import request_causes, wording
from ml.site.values import DriftState, Site

_START, _FOOTER = b"<header><div>\n", b"<footer>"
_PAGES = (
    ("Now", "index.html"),
    ("Models", "index.html#models"),
    ("Time line", "timeline.html"),
    ("Drift", "drift.html"),
)
_WORDS = ("Words", "words.html")
_RETRAINING = b"<code>docs/retraining.md</code>"
"""What the page of a year says of the rules, which it cannot link because it does not know where the documents are."""


def drift_report(check: DriftState, site: Site) -> bytes | None:
    """The report's page as the site has it, with the alarms of its window; None if there is no report."""
    if check.report is None:
        return None
    links = [(name, f"../{target}") for name, target in (*_PAGES, _WORDS)]
    if check.approval in site.records:
        links.append((f"Model {check.approval:04d}", f"../models/{check.approval:04d}.html"))
    texts = [site.simulation] if site.simulation else []
    texts += [
        wording.readable(request_causes.sentence(item, site.suppressed))
        for item in request_causes.alarms(check, site.requests)
    ]
    return _with_head(check.report, links, texts)


def year(content: bytes, site: Site, *, docs: str | None) -> bytes:
    """The page of a simulated year with the navigation, the banner and the footer of the site's pages.

    Args:
        docs: the address of a file of docs/, with `{}` for its name; None makes no link.
    """
    if docs is not None:
        link = f'<a href="{escape(docs.format("retraining.md"))}">docs/retraining.md</a>'
        content = content.replace(_RETRAINING, link.encode())
    here = '<li><a href="year.html" aria-current="page">Year</a></li>'
    items = [f'<li><a href="{target}">{name}</a></li>' for name, target in (*_PAGES, _WORDS)]
    lines = [f'<nav aria-label="Site"><ul>{"".join([*items[:-1], here, items[-1]])}</ul></nav>']
    lines += [f'<p class="simulation">{escape(site.simulation)}</p>'] if site.simulation else []
    built = f"{site.endpoint}, as of {wording.moment(site.built)}, main at <code>{escape(site.commit[:12])}</code>."
    head, start, rest = content.partition(_START)
    main, foot, _ = rest.partition(_FOOTER)
    if not start or not foot:
        return content
    after = rest[len(main) :].partition(b"</footer>")[2]
    footer = f"<footer>{built} This page is the report of the year that the demo has played.</footer>"
    return b"".join((head, start, "\n".join([*lines, ""]).encode(), main, footer.encode(), after))


def _with_head(content: bytes, links: list[tuple[str, str]], texts: list[str]) -> bytes:
    head, start, rest = content.partition(_START)
    if not start:
        return content
    items = " · ".join(f'<a href="{target}">{name}</a>' for name, target in links)
    lines = [f'<nav aria-label="Site"><p>{items}</p></nav>']
    lines += [f"<p><strong>{escape(text)}</strong></p>" for text in texts]
    return b"".join((head, start, "\n".join([*lines, ""]).encode(), rest))
