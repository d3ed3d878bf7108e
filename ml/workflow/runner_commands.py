"""The workflow commands of GitHub Actions: outputs, step summary, annotations, and the event of the run.

Outside a workflow, outputs and summaries are dropped, annotations become plain lines, and there is no event. Verbs
branch on the event, never on whether a workflow runs them.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ml.errors import ConfigError

DEFAULT_BOTS = "github-actions[bot]"
SUMMARY_LIMIT = 1 << 20
"""GitHub's limit for one step summary, in bytes; it drops a longer one entirely."""
_CUT = "\n\n… cut off here: GitHub's length limit.\n"

Level = Literal["error", "warning", "notice"]


def running() -> bool:
    """Whether a workflow runs this. Use it for output formats only."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def output(**values: str) -> None:
    """Sets outputs of the step; values may contain any text."""
    file = os.environ.get("GITHUB_OUTPUT")
    if not file:
        return
    with Path(file).open("a", encoding="utf-8") as stream:
        for name, value in values.items():
            # A random delimiter, so that an untrusted value cannot end its entry and start another.
            end = f"end-{secrets.token_hex(16)}"
            stream.write(f"{name}<<{end}\n{value}\n{end}\n")


def summary(markdown: str) -> None:
    """Appends `markdown` to the step summary, truncated at a line end to GitHub's size limit."""
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if not file:
        return
    with Path(file).open("ab") as stream:
        room = SUMMARY_LIMIT - stream.tell()
        text = (markdown.rstrip("\n") + "\n\n").encode("utf-8", "replace")
        if len(text) > room:
            kept = text[: max(0, room - len(_CUT.encode()))]
            text = kept[: kept.rfind(b"\n") + 1] + _CUT.encode() if kept else b""
        stream.write(text)


def annotate(level: Level, message: str, *, file: str | Path | None = None, line: int | None = None) -> str:
    """The line that makes GitHub show `message` beside `file`; outside a workflow the same as plain text."""
    if not running():
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        # Most messages already start with their file.
        return f"{level}: {where}{' '.join(message.removeprefix(f'{file}:').split())}"
    properties = {"file": str(file) if file else None, "line": str(line) if line else None}
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level}{' ' if given else ''}{given}::{_data(message)}"


def event() -> Mapping[str, Any]:
    """The payload of the event that started the run; empty if there is none. ConfigError if it is not JSON."""
    file = os.environ.get("GITHUB_EVENT_PATH")
    if not file:
        return {}
    try:
        payload = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: GITHUB_EVENT_PATH must name the event's JSON ({error})") from error
    if not isinstance(payload, dict):
        raise ConfigError(f"{file}: the event must be a JSON object (got {type(payload).__name__})")
    return payload


def bots() -> frozenset[str]:
    """The logins under which the bot works here: FRAUDOPS_BOTS, separated by spaces, or the workflow token's own."""
    return frozenset((os.environ.get("FRAUDOPS_BOTS") or DEFAULT_BOTS).split())


def run_url() -> str | None:
    """The page of the run; None outside a workflow."""
    server, repository, run = (os.environ.get(f"GITHUB_{key}") for key in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else None


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
