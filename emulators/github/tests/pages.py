"""Parsed pages and a fixed workflow run, for tests of the web pages."""

from __future__ import annotations

from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


class Tags(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def dangerous(self) -> list[Any]:
        """Tags and attributes that could run scripts or load external resources."""
        return [
            (tag, attributes)
            for tag, attributes in self.found
            if tag in {"script", "iframe", "object", "embed", "base", "link", "svg"}
            or any(name.startswith("on") for name in attributes)
            or any(
                str(attributes.get(name) or "").strip().lower().startswith(("javascript:", "data:", "vbscript:"))
                for name in ("href", "src", "action")
            )
        ]


class Runs:
    """A run source with two runs."""

    def __init__(self, sha: str) -> None:
        step = SimpleNamespace(name="model <train>", status="completed", conclusion="failure", log=EVIL)
        job = SimpleNamespace(id=7, name="train", status="completed", conclusion="failure", steps=[step], log=EVIL)
        run = {"number": 1, "attempt": 2, "workflow": "train", "title": EVIL, "event": "push", "sha": sha,
               "branch": "main", "actor": "alice", "status": "completed", "conclusion": "failure", "message": "",
               "jobs": [job], "summary": f"# Gate failed\n\n{EVIL}", "created": "2026-03-01T00:00:00Z",
               "updated": "2026-03-01T00:00:00Z"}  # fmt: skip
        self.runs = [SimpleNamespace(id=41, **run), SimpleNamespace(id=40, **(run | {"jobs": []}))]

    def runs_of(self, repository: str) -> list[Any]:
        """Returns all runs."""
        return self.runs
