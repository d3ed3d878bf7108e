"""Files are written as commits over REST."""

from __future__ import annotations

from typing import Any

import pytest
from rest_calls import refusal, request


def test_contents_are_written_as_commits(emulator: Any, clone: Any) -> None:
    """Each change is a commit and a push; a stale sha is 409, a missing one 422."""
    api = emulator.api()
    created = api.create_file("notes/a b.md", "Add", "one\n", branch="main")
    assert api.get_contents("notes/a b.md").decoded_content == b"one\n"
    assert created["commit"].author.name == "alice"
    refusal(lambda: api.create_file("notes/a b.md", "Again", "two\n"), 422)
    refusal(lambda: api.update_file("notes/a b.md", "Stale", "two\n", "0" * 40), 409)
    changed = api.update_file("notes/a b.md", "Change", "two\n", created["content"].sha)
    api.delete_file("notes/a b.md", "Remove", changed["content"].sha)
    refusal(lambda: api.get_contents("notes/a b.md"), 404)
    assert [event.payload["head_commit"]["message"] for event in emulator.named("push")] == ["Add", "Change", "Remove"]
    assert [item.path for item in api.get_contents("model-config")] == ["model-config/gate.yaml"]


@pytest.mark.parametrize("path", ["../x", "a/../../x", ".git/config", "a//b", "x/.git/hooks/update"])
def test_contents_refuse_paths_outside_the_tree(emulator: Any, clone: Any, path: str) -> None:
    """Git refuses such names in a tree, and so does the API."""
    token = emulator.token()
    status, _, _ = request(emulator, "PUT", f"/contents/{path}", {"message": "m", "content": "eA=="}, token)
    assert status in {404, 422}
    assert emulator.named("push") == []
