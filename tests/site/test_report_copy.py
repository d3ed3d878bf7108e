"""The copies of reports: links back to the site, alarms of the window, and nothing else changed."""

from __future__ import annotations

import html

from ml.report import year_report
from ml.site import drift_checks, report_copy
from tests.report.played_years import played_year
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
    assert (
        "<strong>A retrain was requested after an alarm of the daily test: concept drift, on 15 May 2026, 06:00 UTC."
        in text
    )
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


def test_year_has_the_frame_of_the_site() -> None:
    """Navigation, the demo's banner and the footer; the file beside the original page is not beside the copy."""
    page = year_report.page(played_year()).encode()
    copy = report_copy.year(page, site(simulated=True), docs="docs/{}").decode()
    assert '<nav aria-label="Site"><ul><li><a href="index.html">Now</a></li>' in copy
    assert '<a href="year.html" aria-current="page">Year</a>' in copy
    assert '<p class="simulation">A demo on emulators' in copy
    assert "report.json" not in copy
    assert copy.count("<footer>") == copy.count("</footer>") == 1
    assert "<footer>fraudops-production, as of 2 June 2026, 06:00 UTC, main at <code>ffffffffffff</code>." in copy
    assert '<a href="docs/retraining.md">docs/retraining.md</a> has the rules' in copy
    plain = report_copy.year(page, site(), docs=None)
    assert b'class="simulation"' not in plain and b"<code>docs/retraining.md</code> has the rules" in plain
    assert report_copy.year(b"a year", site(), docs=None) == b"a year"
