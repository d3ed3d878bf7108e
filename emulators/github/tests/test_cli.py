"""The command local-github."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from local_github.cli import main


def test_env_without_a_server_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the command that starts one."""
    assert main(["env", "--folder", str(tmp_path), "--wait", "0"]) == 1
    assert "start it with `local-github serve`" in capsys.readouterr().err


def test_serve_refuses_a_folder_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the address and the process of the running server."""
    state = {"pid": os.getpid(), "url": "http://127.0.0.1:1", "token": "x"}
    (tmp_path / "server.json").write_text(json.dumps(state), "utf-8")
    assert main(["serve", "--folder", str(tmp_path)]) == 1
    assert f"http://127.0.0.1:1, process {os.getpid()}" in capsys.readouterr().err


def test_env_prints_shell_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It exports the address and the token, and defines gh."""
    state = {"pid": os.getpid(), "url": "http://127.0.0.1:1", "token": "ghp_x"}
    (tmp_path / "server.json").write_text(json.dumps(state), "utf-8")
    assert main(["env", "--folder", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "export GITHUB_API_URL=http://127.0.0.1:1/api/v3" in lines
    assert "export GITHUB_TOKEN=ghp_x" in lines
    assert lines[-1].startswith("gh() { GH_HOST=github.localhost GH_TOKEN=ghp_x")
