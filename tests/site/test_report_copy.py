"""The copies of reports: links back to the site, alarms of the window, and nothing else changed."""

from __future__ import annotations

import html

from ml.site import drift_checks, report_copy
from tests.site.sites import HOSTILE, REPORT, check, site
from tests.site.test_request_causes import asked


def test_report_links_back_and_has_the_alarms_of_its_window() -> None:
    """A report that found nothing does not look calm in a month with an alarm; text is escaped."""
    whole = site(requests=(asked("daily_fraud_rate"),), simulated=True)
    found = report_copy.drift_report(check(5, 1, {}), whole)
    assert found is not None
    text = found.decode()
    for target in ("../index.html", "../drift.html", "../timeline.html", "../models/0001.html"):
        assert f'<a href="{target}">' in text
    assert "<strong>The daily test raised the alarm: concept drift, on 15 May 2026, 06:00 UTC." in text
    assert "<strong>A demo on emulators" in text
    assert HOSTILE not in text
    assert html.escape(HOSTILE) in text
    assert drift_checks.is_harmless(found)


def test_rest_of_a_report_stays() -> None:
    """Without the added block the bytes are those of the lake; a page of another form is not changed."""
    found = report_copy.drift_report(check(5, 9, {}), site(requests=()))
    assert found is not None
    before, _, after = found.partition(b'<nav aria-label="Site">')
    assert before + after.partition(b"</nav>\n")[2] == REPORT
    assert b"models/0009" not in found
    assert report_copy.drift_report(check(5, 1, {}, report=b"x"), site()) == b"x"
    assert report_copy.drift_report(check(4, 1, {}), site()) is None


def test_year_links_to_the_site() -> None:
    """It is no dead end."""
    assert b'<a href="index.html">Now</a>' in report_copy.year(b"<header><div>\n<h1>A year</h1>")
