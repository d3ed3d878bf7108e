"""Copies drift reports and the report of a year into the site: with links back to it, and what they cannot know.

A drift report was made from one check and knows neither the site nor Git. Its bytes stay as they are but for one block
at the start of its head, whose every text is escaped.
"""

from __future__ import annotations

from html import escape

from ml.site import request_causes, wording
from ml.site.values import DriftState, Site

_START = b"<header><div>\n"
_PAGES = (
    ("Now", "index.html"),
    ("Models", "index.html#models"),
    ("Time line", "timeline.html"),
    ("Drift", "drift.html"),
)


def drift_report(check: DriftState, site: Site) -> bytes | None:
    """The report's page as the site has it, with the alarms of its window; None if there is no report."""
    if check.report is None:
        return None
    links = [(name, f"../{target}") for name, target in _PAGES]
    if check.approval in site.records:
        links.append((f"Model {check.approval:04d}", f"../models/{check.approval:04d}.html"))
    texts = [site.simulation] if site.simulation else []
    texts += [wording.readable(request_causes.sentence(item)) for item in request_causes.alarms(check, site.requests)]
    return _with_head(check.report, links, texts)


def year(content: bytes) -> bytes:
    """The page of a simulated year with links to the other pages."""
    return _with_head(content, list(_PAGES), [])


def _with_head(content: bytes, links: list[tuple[str, str]], texts: list[str]) -> bytes:
    head, start, rest = content.partition(_START)
    if not start:
        return content
    items = " · ".join(f'<a href="{target}">{name}</a>' for name, target in links)
    lines = [f'<nav aria-label="Site"><p>{items}</p></nav>']
    lines += [f"<p><strong>{escape(text)}</strong></p>" for text in texts]
    return b"".join((head, start, "\n".join([*lines, ""]).encode(), rest))
