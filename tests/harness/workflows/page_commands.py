"""Runs the commands of a page of docs/ on both emulators, and compares what they print with what the page quotes.

A page has numbered sections. A block `console` holds commands, one a line, which are run in order in a clone; a block
`text` quotes lines of what they print, where … stands for parts that are left out. A block `python` is one program.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from github import Auth, Github
from local_github.client_environment import for_gh, for_git

from ml.playground.emulators import Emulators
from tests.harness.workflows.environment import RUN_SECONDS

ROOT = Path(__file__).resolve().parents[3]
COMMAND_SECONDS = 900  # stops a command that hangs


@dataclass
class Section:
    """A section of a page: its commands, and the lines that it quotes."""

    title: str
    commands: list[str] = field(default_factory=list)
    quoted: list[str] = field(default_factory=list)


def sections(page: Path) -> dict[int, Section]:
    """The sections of `page` by their number; a command that ends in a backslash goes on in the next line."""
    found = {}
    for text in page.read_text("utf-8").split("\n## ")[1:]:
        number, _, title = text.partition("\n")[0].partition(". ")
        if not number.isdigit():
            continue
        section = Section(title=title)
        for kind, block in re.findall(r"^```(console|python|text)\n(.*?)^```", text, re.M | re.S):
            if kind == "python":
                section.commands.append(f"{sys.executable} - <<'END'\n{block}END")
                continue
            lines = re.sub(r"\\\n *", "", block).splitlines()
            (section.commands if kind == "console" else section.quoted).extend(lines)
        found[int(number)] = section
    return found


@dataclass
class Reader:
    """Somebody who follows a page: a clone, the emulators, and the words that replace what the page has in capitals.

    `skipped` are the beginnings of commands that are not run here.
    """

    emulators: Emulators
    clone: Path
    words: dict[str, str]
    page: Path
    repository: str
    reviewer: str
    skipped: tuple[str, ...] = ()

    def fill(self, line: str) -> str:
        """A line of the page with this reader's words."""
        for word, value in self.words.items():
            line = value.join(re.split(rf"(?<![A-Z_]){re.escape(word)}(?![A-Z_])", line))
        return line

    def run(self, line: str, *, expected: int = 0) -> str:
        """Runs a command of the page in the clone; returns what it prints."""
        github, token = self.emulators.github, self.emulators.token
        if line.startswith("gh "):
            login = self.reviewer if line.startswith("gh pr review") else self.repository.split("/", maxsplit=1)[0]
            special = for_gh(github.url, github.token(login))
        else:
            special = for_git(github.url, token) if line.startswith("git ") else {}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        who = {f"GIT_{role}_{part}": "x@x.invalid" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        done = subprocess.run(
            ["bash", "-c", self.fill(line)],
            cwd=self.clone,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "400", **who, **special},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == expected, f"{line}: {done.stdout}\n{done.stderr}"
        return f"{done.stdout}\n{done.stderr}"

    def approve_deployment(self) -> None:
        """Approves the deployment that waits for the environment's reviewer, as the button in the run's page does."""
        auth = Auth.Token(self.emulators.github.token(self.reviewer))
        repository = Github(base_url=self.emulators.github.api_url, auth=auth, retry=None).get_repo(self.repository)
        (run,) = repository.get_workflow_runs(status="waiting")
        _, (pending,) = repository.requester.requestJsonAndCheck("GET", f"{run.url}/pending_deployments")
        assert (Path(run.path).name, pending["environment"]["name"]) == ("deploy.yml", "production")
        body = {"environment_ids": [pending["environment"]["id"]], "state": "approved", "comment": ""}
        repository.requester.requestJsonAndCheck("POST", f"{run.url}/pending_deployments", input=body)
        self.emulators.actions.wait(RUN_SECONDS)

    def follow(self, number: int, *, codes: dict[str, int] | None = None, reviewed: bool = True) -> str:
        """Runs a section's commands, each with the runs that it starts, and checks that they print what it quotes.

        Args:
            codes: the expected exit code of commands that have these words; 0 for all others.
            reviewed: whether a merge starts a deployment that waits for a reviewer, who then approves it.
        """
        section, printed = sections(self.page)[number], []
        for line in section.commands:
            if line.startswith(self.skipped):
                continue
            expected = next((code for words, code in (codes or {}).items() if words in line), 0)
            printed.append(self.run(line, expected=expected))
            self.emulators.actions.wait(RUN_SECONDS)
            if reviewed and line.startswith("gh pr merge"):
                self.approve_deployment()
        text = [" ".join(line.split()) for line in "\n".join(printed).splitlines()]
        for quoted in section.quoted:
            if quoted.strip("… "):
                pattern = ".*".join(re.escape(" ".join(part.split())) for part in self.fill(quoted).split("…"))
                assert any(re.search(pattern, line) for line in text), f"{section.title}: {quoted!r} is not in {text}"
        return "\n".join(text)
