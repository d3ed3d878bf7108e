"""Extracts the reason of a failed job, and the log lines that add to it.

A failed job often reports its reason three times: as failure reason, in the log's last line and in a traceback.
"""

from __future__ import annotations

from difflib import SequenceMatcher

from ml import console
from ml.aws import executions
from ml.aws.executions import Step

_TAIL_LINES = 20
_ENDING_LINES = 3
_REASON_CHARACTERS = 400
_LINE_CHARACTERS = 160
_SAME_CHARACTERS = 40
"""Two texts with so many characters in common count as repetitions."""


def clipped(text: str, limit: int = _REASON_CHARACTERS) -> str:
    """`text` in at most `limit` characters, with an ellipsis if it was cut."""
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def log(step: Step, reason: str) -> str:
    """Prints the end of the log of `step`'s job, and returns its location, as a suffix of an error message.

    If the log does not repeat `reason`, the job did not give it (it was killed, for example), and the suffix contains
    the log's last lines.
    """
    if not step.job_arn:
        return ""
    lines = [" ".join(line.split()) for line in executions.log_tail(step.job_arn, _TAIL_LINES)]
    new = [line for line in lines if line and not _repeats(line, reason)]
    for line in new:
        console.note(f"  {step.name} │ {clipped(line, _LINE_CHARACTERS)}")
    place = f"; its log: {executions.log_place(step.job_arn)}"
    if not new or len(new) < len(lines):
        return place
    ending = " / ".join(clipped(line, _LINE_CHARACTERS) for line in new[-_ENDING_LINES:])
    return f"{place}, which ends: {ending}"


def _repeats(line: str, reason: str) -> bool:
    match = SequenceMatcher(None, line, reason, autojunk=False).find_longest_match()
    return match.size >= min(_SAME_CHARACTERS, len(line))
