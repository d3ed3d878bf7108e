"""The text of an approval pull request: what merging does, the evidence, the next steps.

It is made of the record, the evaluation and the facts it is handed; it measures, decides and asks for nothing. Whatever
people wrote (reasons, evidence, configuration) is shown as words (markdown.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ml import config
from ml.gitops import comments, commit_messages, metric_tables
from ml.gitops.github_client import BODY_LIMIT
from ml.gitops.markdown import code, details, fence, image, link, table, text

_DIFF_LIMIT, _EVIDENCE_LIMIT, _REQUESTS_SHOWN = 20_000, 3_000, 8
REPLACES = "Takes the place of "
_PICTURES = {
    "confusion-matrix.png": "Confusion matrix on the test rows",
    "precision-recall.png": "Precision and recall on the test rows",
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step of the run cost; a step taken from the cache took no seconds."""

    name: str
    seconds: float
    instance_type: str
    instance_count: int = 1


@dataclass(frozen=True, kw_only=True)
class Approval:
    """What the text is made of.

    Args:
        serving: production.yaml as the base branch has it: what serves now, and on what.
        evaluation_uri: where evaluation.json lies.
        configuration_diff: unified diff of model-config/training/ from `since` to the record's commit; '' if none.
        since: the commit that the champion was trained from; None where there is no champion.
        requests: the retrain requests that the record resolves, by their ids.
        steps: the steps of the run; empty where they are not known.
        pictures: addresses by the names of the files that ml.report draws.
        commit_url, run_url: pages to link.
        asked: why somebody started the run by hand, in their words.
        replaces: numbers of the pull requests whose place this one takes.
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


@dataclass(frozen=True, kw_only=True)
class _Section:
    """A part of the text, and what stands for it where the whole would be too long for GitHub."""

    full: str
    short: str | None = None


def marker(approval: int) -> str:
    """The hidden line that an approval's text begins with."""
    return comments.hidden(f"approval {commit_messages.number(approval)}")


def approval(page: Approval) -> str:
    """The text of the pull request, no longer than GitHub takes: of what does not fit it says where to find it."""
    sections = [
        _Section(full=_summary(page)),
        _Section(full=_gate(page.evaluation)),
        _Section(full="## Metrics on the test rows\n\n" + metric_tables.metrics(page.evaluation)),
        _Section(full="## Against the champion\n\n" + metric_tables.champion(page.record, page.evaluation)),
        _Section(full="## Threshold and alerts\n\n" + metric_tables.alerts(page.evaluation)),
        _Section(full=_pictures(page)),
        _data(page),
        _configuration(page),
        _why(page),
        _Section(full=_cost(page.steps)),
        _Section(full=_consequences(page)),
        _Section(full=_sources(page)),
    ]
    return _fitted(sections)


def _fitted(sections: Iterable[_Section]) -> str:
    parts = [section for section in sections if section.full]
    texts = [part.full for part in parts]
    while comments.length("\n\n".join(texts)) > BODY_LIMIT:
        foldable = [i for i, part in enumerate(parts) if part.short is not None and texts[i] == part.full]
        if not foldable:
            break
        longest = max(foldable, key=lambda index: len(texts[index]))
        texts[longest] = parts[longest].short or ""
    return comments.fitted("\n\n".join(texts) + "\n")


def _summary(page: Approval) -> str:
    record, evaluation = page.record, page.evaluation
    former = page.serving.approval
    instead = (
        f"in place of approval {commit_messages.number(former)}" if former is not None else "where nothing served yet"
    )
    recall, alarms = (evaluation["metrics"].get(name, {}) for name in ("recall", "false_positive_rate"))
    return "\n".join(
        [
            marker(record.approval),
            f"**Merging this serves approval {commit_messages.number(record.approval)} "
            f"on {code(page.serving.endpoint)} {instead}.** "
            f"It finds {metric_tables.share(recall)} of the frauds and raises a false alarm on "
            f"{metric_tables.share(alarms)} of the legitimate transactions: {evaluation['positives']:,} frauds among "
            f"{evaluation['rows']:,} test rows.",
            *(["", f"{REPLACES}{', '.join(f'#{number}' for number in page.replaces)}."] if page.replaces else []),
        ]
    )


def _gate(evaluation: Mapping[str, Any]) -> str:
    verdict = evaluation["verdict"]
    checks = [f"- {'✅' if check['passed'] else '❌'} {text(check['detail'])}" for check in verdict["checks"]]
    return "\n".join(["## Gate: " + text(verdict["status"]), "", *(checks or [text(verdict["reason"])])])


def _pictures(page: Approval) -> str:
    shown = [image(words, page.pictures[name]) for name, words in _PICTURES.items() if name in page.pictures]
    return "\n".join(shown)


def _data(page: Approval) -> _Section:
    record, window = page.record, page.record.data.window
    windows = page.evaluation["windows"]
    rows = [
        (part, _moment(each["start"]), _moment(each["end"]), f"{each['rows']:,}", f"{each['frauds']:,}")
        for part, each in sorted(windows.items(), key=lambda item: str(item[1]["start"]))  # as time goes
    ]
    rows.append(("all", "", "", f"{record.data.rows:,}", f"{record.data.frauds:,}"))
    asked = (
        f"Window asked for: from {_moment(window.start) if window.start else 'the first row'} "
        f"to {_moment(window.end) if window.end else 'the last row'}."
    )
    digests = [
        ("model package", code(record.model_package_arn)),
        ("artifact", code(f"sha256:{record.artifact.sha256}")),
        ("data", code(f"sha256:{record.data.sha256}")),
        ("configuration", code(f"sha256:{record.config_sha256}")),
        ("trained from commit", link(code(record.commit), page.commit_url)),
    ]
    return _Section(
        full="\n\n".join(
            [
                "## Data",
                table(("rows to", "first", "last", "rows", "frauds"), rows, numbers=(3, 4)),
                asked,
                table(("what", "exactly"), digests),
            ]
        )
    )


def _configuration(page: Approval) -> _Section:
    title = "## Configuration since the champion"
    if page.since is None:
        return _Section(full=f"{title}\n\nNo champion: this is the first configuration that is proposed.")
    command = code(f"git diff {page.since[:12]} {page.record.commit[:12]} -- {config.MODEL.parent}")
    if not page.configuration_diff.strip():
        return _Section(full=f"{title}\n\nUnchanged since {code(page.since[:12])}: the data are what is new.")
    shown, left = _cut(page.configuration_diff, _DIFF_LIMIT)
    note = f"\n\n… and {left:,} more lines: {command}" if left else ""
    return _Section(full=f"{title}\n\n{fence(shown, 'diff')}{note}", short=f"{title}\n\nToo long to show: {command}")


def _why(page: Approval) -> _Section:
    title = "## Why now"
    if page.asked:
        title += f"\n\nIt was asked for with the words: {text(page.asked)}"
    if not page.record.requests:
        return _Section(full=f"{title}\n\nA commit or a person asked for it; no retrain request was open.")
    ids = list(page.record.requests)
    parts, brief = [], []
    for name in ids[:_REQUESTS_SHOWN]:
        request = page.requests.get(name)
        reason = text(request.reason) if request else "its file was not handed over"
        brief.append(f"- {code(name)}: {reason}")
        parts.append(brief[-1])
        if request:
            shown, left = _cut(config.dump(request), _EVIDENCE_LIMIT)
            note = f"\n\n… and {left:,} more lines in its file." if left else ""
            parts.append(details(f"Evidence of {name}", fence(shown, "yaml") + note))
    more = [f"and {len(ids) - _REQUESTS_SHOWN:,} more, named in the record."] if len(ids) > _REQUESTS_SHOWN else []
    first = "Merging this closes the retrain requests that it answers:"
    return _Section(
        full="\n\n".join([title, first, *parts, *more]), short="\n\n".join([title, first, "\n".join(brief), *more])
    )


def _cost(steps: Sequence[Step]) -> str:
    if not steps:
        return "## Cost of the run\n\nNot known: the run's steps were not handed over."
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
    return "\n\n".join(
        [
            "## Cost of the run",
            table(("step", "instance", "count", "seconds", "instance seconds"), rows, numbers=(2, 3, 4)),
            f"In all {spent or 'nothing: every step came from the cache'}. Prices are not known here, as they depend "
            "on region and contract: multiply by yours, per second of each instance.",
        ]
    )


def _consequences(page: Approval) -> str:
    record, serving = page.record, page.serving
    this = commit_messages.number(record.approval)
    former = commit_messages.number(serving.approval) if serving.approval is not None else None
    fleet = f"{serving.instance.count} × {code(serving.instance.type)}"
    keeps = f"approval {former} serves on" if former else "nothing serves, as before"
    back = (
        f"lets approval {former} serve again: {code('fraudops rollback')} prepares it as a pull request, which reverts "
        f"the commit {code(f'Serve approval {this}')} alone. GitHub's Revert button would take the record back too, "
        "and a record is never deleted: the check refuses that."
        if former
        else "is not possible yet: no model served before this one."
    )
    return "\n".join(
        [
            "## What merging does",
            "",
            f"1. {code('deploy.yml')} checks the package and the digest above against the registry, and approves that "
            f"package and no other; pending ones are rejected as superseded by {this}.",
            f"2. The endpoint {code(serving.endpoint)} {'is updated blue/green' if former else 'is created'} on "
            f"{fleet}, capturing {serving.capture.sampling_percentage} % of the requests.",
            f"3. Known transactions are scored, and the deployment is recorded. If any of this fails, the run fails "
            f"and {keeps}.",
            "",
            "Merge with a merge commit, not by squashing: a rollback reverts one of the two commits. If another model "
            "is merged first, this comparison no longer holds; the check fails and a new one takes its place.",
            "",
            "## What reverting does",
            "",
            f"Going back {back}",
        ]
    )


def _sources(page: Approval) -> str:
    lines = [
        f"Execution {code(page.record.execution_arn)}",
        f"Evaluation {code(page.evaluation_uri)}",
        *([link("The run that opened this", page.run_url)] if page.run_url else []),
    ]
    return "---\n\n" + "  \n".join(lines)


def _cut(content: str, limit: int) -> tuple[str, int]:
    """The first lines of `content` that fit, and how many were left off; a line that is too long alone is cut."""
    lines, kept, room = content.splitlines(), [], limit
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    if lines and not kept:
        kept = [lines[0][: limit - 1] + "…"]
    return "\n".join(kept), len(lines) - len(kept)


def _moment(moment: object) -> str:
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{found:%Y-%m-%d %H:%M}" if isinstance(found, datetime) else text(moment)
