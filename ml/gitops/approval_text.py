"""Renders the body of an approval pull request: what merging does, the evidence, the next steps.

It uses only the `Page` that it is given; it measures nothing, decides nothing and calls nothing. Text that people wrote
(reasons, evidence, configuration) is escaped (ml.gitops.markdown_escaping).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ml import config
from ml.gitops import (
    approval_decision,
    approval_words,
    comments,
    commit_messages,
    consequences_text,
    daily_rates,
    decision_table,
    gate_lines,
    high_amounts,
    kind_table,
    merge_reasons,
    metric_tables,
    provenance_text,
    reason_text,
)
from ml.gitops.github_client import BODY_LIMIT
from ml.gitops.markdown_escaping import code, details, fence, image, link, table, text
from ml.gitops.percent import percent, setting
from ml.gitops.settings_changes import Change

_DIFF_CHARACTERS = 20_000
REPLACES = "Replaces "


@dataclass(frozen=True, kw_only=True)
class Step:
    """Duration and instances of one pipeline step; 0 seconds for a cached step."""

    name: str
    seconds: float
    instance_type: str
    instance_count: int = 1


@dataclass(frozen=True, kw_only=True)
class Page:
    """The content of an approval's pull request.

    Args:
        serving: production.yaml on the base branch: what serves now, and on which instances.
        evaluation_uri: location of evaluation.json.
        configuration_diff: unified diff of model-config/training/ from `since` to the record's commit; '' if none.
        since: the commit that the champion was trained from; None if there is no champion.
        requests: the retrain requests that the record resolves, by id.
        steps: the steps of the execution; empty if unknown.
        pictures: image URLs by the file names of ml.report.
        commit_url, run_url: URLs to link.
        asked: the reason of a manual dispatch.
        replaces: numbers of the pull requests that this one replaces.
        score_bands: scores and calibration on held-out rows, the lowest scores first; empty if unknown.
        signed: whether its statement of provenance is signed.
        staging: staging.yaml on the base branch; None without a staging.
        better_threshold: that the threshold wastes precision, and which would not; '' if it does not.
        settings: the settings that differ from those that the champion was trained with.
        same: what else is the champion's, if a fit gave its coefficients again; None if they are others.
    """

    record: config.ApprovalRecord
    evaluation: Mapping[str, Any]
    evaluation_uri: str
    serving: config.ServingFile
    configuration_diff: str
    since: str | None
    requests: Mapping[str, config.RetrainRequest] = field(default_factory=dict)
    steps: Sequence[Step] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)
    commit_url: str | None = None
    run_url: str | None = None
    asked: str = ""
    replaces: Sequence[int] = ()
    score_bands: Sequence[metric_tables.ScoreBand] = ()
    better_threshold: str = ""
    settings: Sequence[Change] = ()
    same: reason_text.SameCoefficients | None = None
    signed: bool = False
    staging: config.ServingFile | None = None


@dataclass(frozen=True, kw_only=True)
class _Section:
    """A section, and a shorter version for a body that exceeds GitHub's limit."""

    full: str
    short: str | None = None


def marker(approval: int) -> str:
    """The hidden first line of an approval's body."""
    return comments.marker_line(f"approval {commit_messages.number(approval)}")


def render(page: Page) -> str:
    """The body of the pull request, within GitHub's length limit. Omitted parts say where to find them."""
    sections = [
        _Section(full=_summary(page)),
        _Section(full=_why(page)),
        _Section(full=_pictures(page, ["decision.png"])),
        _Section(full=f"⚠️ {text(page.better_threshold)}" if page.better_threshold else ""),
        _Section(full=gate_lines.section(page.evaluation)),
        _Section(full="## Details"),
        _Section(full=reason_text.evidence(page.record, page.requests), short=""),
        _Section(full=_comparison(page)),
        _Section(full=details(f"Threshold and alerts on {_all_rows(page)}", _threshold(page.evaluation))),
        _Section(full=_metrics(page)),
        _Section(
            full=details(
                f"Alert budget: alerts against losses on {_all_rows(page)}", metric_tables.budget(page.evaluation)
            )
        ),
        _Section(full=kind_table.by_kind(page.evaluation), short=""),
        _Section(full=metric_tables.score_bands(page.score_bands, page.evaluation)),
        _data(page),
        _configuration(page),
        _Section(full=_cost(page.steps)),
        _Section(full=consequences_text.sections(record=page.record, serving=page.serving, staging=page.staging)),
        _Section(full=approval_words.section(), short=""),
        _Section(full=_sources(page)),
    ]
    return _shorten_to_limit(sections)


def _shorten_to_limit(sections: Iterable[_Section]) -> str:
    parts = [section for section in sections if section.full]
    texts = [part.full for part in parts]
    while comments.github_length("\n\n".join(texts)) > BODY_LIMIT:
        foldable = [i for i, part in enumerate(parts) if part.short is not None and texts[i] == part.full]
        if not foldable:
            break
        longest = max(foldable, key=lambda index: len(texts[index]))
        texts[longest] = parts[longest].short or ""
    return comments.truncate("\n\n".join(texts) + "\n")


def _summary(page: Page) -> str:
    record, evaluation = page.record, page.evaluation
    numbers = [commit_messages.number(record.approval)]
    numbers += [commit_messages.number(record.champion.approval)] if record.champion else []
    decided = decision_table.render(evaluation, new=numbers[0], former=numbers[-1]) if record.champion else ""
    labels = decision_table.label_warning(evaluation)
    always = high_amounts.sentence(evaluation, numbers[-1])
    weighed = merge_reasons.lines(record, evaluation, high_amounts=always)
    return "\n".join(
        [
            marker(record.approval),
            " ".join([*_decision(page), *([text(always)] if always else [])]),
            "",
            *([decided, ""] if decided else [f"{_rates(evaluation)}", ""]),
            *metric_tables.question(evaluation),
            *([*(f"- **{name}:** {text(words)}" for name, words in weighed), ""] if weighed else []),
            *([f"⚠️ {text(labels)}", ""] if labels else []),
            *([reason_text.same_model(numbers[-1], page.same), ""] if page.same else []),
            f"{consequences_text.summary(record, page.serving, page.staging)} "
            f"Kind of run: {text(commit_messages.KINDS[record.kind])}.",
            "",
            *provenance_text.warnings(record, signed=page.signed),
            *([f"{REPLACES}{', '.join(f'#{number}' for number in page.replaces)}."] if page.replaces else []),
        ]
    ).strip()


def _rates(evaluation: Mapping[str, Any]) -> str:
    """The figures of a model that was compared with none."""
    recall, false_positive_rate = (evaluation["metrics"].get(name, {}) for name in ("recall", "false_positive_rate"))
    counts = evaluation["confusion"]
    raised = counts["true_positives"] + counts["false_positives"]
    daily = "" if daily_rates.unknown(evaluation) else f"{daily_rates.rate(raised, evaluation)} alerts a day, "
    money = approval_decision.money_found(evaluation)
    return (
        f"Recall is {metric_tables.share(recall)}, {f'{money}, ' if money else ''}the false-positive rate "
        f"{metric_tables.share(false_positive_rate)}; "
        f"{daily}alert budget {setting(evaluation['alert_budget'])}: {decision_table.judged(evaluation)}. "
        f"Measured on {evaluation['rows']:,} test rows with {evaluation['positives']:,} frauds."
    )


def _decision(page: Page) -> list[str]:
    """The first sentence: how the model compares with the champion, or why it does not."""
    if page.record.champion is None:
        return [
            f"**Approval {commit_messages.number(page.record.approval)} is the first model: nothing to compare with.**"
        ]
    compared = approval_decision.sentence(page.record, page.evaluation)
    if compared:
        return [f"**{text(compared)}**"]
    reason = metric_tables.not_compared(page.evaluation)
    if not reason:
        return []
    why = reason.removeprefix("Comparison with the champion is not possible: ").rstrip(".")
    other = f"approval {commit_messages.number(page.record.champion.approval)}, the champion"
    return [f"**This model was not compared with {other}: {text(why)}.**"]


def _metrics(page: Page) -> str:
    parts = [metric_tables.metrics(page.evaluation), _pictures(page, ["confusion-matrix.png"])]
    return details(f"Metrics on {_all_rows(page)}", "\n\n".join(filter(None, parts)))


def _all_rows(page: Page) -> str:
    """The rows of an evaluation; those of a comparison can be fewer."""
    return f"all {page.evaluation['rows']:,} test rows"


def _pictures(page: Page, names: Iterable[str]) -> str:
    shown = [image(_in_words(name, page), page.pictures[name]) for name in names if name in page.pictures]
    return "\n".join(shown)


def _in_words(name: str, page: Page) -> str:
    """What a picture shows, and on which rows."""
    if name == "confusion-matrix.png":
        return f"Confusion matrix on {_all_rows(page)}"
    both = page.evaluation["curves"].get("compared")
    models = f"both models on the same {both['rows']:,} test rows" if both else f"this model on {_all_rows(page)}"
    return f"Precision and recall of {models}, and the alerts a day against the share of frauds and money that is found"


def _data(page: Page) -> _Section:
    record, window = page.record, page.record.data.window
    windows = page.evaluation["windows"]
    rows = [
        (
            name,
            _minute(part["start"]),
            _minute(part["end"]),
            *_counts(part["rows"], part["frauds"]),
        )
        for name, part in sorted(windows.items(), key=lambda item: str(item[1]["start"]))  # in order of time
    ]
    rows.append(("all", "", "", *_counts(record.data.rows, record.data.frauds)))
    counts = page.evaluation["row_counts"]
    left_out = (
        f"Left out: {counts['unlabelled']:,} transactions of the window without a label yet. Of the rows in use, "
        f"{counts['duplicates']:,} repeat an earlier one, {counts['duplicates_across_parts']:,} of them one of an "
        "earlier part."
    )
    requested = (
        f"Requested training window: from {_minute(window.start) if window.start else 'the first row'} "
        f"to {_minute(window.end) if window.end else 'the last row'}."
    )
    digests = [
        ("model package", code(record.model_package_arn)),
        ("artifact", code(f"sha256:{record.artifact.sha256}")),
        ("data", code(f"sha256:{record.data.sha256}")),
        ("configuration", code(f"sha256:{record.config_sha256}")),
        ("trained from commit", link(code(record.commit), page.commit_url)),
    ]
    parts = table(("part", "first", "last", "rows", "frauds", "share of frauds"), rows, numbers=(3, 4, 5))
    title = f"Data: {record.data.rows:,} rows, {record.data.frauds:,} frauds"
    origin = provenance_text.origin(record, signed=page.signed)
    return _Section(
        full=details(title, "\n\n".join([parts, requested, left_out, table(("input", "identity"), digests), *origin]))
    )


def _counts(rows: int, frauds: int) -> tuple[str, str, str]:
    return f"{rows:,}", f"{frauds:,}", percent(frauds / rows) if rows else "–"


def _configuration(page: Page) -> _Section:
    title = "Configuration since the champion"
    if page.since is None:
        if page.record.champion is not None:
            return _Section(full=f"{title}: not known, because its record is not on the base branch.")
        return _Section(full=f"{title}: no champion, this is the first proposed configuration.")
    command = code(f"git diff {page.since[:12]} {page.record.commit[:12]} -- {config.MODEL.parent}")
    if not page.configuration_diff.strip():
        return _Section(
            full=f"{title}: unchanged since {code(page.since[:12])}; {reason_text.unchanged(page.record.kind)}."
        )
    shown, omitted = reason_text.first_lines(page.configuration_diff, _DIFF_CHARACTERS)
    note = f"\n\n… and {omitted:,} more lines: {command}" if omitted else ""
    return _Section(full=details(title, f"{fence(shown, 'diff')}{note}"), short=f"{title}: too long to show, {command}")


def _why(page: Page) -> str:
    return reason_text.why(
        page.record,
        page.requests,
        asked=page.asked,
        settings=page.settings,
        first=page.record.champion is None,
        changed=bool(page.configuration_diff.strip()),
    )


def _comparison(page: Page) -> str:
    shown = metric_tables.champion(page.record, page.evaluation)
    if page.evaluation["champion"]["status"] != "compared":
        return shown
    return details("Comparison with the champion: intervals, and recall by kind", shown)


def _threshold(evaluation: Mapping[str, Any]) -> str:
    change = [metric_tables.threshold_change(evaluation)] if evaluation["threshold_change"] else []
    return "\n\n".join([*change, metric_tables.alerts(evaluation)])


def _cost(steps: Sequence[Step]) -> str:
    if not steps:
        return "Cost of the run: not known, because the steps of the execution are not available."
    rows = [
        (
            text(step.name),
            code(step.instance_type),
            f"{step.instance_count}",
            f"{step.seconds:,.0f}" if step.seconds else "cached",
            f"{step.seconds * step.instance_count:,.0f}",
        )
        for step in steps
    ]
    totals: dict[str, float] = {}
    for step in steps:
        totals[step.instance_type] = totals.get(step.instance_type, 0) + step.seconds * step.instance_count
    spent = ", ".join(f"{seconds:,.0f} s of {code(kind)}" for kind, seconds in sorted(totals.items()) if seconds)
    content = "\n\n".join(
        [
            table(("step", "instance", "count", "seconds", "instance seconds"), rows, numbers=(2, 3, 4)),
            f"Total: {spent or 'nothing, every step was cached'}. Prices depend on region and contract: multiply by "
            "your price per second of each instance type.",
        ]
    )
    return details("Cost of the run", content)


def _sources(page: Page) -> str:
    lines = [
        f"Execution {code(page.record.execution_arn)}",
        f"Evaluation {code(page.evaluation_uri)}",
        *([link("Workflow run", page.run_url)] if page.run_url else []),
    ]
    return "---\n\n" + "  \n".join(lines)


def _minute(moment: object) -> str:
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{parsed:%Y-%m-%d %H:%M}" if isinstance(parsed, datetime) else text(moment)
