"""The example of the README."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_readme_example_runs_the_workflow(tmp_path: Path) -> None:
    """The bash block pushes a workflow, shows the log of its run and the conclusion of its job."""
    (block,) = re.findall(r"^```bash\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    author = {f"GIT_{role}_{key}": "a@b" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    script = f"set -eo pipefail\ntrap 'kill %1; wait %1' EXIT\n{block}"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path), "GH_PROMPT_DISABLED": "1", "NO_COLOR": "1", **author},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert process.returncode == 0, process.stderr + process.stdout
    assert "hello from acme/demo" in process.stdout
    assert process.stdout.splitlines()[-1] == "success"
    assert not (tmp_path / ".local-github" / "server.json").exists()
