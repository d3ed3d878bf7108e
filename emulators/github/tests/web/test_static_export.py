"""The static export of the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pages import Runs, Tags


def test_export_links_are_complete(emulator: Any, clone: Any, branch: Any, tmp_path: Path) -> None:
    """Every link points to an exported file; images are copied; logs are text."""
    clone.commit({"curve.png": "not really"})
    clone.push("main")
    sha = branch("topic")
    base = emulator.github.url
    body = f"![c]({base}/acme/fraud/raw/main/curve.png) ![gone]({base}/acme/fraud/raw/main/absent.png) #1 #2 #9 [run]({base}/acme/fraud/actions/runs/41) [out](https://example.invalid/) [root]({base})"  # noqa: E501
    emulator.api().create_pull(base="main", head="topic", title="T", body=body)
    emulator.api().create_issue("Issue")
    emulator.github.backend.run_source = Runs(sha)
    written = emulator.github.export(tmp_path / "demo")
    assert (tmp_path / "demo" / "acme" / "fraud" / "run-41.log").read_text().startswith("--- train: failure")
    names = {path.relative_to(tmp_path / "demo").as_posix() for path in written}
    assert {"index.html", "acme/fraud/pull-1.html", "acme/fraud/issue-2.html", "acme/fraud/run-41.html"} <= names
    for path in written:
        page = path.read_text()
        assert "<form" not in page
        for tag, attributes in Tags(page).found:
            for name in ("href", "src"):
                target = attributes.get(name)
                if target and target != "https://example.invalid/":
                    assert (path.parent / target).is_file(), (path, tag, target)
    pull = (tmp_path / "demo" / "acme" / "fraud" / "pull-1.html").read_text()
    assert 'href="issue-2.html"' in pull
    assert 'href="run-41.html"' in pull
    assert 'src="images/' in pull
