"""The text of an approval's pull request, parsed with a Markdown library: sections, figures, escaping, length limit."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from markdown_it import MarkdownIt

from ml import config
from ml.errors import ConfigError
from ml.gitops import approval_decision, approval_text, comments, commit_messages, metric_tables
from ml.gitops.github_client import BODY_LIMIT
from ml.gitops.reason_text import SameCoefficients
from ml.model import champion_comparison, metrics
from tests.harness.git.repositories import SERVING, record
from tests.report.evaluations import CHAMPION, COMPARED, ROW_COUNTS, blind, evaluation

RENDERER = MarkdownIt("gfm-like", {"linkify": False, "html": True})
REQUEST = "20260301T060000Z-data-drift"
DIFF = """\
--- a/model-config/training/gate.yaml
+++ b/model-config/training/gate.yaml
@@ -1,2 +1,2 @@
-min_recall: 0.55
+min_recall: 0.60
"""


def serving(approval: int | None) -> config.ServingFile:
    """production.yaml on main."""
    return config.parse(SERVING, config.SERVING, config.ServingFile).model_copy(update={"approval": approval})


def request(**changes: Any) -> config.RetrainRequest:
    """A retrain request with evidence."""
    fields: dict[str, Any] = {
        "kind": "fit",
        "cause": "data-drift",
        "reason": "V3 moved by 0.4 sd",
        "window": config.Window(start=datetime(2026, 2, 1, tzinfo=UTC), end=None),
        "evidence": {"features": ["V3"], "ks": 0.12},
    }
    return config.RetrainRequest(**(fields | changes))


def page(**changes: Any) -> approval_text.Page:
    """An approval with everything there is to show."""
    champion = config.Champion(
        approval=6,
        model_package_arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/fraudops-model/6",
        artifact_sha256=CHAMPION,
        comparison="compared",
        reason=COMPARED["reason"],
    )
    made = approval_text.Page(
        record=record(7, champion=champion, requests=(REQUEST,)),
        evaluation=evaluation(champion=COMPARED),
        evaluation_uri="s3://lake/executions/x/evaluation/evaluation.json",
        serving=serving(6),
        configuration_diff=DIFF,
        since="e" * 40,
        requests={REQUEST: request()},
        steps=(
            approval_text.Step(name="Prepare", seconds=61.4, instance_type="ml.m5.xlarge"),
            approval_text.Step(name="Train", seconds=120, instance_type="ml.m5.xlarge", instance_count=2),
            approval_text.Step(name="Evaluate", seconds=0, instance_type="ml.m5.large"),
        ),
        pictures={
            "confusion-matrix.png": "https://git.invalid/o/r/raw/abc/0007/confusion-matrix.png",
            "decision.png": "https://git.invalid/o/r/raw/abc/0007/decision.png",
        },
        commit_url="https://git.invalid/o/r/commit/" + "b" * 40,
        run_url="https://git.invalid/o/r/actions/runs/5",
    )
    return replace(made, **changes)


def tables(markdown: str) -> list[list[list[str]]]:
    """Every table of the text: rows of cells in plain words, header first."""
    found: list[list[list[str]]] = []
    for token in RENDERER.parse(markdown):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and found[-1] and token.level >= 4:
            found[-1][-1].append(words(token.content))
    return found


def words(markdown: str) -> str:
    """The text of a piece of inline Markdown, without markup."""
    return html.unescape(re.sub(r"<[^>]*>", "", RENDERER.renderInline(markdown))).replace("\u200b", "")


def table(markdown: str, first: str) -> dict[str, list[str]]:
    """The table whose header begins with `first`: its rows by their first cells."""
    found = next(each for each in tables(markdown) if each[0][0] == first)
    return {row[0]: row[1:] for row in found[1:]}


def measured(markdown: str) -> list[list[str]]:
    """The table of metrics."""
    return next(each for each in tables(markdown) if each[0][:2] == ["figure", "value"])


def headings(markdown: str) -> list[str]:
    """The headings of the text's sections."""
    tokens = RENDERER.parse(markdown)
    return [words(tokens[i + 1].content) for i, token in enumerate(tokens) if token.type == "heading_open"]


def test_sections_are_complete_and_in_order() -> None:
    """The sections go from the gate's verdict to what reverting does."""
    assert headings(approval_text.render(page())) == [
        "Gate: passed",
        "Details",
        "What merging does",
        "What reverting does",
    ]


def test_scores_are_shown_with_the_share_of_frauds() -> None:
    """Each band has its rows and frauds; the one with the threshold is named. Without bands there is no table."""
    score = page().evaluation["threshold"]["score"]
    band = metric_tables.ScoreBand
    bands = [
        band(low=None, high=score / 2, rows=3_900, frauds=4),
        band(low=score / 2, high=0.9, rows=80, frauds=20),
        band(low=0.9, high=None, rows=20, frauds=19),
    ]
    text = approval_text.render(page(score_bands=bands))
    assert tables(text)[-5][1:] == [
        [f"below {score / 2:.3g}", "3,900 (98 %)", "4", "0.1 %"],
        [f"{score / 2:.3g} to 0.9, with the threshold", "80 (2 %)", "20", "25 %"],
        ["0.9 or more", "20 (0.5 %)", "19", "95 %"],
    ]
    assert "<summary>Scores and calibration on held-out rows</summary>" in text
    assert "Scores and calibration" not in approval_text.render(page())
    empty = [band(low=None, high=0.5, rows=0, frauds=0), band(low=0.5, high=None, rows=0, frauds=0)]
    assert "| 0 | 0 | – |" in metric_tables.score_bands(empty, page().evaluation)
    assert metric_tables.score_bands([band(low=None, high=None, rows=9, frauds=1)], page().evaluation) == ""


def test_details_are_folded() -> None:
    """What a decision does not need is one line until it is opened; what it needs is in no fold."""
    text = approval_text.render(page())
    assert re.findall(r"<details><summary>(.*?)</summary>", text) == [
        "1 check passed",
        f"Evidence of {REQUEST}",
        "Comparison with the champion: intervals, and recall by kind",
        "Threshold and alerts on all 4,000 test rows",
        "Metrics on all 4,000 test rows",
        "Alert budget: alerts against losses on all 4,000 test rows",
        "Frauds found by hour and category",
        "Data: 1,000 rows, 20 frauds",
        "Configuration since the champion",
        "Cost of the run",
        "Words",
    ]
    shown = re.sub(r"<details>.*?</details>", "", text, flags=re.S)
    assert [each[0][0] for each in tables(shown)] == ["on the same 3,900 test rows"]
    assert shown.count("![") == 1


def test_text_begins_with_the_marker_and_the_decision() -> None:
    """The hidden marker identifies the pull request; then the decision with its evidence, and what merging serves."""
    lines = approval_text.render(page()).splitlines()
    assert lines[0] == approval_text.marker(7) == "<!-- fraudops: approval 0007 -->"
    assert words(lines[1]) == (
        "Approval 0007 is equal to 0006 within chance, on 3,900 test rows with 40 frauds that 0006, the "
        "champion, was not trained on."
    )
    text = approval_text.render(page())
    order = ["| alerts a day |", "**Merging this serves approval 0007", "**Why:**", "![Precision", "## Gate"]
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)


def test_first_model_has_its_figures_in_a_sentence() -> None:
    """There is nothing to compare it with; the alert budget is judged."""
    made = page(evaluation=evaluation(), record=record(7), since=None)
    lines = [words(line) for line in approval_text.render(made).splitlines()]
    assert lines[1] == "Approval 0007 is the first model: nothing to compare with."
    said = lines[3]
    assert said == (
        "Recall is 97 % (87 % to 99.5 %), the false-positive rate 0.81 % (0.57 % to 1.1 %); 35.0 alerts a day, alert "
        "budget 1 %: over. Measured on 4,000 test rows with 39 frauds."
    )


def test_labels_that_differ_are_pointed_out_before_the_gate() -> None:
    """Three times as many frauds in training as in the test rows."""
    evaluated = evaluation(champion=COMPARED)
    evaluated["windows"]["train"] |= {"frauds": 120}
    text = approval_text.render(page(evaluation=evaluated))
    assert "⚠️ 3 % of the training rows are labelled fraud, but 1 % of the test rows." in words(text)
    assert text.index("labelled fraud") < text.index("## Gate")


def test_every_figure_has_its_interval_and_its_counts() -> None:
    """Every metric of the evaluation is shown with value, interval and counts."""
    evaluated = page().evaluation
    shown = {row[0]: row[1:] for row in measured(approval_text.render(page()))[1:]}
    assert len(shown) == len(evaluated["metrics"])
    recall = evaluated["metrics"]["recall"]
    assert shown["recall"] == [
        f"{recall['value']:.3f}",
        f"{recall['low']:.3f} to {recall['high']:.3f}",
        f"{recall['count']} of {recall['of']} frauds",
    ]
    alarms = evaluated["metrics"]["false_positive_rate"]
    assert shown["false-positive rate"][0] == f"{100 * alarms['value']:.2g} %"
    assert shown["false-positive rate"][2] == f"{alarms['count']} of {alarms['of']:,} legitimate rows"
    assert shown["average precision"][2] == ""
    assert metric_tables.CONFIDENCE == metrics.CONFIDENCE
    assert "95 % interval" in measured(approval_text.render(page()))[0]


def test_undefined_figure_has_its_reason() -> None:
    """Precision without alerts is shown as a dash with the reason, not as 0 or 1."""
    shown = measured(approval_text.render(page(evaluation=blind() | {"champion": COMPARED})))
    assert ["precision", "–", "no alerts among the rows", ""] in shown


def test_unknown_figure_is_shown_by_its_name() -> None:
    """A metric that the text has no label for is shown under its key."""
    evaluated = evaluation()
    evaluated["metrics"]["expected_cost|a"] = {"value": 0.5, "low": None, "high": None, "count": None, "of": None}
    assert ["expected_cost|a", "0.500", "–", ""] in measured(approval_text.render(page(evaluation=evaluated)))


def test_champion_is_compared_on_the_same_rows() -> None:
    """Both figures, their difference with its interval, and the number of common rows and frauds."""
    text = approval_text.render(page())
    shown = next(each for each in tables(text) if each[0][1:3] == ["this model", "champion"])
    assert [row[0] for row in shown[1:]] == ["recall", "precision", "false-positive rate", "average precision"]
    assert shown[4] == ["average precision", "0.910", "0.880", "+0.030", "-0.010 to +0.070"]
    assert "the same 3,900 test rows with 40 frauds" in words(text)
    assert "The champion is approval 0006" in words(text)


def test_champion_is_compared_by_kind() -> None:
    """Each kind of rows has its counts, recall with interval, alerts, and what the gate concluded."""
    evaluated = evaluation(champion=COMPARED)
    check = {"name": "champion_recall_amount below 20", "passed": True, "detail": "", "outcome": "cannot tell"}
    evaluated["verdict"]["checks"].append(check)
    shown = next(each for each in tables(approval_text.render(page(evaluation=evaluated))) if "it shows" in each[0])
    assert shown[1:] == [
        ["amount below 20", "2,000", "3", "1.000", "1.000", "+0.000 (-0.600 to +0.600)", "23", "27", "cannot tell"],
        ["amount 20 or more", "1,900", "0", "–", "–", "–", "19", "23", "no frauds"],
    ]
    unknown = COMPARED | {"slices": [COMPARED["slices"][0] | {"false_positive_rate": None}]}
    text = approval_text.render(page(evaluation=evaluation(champion=unknown)))
    (row,) = next(each for each in tables(text) if "it shows" in each[0])[1:]
    assert row[6:] == ["–", "–", "–"]


def test_impossible_comparison_has_its_reason() -> None:
    """The text has the reason and no comparison table."""
    compared = COMPARED | {"status": "not possible", "reason": "Too few frauds in common: 3 < 15.", "recall": None}
    text = approval_text.render(page(evaluation=evaluation(champion=compared)))
    assert "Too few frauds in common: 3 < 15." in words(text)
    assert not any(each[0][1:3] == ["this model", "champion"] for each in tables(text))


@pytest.mark.parametrize(
    ("why", "cause", "gate"),
    [
        ("columns were taken away", "missing inputs", "Gate: cannot tell"),
        ("3 frauds among the 900 test rows that it has not seen, and 15 are needed", "few frauds", "Gate: passed"),
        ("these transactions lack its inputs V2, shop", None, "Gate: passed"),
    ],
)
def test_model_that_was_not_compared_says_so_first(why: str, cause: str | None, gate: str) -> None:
    """Title and first sentence have it; without the champion's inputs the gate does not read as passed."""
    reason = f"Comparison with the champion is not possible: {why}."
    made = page()
    assert made.record.champion is not None
    champion = made.record.champion.model_copy(update={"comparison": "not possible", "reason": reason})
    uncompared = made.record.model_copy(update={"champion": champion})
    compared = COMPARED | {"status": "not possible", "reason": reason} | ({} if cause is None else {"cause": cause})
    text = approval_text.render(replace(made, record=uncompared, evaluation=evaluation(champion=compared)))
    assert words(text.splitlines()[1]) == f"This model was not compared with approval 0006, the champion: {why}."
    assert headings(text)[0] == gate
    assert f"❓ Cannot tell whether this model is worse than the champion. {reason}" in words(text)
    assert ("The champion stays unless a person decides otherwise" in text) == (gate == "Gate: cannot tell")
    title = approval_decision.title(uncompared, evaluation(champion=compared))
    named = f" ({cause})" if cause else ""
    assert title == f"0007: not compared with 0006{named}: recall 90 % (80 % to 95 %)"


def test_cause_is_read_strictly() -> None:
    """The causes are those of the comparison; another one is refused, as of a later version."""
    assert get_args(champion_comparison.Cause) == metric_tables.CAUSES
    unknown = COMPARED | {"status": "not possible", "reason": "It rains.", "cause": "rain"}
    with pytest.raises(ConfigError, match=r"champion\.cause must be few frauds or missing inputs \(got 'rain'\)"):
        approval_text.render(page(evaluation=evaluation(champion=unknown)))


def test_alerts_are_given_per_day() -> None:
    """The test rows span two days, so half of the alerts count for each."""
    counts = page().evaluation["confusion"]
    raised = counts["true_positives"] + counts["false_positives"]
    shown = table(approval_text.render(page()), "threshold")
    a_day = f"{raised / 2:,.1f}, of which {counts['true_positives'] / 2:,.1f} are frauds, of 2,000 transactions a day"
    assert shown["alerts a day"] == [a_day]
    left_out = evaluation() | {"row_counts": ROW_COUNTS | {"unlabelled": 1_500}}
    (counted,) = table(approval_text.render(page(evaluation=left_out)), "threshold")["alerts a day"]
    assert counted == a_day.replace("2,000 tr", "2,000 labelled tr") + (
        "; 1,500 of the window without a label are not counted"
    )
    assert shown["alert budget"] == ["1 % of the transactions"]
    assert "at most 0.8 % of the legitimate validation rows" in shown["chosen by"][0]
    assert shown["false-positive rate to expect"] == [
        "0.09 % to 2.5 % (2 of 285 legitimate validation rows reach the threshold)"
    ]


def test_out_of_fold_threshold_is_named_with_its_notes() -> None:
    """The source of the scores, their spread between blocks of time, and the notes of the fit are shown."""
    evaluated = evaluation()
    expected = evaluated["fit"]["expected"] | {"source": "out-of-fold", "dispersion": 2.04}
    evaluated["fit"] = evaluated["fit"] | {"expected": expected, "notes": ["SMOTE added no rows: enough frauds."]}
    text = approval_text.render(page(evaluation=evaluated))
    shown = table(text, "threshold")
    assert "of the legitimate out-of-fold rows" in shown["chosen by"][0]
    assert "vary 2.0 times as much as by chance between 5 blocks of time" in shown["false-positive rate to expect"][0]
    assert "SMOTE added no rows: enough frauds." in words(text)


def test_budgets_are_shown_with_alerts_and_losses() -> None:
    """Each budget has its alerts a day, recall, and the amount that it finds and misses."""
    evaluated = evaluation()
    first = evaluated["budget"]["options"][0]
    shown = table(approval_text.render(page(evaluation=evaluated)), "alerts on at most")
    missed = 10 * (first["recall"]["of"] - first["recall"]["count"]) / 2
    assert shown["1 %"][0] == f"{first['alerts'] / 2:,.1f}"
    assert shown["1 %"][-1] == f"{missed:,.0f}"
    assert float(shown["5 %"][0]) == 100.0


def test_budget_that_does_not_suffice_asks_a_person() -> None:
    """The sentence stands above the table; without a shortfall there is none."""
    evaluated = evaluation()
    said = "The alert budget no longer suffices: a person must decide."
    assert said not in words(approval_text.render(page(evaluation=evaluated)))
    evaluated["budget"]["shortfall"] = said
    evaluated["budget"]["needed"] = evaluated["budget"]["options"][0] | {"alert_share": 0.0312}
    rendered = approval_text.render(page(evaluation=evaluated))
    assert words(rendered).count(said) == 2  # before the gate, and with what other budgets cost
    assert rendered.index(said) < rendered.index("## Gate")
    assert list(table(rendered, "alerts on at most")) == ["1 %", "3.12 %", "5 %"]


def test_alerts_per_day_of_an_empty_window_are_unknown() -> None:
    """Windows of length zero give "not known" instead of a division by zero."""
    evaluated = evaluation()
    instant = {"end": evaluated["windows"]["test"]["start"]}
    evaluated["windows"] = {name: part | instant for name, part in evaluated["windows"].items()}
    assert "not known" in table(approval_text.render(page(evaluation=evaluated)), "threshold")["alerts a day"][0]


def test_pictures_are_linked() -> None:
    """Both images are embedded with alt texts; without pictures there is no image."""
    images = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', RENDERER.render(approval_text.render(page())))
    assert [source for source, _ in images] == [
        "https://git.invalid/o/r/raw/abc/0007/decision.png",
        "https://git.invalid/o/r/raw/abc/0007/confusion-matrix.png",
    ]
    assert images[0][1].startswith(
        "Precision and recall of both models on the same 3,900 test rows, and the alerts a day"
    )
    assert approval_text.render(page()).index("decision.png") < approval_text.render(page()).index("## Gate")
    assert "<img" not in RENDERER.render(approval_text.render(page(pictures={})))


def test_data_and_digests_are_exact() -> None:
    """Package ARN, commit and all digests are shown in full, with windows, rows and frauds."""
    text = approval_text.render(page())
    exactly = table(text, "input")
    assert exactly["model package"] == [page().record.model_package_arn]
    assert exactly["artifact"] == [f"sha256:{page().record.artifact.sha256}"]
    assert exactly["data"] == ["sha256:" + "d" * 64]
    assert exactly["configuration"] == ["sha256:" + "c" * 64]
    assert exactly["trained from commit"] == ["b" * 40]
    assert "fraudops reproduce 7 --at origin/approve/0007" in text
    assert table(text, "part")["all"] == ["", "", "1,000", "20", "2 %"]
    assert "from the first row to 2026-03-01 00:00" in words(text)


def test_configuration_is_a_diff() -> None:
    """The configuration change is a fenced diff block; no change and no champion are stated in words."""
    fences = [token for token in RENDERER.parse(approval_text.render(page())) if token.type == "fence"]
    assert ("diff", DIFF) in [(fence.info, fence.content) for fence in fences]
    assert "unchanged since" in approval_text.render(page(configuration_diff=""))
    assert "the first proposed configuration" in approval_text.render(page(since=None, record=record(7)))
    assert "not known, because its record is not on the base" in approval_text.render(page(since=None))


def test_request_is_shown_with_its_evidence() -> None:
    """The reason is shown as text and the request's YAML in a folded block."""
    text = approval_text.render(page())
    assert f"{REQUEST}: V3 moved by 0.4 sd" in words(text)
    fences = [token for token in RENDERER.parse(text) if token.type == "fence" and token.info == "yaml"]
    assert config.parse(fences[0].content, config.REQUESTS, config.RetrainRequest) == request()
    assert "no retrain request was open" in approval_text.render(page(record=record(7, requests=())))


def test_cost_is_in_instance_seconds() -> None:
    """The text has no prices; a cached step costs 0 seconds."""
    text = approval_text.render(page())
    shown = table(text, "step")
    assert shown["Train"] == ["ml.m5.xlarge", "2", "120", "240"]
    assert shown["Evaluate"] == ["ml.m5.large", "1", "cached", "0"]
    assert "Total: 301 s of ml.m5.xlarge. Prices depend on region" in words(text)
    assert "Cost of the run: not known" in approval_text.render(page(steps=()))


def test_text_states_what_merging_and_reverting_do() -> None:
    """It names the package, the approval that is replaced, and the commit to revert."""
    text = words(approval_text.render(page()))
    assert "approves only that package" in text
    assert "If a step fails, the run fails and approval 0006 keeps serving" in text
    assert "A rollback serves approval 0006 again: fraudops rollback opens a pull request" in text
    assert "only the commit Serve approval 0007" in text
    assert commit_messages.pointer(7, 6).startswith("Serve approval 0007")


def test_first_model_has_no_rollback() -> None:
    """The text says that the endpoint is created and that no rollback is possible yet."""
    text = words(approval_text.render(page(serving=serving(None), record=record(7), since=None)))
    assert "as the first model" in text
    assert "is created on" in text
    assert "not possible yet: no model served before" in text


def test_text_of_people_is_escaped() -> None:
    """Mentions, references, links, images and markup in a request, a diff or a step name have no effect."""
    trick = "@o/team fixes #1 </details><script>alert(1)</script> ![x](http://evil.invalid/p.png) | ``` ~~~ $x$"
    hostile = request(reason=trick, evidence={"note": f"```\n{trick}\n```\n</details>", "@all": "#2"})
    diff = f"+# {trick}\n+```\n+</details> @o/team\n"
    text = approval_text.render(
        page(
            requests={REQUEST: hostile},
            configuration_diff=diff,
            steps=(approval_text.Step(name=trick, seconds=1, instance_type=f"`{trick}`"),),
            run_url="javascript:alert(1)",
        )
    )
    rendered = RENDERER.render(text)
    outside = re.sub(r"<(pre|code)\b.*?</\1>", "", rendered, flags=re.S)
    assert not re.search(r"<script|javascript:|=.http://evil", rendered)
    assert not re.search(r"[@#]\w|://evil", html.unescape(outside))
    assert rendered.count("<details>") == rendered.count("</details>") == 11
    assert headings(text)[-1] == "What reverting does"
    assert rendered.count("<img") == 2


def test_long_text_is_shortened_to_the_limit() -> None:
    """The longest parts are shortened first, with a note on where the rest is; no block stays open."""
    lines = "\n".join(f"+  key_{i}: {'x' * 90}" for i in range(5000))
    text = approval_text.render(page(configuration_diff=lines))
    assert comments.github_length(text) <= BODY_LIMIT
    assert re.search(r"… and 4,[78]\d\d more lines: `git diff e{12} b{12} -- model-config/training`", text)
    ids = tuple(f"20260301T0600{i:02d}Z-data-drift" for i in range(60))
    many = {name: request(reason="@x `" * 200, evidence={"rows": ["#1 " * 30] * 200}) for name in ids}
    text = approval_text.render(page(configuration_diff=lines, requests=many, record=record(7, requests=ids)))
    assert comments.github_length(text) <= BODY_LIMIT
    assert "and 52 more, listed in the record." in text
    assert headings(text)[-1] == "What reverting does"


@pytest.mark.parametrize("filler", ["é", "😀", "\\", "<"])
def test_limit_applies_to_the_escaped_text(filler: str) -> None:
    """Escaping lengthens text and an emoji counts as two characters; the limit still holds."""
    ids = tuple(f"20260301T0600{i:02d}Z-data-drift" for i in range(8))
    many = {name: request(reason=filler * 1024, evidence={"x": filler * 9000}) for name in ids}
    text = approval_text.render(page(requests=many, record=record(7, requests=ids)))
    assert comments.github_length(text) <= BODY_LIMIT
    assert headings(text)[-1] == "What reverting does"


def test_wasted_precision_is_said_between_picture_and_gate() -> None:
    """The sentence about a better threshold stands there, escaped."""
    text = approval_text.render(page(better_threshold="The threshold 0.1 wastes <b>precision</b>."))
    assert "⚠️ The threshold 0.1 wastes &lt;b>precision&lt;/b>." in text.replace("&gt;", ">")
    assert text.index("![Precision") < text.index("wastes") < text.index("## Gate")


def test_new_threshold_is_shown_beside_the_champions() -> None:
    """The summary says that the coefficients are the same, with both thresholds and what changes."""
    rate = {"value": 0.9, "low": 0.8, "high": 0.95, "count": 18, "of": 20, "reason": None}
    change = {
        side: {"score": score, "alerts": alerts, "recall": rate, "false_positive_rate": rate | {"value": share}}
        for side, score, alerts, share in (("champion", 0.031, 80, 0.0175), ("new", 0.0625, 40, 0.0075))
    }
    made = page()
    record = made.record.model_copy(update={"kind": "threshold"})
    evaluated = {**made.evaluation, "kind": "threshold", "threshold_change": change}
    text = approval_text.render(replace(made, record=record, evaluation=evaluated))
    assert "Same coefficients, new threshold." in text
    assert "Kind of run: threshold (the champion's coefficients, new threshold)." in text
    at = [line for line in text.splitlines() if line.startswith(("| alerts at", "| alerts a day", "| false"))]
    assert at[at.index("| alerts at a score of | 0.0625 | 0.031 |") :][:3] == [
        "| alerts at a score of | 0.0625 | 0.031 |",
        "| alerts a day | 20.0 | 40.0 |",
        "| false-positive rate | 0.75 % (80 % to 95 %) | 1.8 % (80 % to 95 %) |",
    ]
    assert "Same coefficients" not in approval_text.render(page())
    dropped = replace(made, record=record.model_copy(update={"kind": "drop"}), evaluation={**evaluated, "kind": "drop"})
    text = approval_text.render(dropped)
    assert "Kind of run: drop (the champion without its part for new patterns, new threshold)." in text
    assert "The part for new patterns is dropped: its frauds have stopped." in text
    assert "| alerts at a score of | 0.0625 | 0.031 |" in text


def test_rows_that_were_left_out_are_counted() -> None:
    """Unlabelled rows and rows that repeat one of an earlier part."""
    made = page()
    counts = {**made.evaluation["row_counts"], "unlabelled": 100}
    assert (
        "Left out: 100 transactions of the window without a label yet. Of the rows in use, 7 repeat an earlier one, "
        "2 of them one of an earlier part."
    ) in approval_text.render(replace(made, evaluation={**made.evaluation, "row_counts": counts}))


def test_fit_with_the_coefficients_of_the_champion_says_so() -> None:
    """A changed gate alone trains the same model again: the reviewer reads it before the evidence."""
    assert "Same coefficients" not in approval_text.render(page())
    same = approval_text.render(page(same=SameCoefficients(threshold=True, code=True)))
    assert "**Same coefficients as approval 0006:**" in same
    assert "merging changes no score and no decision." in same
    assert same.index("Same coefficients") < same.index("## Gate")
    threshold = approval_text.render(page(same=SameCoefficients(threshold=False, code=True)))
    assert "Only the threshold is another one." in threshold


def test_same_coefficients_with_other_code_may_change_scores() -> None:
    """The archive's scorer and parser of requests make a score of the coefficients."""
    text = approval_text.render(page(same=SameCoefficients(threshold=True, code=False)))
    assert "The coefficients and the threshold are the same, the scoring code differs." in text
    assert "no score and no decision" not in text
    text = approval_text.render(page(same=SameCoefficients(threshold=False, code=False)))
    assert "The threshold and the scoring code differ." in text
    assert "Only the threshold" not in text
