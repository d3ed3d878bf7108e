"""Says why a run was started, for an approval's title and text: requests, a person's reason, changed settings.

Text that people wrote is escaped (ml.gitops.markdown_escaping), except in the title, which has none of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ml import config
from ml.gitops.markdown_escaping import code, details, fence, text
from ml.gitops.settings_changes import Change

_UNCHANGED: Mapping[config.RunKind, str] = {
    "fit": "only the data are new",
    "adapt": "the champion's part for known patterns is kept, and a part for new ones is fitted to new data",
    "drop": "the champion's part for new patterns is dropped, and the threshold is chosen again",
    "threshold": "nothing is fitted, and the threshold is chosen again on new data",
}
FITTED_DAYS = (
    "“Fitted on” counts the days from the onset to the last row that the part for new patterns was fitted on; the "
    "labelled rows after it have tested that part. Another adaptation is due when three times these days have passed "
    "since the onset: what it is fitted on is then twice as long."
)
"""What the days in the reason of another adaptation are of."""
_SINCE = re.compile(r"\bsince \d{4}-\d{2}-\d{2}\b")
_FITTED_DAYS = re.compile(r"\bwas fitted on \d+ days\b")
_EVIDENCE_CHARACTERS, _MAX_REQUESTS, _MAX_SETTINGS = 3_000, 8, 6


@dataclass(frozen=True, kw_only=True)
class SameCoefficients:
    """What a fit that gave the champion's coefficients again has in common with it besides them."""

    threshold: bool
    """Whether the score from which it alerts is the same."""
    code: bool
    """Whether every file of the archive's code/ is the same: the scorer and the parser of requests."""


def title(requests: Mapping[str, config.RetrainRequest], settings: Sequence[Change]) -> str:
    """The causes of the requests and the changed settings, in plain text; '' without either.

    The reason of a manual run is left out: GitHub makes a commit subject of a title, where `fixes #1` closes an issue.
    """
    causes = dict.fromkeys(request.cause.replace("-", " ") for request in requests.values())
    return ", ".join([*causes, *(change.words for change in settings)])


def same_model(champion: str, same: SameCoefficients) -> str:
    """That a fit gave the champion's coefficients again, as one sentence of Markdown.

    Args:
        champion: the number of its approval.
        same: what else is the same. Only with the threshold and the code is every decision.
    """
    first = f"⚠️ **Same coefficients as approval {champion}:** the rows and settings that decide them are the same."
    if same.threshold and same.code:
        return (
            f"{first} The threshold and the scoring code are the same too, so merging changes no score and no decision."
        )
    if same.threshold:
        return f"{first} The coefficients and the threshold are the same, the scoring code differs."
    return (
        f"{first} {'Only the threshold is another one.' if same.code else 'The threshold and the scoring code differ.'}"
    )


def unchanged(kind: config.RunKind) -> str:
    """What a run with the settings of the champion makes that is new."""
    return _UNCHANGED[kind]


def why(
    record: config.ApprovalRecord,
    requests: Mapping[str, config.RetrainRequest],
    *,
    asked: str,
    settings: Sequence[Change],
    first: bool,
    changed: bool,
) -> str:
    """The paragraph that says why, and which settings changed.

    Args:
        requests: those that the record resolves, by id, as far as their files are available.
        asked: the reason of a manual run.
        settings: those that differ from the champion's.
        first: whether there is no champion.
        changed: whether the configuration differs from the champion's at all.
    """
    ids = list(record.requests)
    parts = [f"{text(asked)} (reason of the manual run)."] if asked else []
    if not ids:
        parts += [] if asked else ["started by a commit or a person; no retrain request was open."]
        return f"**Why:** {' '.join([*parts, _settings(record.kind, settings, first=first, changed=changed)])}"
    parts.append("merging this resolves these retrain requests:")
    lines = [
        f"- {code(name)}: {text(requests[name].reason) if name in requests else 'its file is not available'}"
        for name in ids[:_MAX_REQUESTS]
    ]
    if len(ids) > _MAX_REQUESTS:
        lines.append(f"- and {len(ids) - _MAX_REQUESTS:,} more, listed in the record.")
    blocks = [f"**Why:** {' '.join(parts)}", "\n".join(lines)]
    reasons = [requests[name].reason for name in ids[:_MAX_REQUESTS] if name in requests]
    blocks += [" ".join(explained)] if (explained := explanations(reasons)) else []
    return "\n\n".join(
        [*blocks, *([_settings(record.kind, settings, first=first, changed=changed)] if settings else [])]
    )


def explanations(reasons: Iterable[str]) -> list[str]:
    """What the dates and days in the reasons of requests are of, as sentences; none if they name none."""
    found, said = list(reasons), []
    if any(_SINCE.search(reason) for reason in found):
        said.append(
            "A day after “since” is an estimate of when the new frauds began, made from the labels known at the "
            "time: other requests and earlier alarms may name another day."
        )
    if any(_FITTED_DAYS.search(reason) for reason in found):
        said.append(FITTED_DAYS)
    return said


def _settings(kind: config.RunKind, settings: Sequence[Change], *, first: bool, changed: bool) -> str:
    """Which settings changed since the champion, with both values."""
    if first:
        return "There is no champion."
    if settings:
        shown = ", ".join(code(change.words) for change in settings[:_MAX_SETTINGS])
        more = f", and {len(settings) - _MAX_SETTINGS:,} more (below)" if len(settings) > _MAX_SETTINGS else ""
        return f"Settings changed since the champion: {shown}{more}."
    if changed:
        return "The configuration changed since the champion (below)."
    return f"The settings are those of the champion; {unchanged(kind)}."


def evidence(record: config.ApprovalRecord, requests: Mapping[str, config.RetrainRequest]) -> str:
    """The files of the requests, folded; '' without any."""
    parts = []
    for name in list(record.requests)[:_MAX_REQUESTS]:
        if request := requests.get(name):
            shown, omitted = first_lines(config.dump(request), _EVIDENCE_CHARACTERS)
            note = f"\n\n… and {omitted:,} more lines in its file." if omitted else ""
            parts.append(details(f"Evidence of {name}", fence(shown, "yaml") + note))
    return "\n\n".join(parts)


def first_lines(content: str, limit: int) -> tuple[str, int]:
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
