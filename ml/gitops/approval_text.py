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
from ml.gitops import approval_decision, comments, commit_messages, metric_tables, provenance_text
from ml.gitops.github_client import BODY_LIMIT
from ml.gitops.markdown_escaping import code, details, fence, image, link, table, text

_DIFF_CHARACTERS, _EVIDENCE_CHARACTERS, _MAX_REQUESTS = 20_000, 3_000, 8
REPLACES = "Replaces "
_IMAGES = {
    "decision.png": "Precision and recall of both models on the test rows, and the alerts a day against the share of "
    "frauds and of their amount that is found",
    "confusion-matrix.png": "Confusion matrix on the test rows",
}


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
        better_threshold: that the threshold wastes precision, and which would not; '' if it does not.
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
    signed: bool = False


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
        _Section(full=_pictures(page, ["decision.png"])),
        _Section(full=_gate(page.evaluation)),
        _Section(full="## Comparison with the champion\n\n" + metric_tables.champion(page.record, page.evaluation)),
        _Section(full="## Threshold and alerts\n\n" + metric_tables.alerts(page.evaluation)),
        _why(page),
        _Section(full="## Details"),
        _Section(full=_metrics(page)),
        _Section(full=details("Alert budget: alerts against losses", metric_tables.budget(page.evaluation))),
        _Section(full=metric_tables.score_bands(page.score_bands, page.evaluation)),
        _data(page),
        _configuration(page),
        _Section(full=_cost(page.steps)),
        _Section(full=_consequences(page)),
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
    former = page.serving.approval
    instead = f"in place of approval {commit_messages.number(former)}" if former is not None else "as the first model"
    recall, false_positive_rate = (evaluation["metrics"].get(name, {}) for name in ("recall", "false_positive_rate"))
    return "\n".join(
        [
            marker(record.approval),
            *_decision(page),
            f"**Merging this serves approval {commit_messages.number(record.approval)} "
            f"on {code(page.serving.endpoint)} {instead}.** "
            f"Recall is {metric_tables.share(recall)}, the false-positive rate "
            f"{metric_tables.share(false_positive_rate)}: {evaluation['positives']:,} frauds among "
            f"{evaluation['rows']:,} test rows.",
            "",
            *([f"⚠️ {text(page.better_threshold)}", ""] if page.better_threshold else []),
            *provenance_text.warnings(record, signed=page.signed),
            *metric_tables.question(evaluation),
            f"Kind of run: {text(commit_messages.KINDS[record.kind])}.",
            *([metric_tables.threshold_change(evaluation)] if evaluation["threshold_change"] else []),
            *(["", f"{REPLACES}{', '.join(f'#{number}' for number in page.replaces)}."] if page.replaces else []),
        ]
    )


def _decision(page: Page) -> list[str]:
    """The first sentence: how the model compares with the champion, or why it was not; none if there is no champion."""
    compared = approval_decision.sentence(page.record, page.evaluation)
    if compared:
        return [f"**{text(compared)}**"]
    reason = metric_tables.not_compared(page.evaluation)
    if not reason or page.record.champion is None:
        return []
    why = reason.removeprefix("Comparison with the champion is not possible: ").rstrip(".")
    other = f"approval {commit_messages.number(page.record.champion.approval)}, the champion"
    return [f"**This model was not compared with {other}: {text(why)}.**"]


def _metrics(page: Page) -> str:
    parts = [metric_tables.metrics(page.evaluation), _pictures(page, ["confusion-matrix.png"])]
    return details("Metrics on the test rows", "\n\n".join(filter(None, parts)))


def _gate(evaluation: Mapping[str, Any]) -> str:
    verdict, checks = evaluation["verdict"], metric_tables.checks(evaluation)
    if not metric_tables.cannot_tell(evaluation):
        return "\n".join(["## Gate: " + text(verdict["status"]), "", *(checks or [text(verdict["reason"])])])
    return "\n".join(
        [
            "## Gate: cannot tell",
            "",
            *checks,
            "",
            f"The model is within the limits of {code(str(config.GATE))}. What {code('challenger')} asks to be shown "
            "cannot be shown, because columns of the champion were taken away. The champion stays unless a person "
            "decides otherwise; merging this is that decision.",
        ]
    )


def _pictures(page: Page, names: Iterable[str]) -> str:
    shown = [image(_IMAGES[name], page.pictures[name]) for name in names if name in page.pictures]
    return "\n".join(shown)


def _data(page: Page) -> _Section:
    record, window = page.record, page.record.data.window
    windows = page.evaluation["windows"]
    rows = [
        (name, _minute(part["start"]), _minute(part["end"]), f"{part['rows']:,}", f"{part['frauds']:,}")
        for name, part in sorted(windows.items(), key=lambda item: str(item[1]["start"]))  # in order of time
    ]
    rows.append(("all", "", "", f"{record.data.rows:,}", f"{record.data.frauds:,}"))
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
    parts = table(("part", "first", "last", "rows", "frauds"), rows, numbers=(3, 4))
    title = f"Data: {record.data.rows:,} rows, {record.data.frauds:,} frauds"
    origin = provenance_text.origin(record, signed=page.signed)
    return _Section(
        full=details(title, "\n\n".join([parts, requested, left_out, table(("input", "identity"), digests), *origin]))
    )


def _configuration(page: Page) -> _Section:
    title = "Configuration since the champion"
    if page.since is None:
        return _Section(full=f"{title}: no champion, this is the first proposed configuration.")
    command = code(f"git diff {page.since[:12]} {page.record.commit[:12]} -- {config.MODEL.parent}")
    if not page.configuration_diff.strip():
        return _Section(full=f"{title}: unchanged since {code(page.since[:12])}; only the data are new.")
    shown, omitted = _first_lines(page.configuration_diff, _DIFF_CHARACTERS)
    note = f"\n\n… and {omitted:,} more lines: {command}" if omitted else ""
    return _Section(full=details(title, f"{fence(shown, 'diff')}{note}"), short=f"{title}: too long to show, {command}")


def _why(page: Page) -> _Section:
    title = "## Reason"
    if page.asked:
        title += f"\n\nReason of the manual run: {text(page.asked)}"
    if not page.record.requests:
        return _Section(full=f"{title}\n\nStarted by a commit or a person; no retrain request was open.")
    ids = list(page.record.requests)
    parts, reasons = [], []
    for name in ids[:_MAX_REQUESTS]:
        request = page.requests.get(name)
        reason = text(request.reason) if request else "its file is not available"
        reasons.append(f"- {code(name)}: {reason}")
        parts.append(reasons[-1])
        if request:
            shown, omitted = _first_lines(config.dump(request), _EVIDENCE_CHARACTERS)
            note = f"\n\n… and {omitted:,} more lines in its file." if omitted else ""
            parts.append(details(f"Evidence of {name}", fence(shown, "yaml") + note))
    more = [f"and {len(ids) - _MAX_REQUESTS:,} more, listed in the record."] if len(ids) > _MAX_REQUESTS else []
    first = "Merging this resolves these retrain requests:"
    return _Section(
        full="\n\n".join([title, first, *parts, *more]), short="\n\n".join([title, first, "\n".join(reasons), *more])
    )


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


def _consequences(page: Page) -> str:
    record, serving = page.record, page.serving
    this = commit_messages.number(record.approval)
    former = commit_messages.number(serving.approval) if serving.approval is not None else None
    fleet = f"{serving.instance.count} × {code(serving.instance.type)}"
    fallback = f"approval {former} keeps serving" if former else "nothing serves, as before"
    rollback = (
        f"A rollback serves approval {former} again: {code('fraudops rollback')} opens a pull request that reverts "
        f"only the commit {code(f'Serve approval {this}')}. GitHub's Revert button would also delete the record; "
        "records are never deleted, so the check fails."
        if former
        else "A rollback is not possible yet: no model served before this one."
    )
    return "\n".join(
        [
            "## What merging does",
            "",
            f"1. {code('deploy.yml')} verifies the package and the digest above against the registry and approves only "
            f"that package; pending ones are rejected as superseded by {this}.",
            f"2. The endpoint {code(serving.endpoint)} {'is updated blue/green' if former else 'is created'} on "
            f"{fleet}, capturing {serving.capture.sampling_percentage} % of the requests.",
            f"3. A smoke test scores known transactions, and the deployment is recorded. If a step fails, the run "
            f"fails and {fallback}.",
            "",
            "Use a merge commit, do not squash: a rollback reverts one of the two commits. If another model is merged "
            "first, this comparison is outdated; the check fails and a new pull request replaces this one.",
            "",
            "## What reverting does",
            "",
            rollback,
        ]
    )


def _sources(page: Page) -> str:
    lines = [
        f"Execution {code(page.record.execution_arn)}",
        f"Evaluation {code(page.evaluation_uri)}",
        *([link("Workflow run", page.run_url)] if page.run_url else []),
    ]
    return "---\n\n" + "  \n".join(lines)


def _first_lines(content: str, limit: int) -> tuple[str, int]:
    """The first lines of `content` that fit in `limit` characters, and the number of omitted lines."""
    lines, kept, room = content.splitlines(), [], limit
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    if lines and not kept:
        kept = [lines[0][: limit - 1] + "…"]
    return "\n".join(kept), len(lines) - len(kept)


def _minute(moment: object) -> str:
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{parsed:%Y-%m-%d %H:%M}" if isinstance(parsed, datetime) else text(moment)
