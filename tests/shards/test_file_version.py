"""The version of a job's files changes with their form, and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ml.model.drift.window_counts import WindowSummary
from ml.shards import file_version
from ml.steps import id_index
from tests.spark import captured_window


def test_version_is_that_of_the_form(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for other instances; another one for other columns, another hash of ids, another summary."""
    request = captured_window.requested(bucket)
    version = file_version.of(request)
    assert file_version.of(replace(request, instances=7, labels=())) == version
    assert file_version.of(replace(request, model=replace(request.model, amount=None))) != version
    hashes, form = id_index.text_hashes, WindowSummary.to_dict

    def other(summary: WindowSummary) -> dict[str, Any]:
        return form(summary) | {"more": 1}

    with monkeypatch.context() as patch:
        patch.setattr(id_index, "text_hashes", lambda texts: hashes(texts) + 1)
        assert file_version.of(request) != version
    with monkeypatch.context() as patch:
        patch.setattr(WindowSummary, "to_dict", other)
        assert file_version.of(request) != version
