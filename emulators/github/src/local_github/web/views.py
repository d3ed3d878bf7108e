"""Renders the pages from the records, for a running server and for an export."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from local_github.clock import to_utc
from local_github.domain import branch_protection, merge_queue
from local_github.domain.backend import Backend
from local_github.domain.events import RunView
from local_github.domain.pull_requests import merge_base, pull_of
from local_github.domain.records import Issue, Repository
from local_github.git.output_parser import Commit
from local_github.web import diff_parser, markdown
from local_github.web.urls import Site

_SHOWN_COMMITS = 250
_SHOWN_LOG_CHARACTERS = 200_000  # of a step; an export has the full log as a file


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("local_github.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["when"] = lambda moment: str(moment).replace("T", " ").removesuffix("Z") + " UTC"
    environment.filters["local_time"] = to_utc
    environment.globals["style"] = Markup(style())  # noqa: S704 - a file of this package
    return environment


@cache
def style() -> str:
    """The style sheet that every page contains."""
    loader = PackageLoader("local_github.web")
    environment = Environment(autoescape=False)  # noqa: S701 - a style sheet, not rendered
    return loader.get_source(environment, "style.css")[0]


@cache
def content_security_policy() -> str:
    """Forbids scripts, external resources and all styles but the own style sheet, by its digest."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src 'self'; style-src 'sha256-{digest}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True)
class Views:
    """Renders the pages of one emulator for one site."""

    backend: Backend
    site: Site

    def _render(self, template: str, repository: Repository | None = None, **values: Any) -> str:
        def text(source: str | None) -> Markup:
            assert repository is not None  # noqa: S101 - only pages of a repository contain Markdown
            rendered = markdown.render(source, lambda tag, address: self.site.address(repository, tag, address))
            return Markup(rendered)  # noqa: S704 - sanitised

        common = {"site": self.site, "repository": repository, "markdown": text, "page": self._pager(repository)}
        return _environment().get_template(template).render(**common, **values)

    def _pager(self, repository: Repository | None) -> Callable[..., str]:
        def page(kind: str = "", number: int | str | None = None) -> str:
            assert repository is not None  # noqa: S101 - only pages of a repository link to its pages
            return self.site.page(repository, kind, number)

        return page

    def home(self) -> str:
        """The list of repositories."""
        return self._render("home.html", repositories=list(self.backend.state.repositories.values()))

    def repository(self, repository: Repository) -> str:
        """A repository: branches, latest commits, README."""
        git, branch = repository.git, repository.default_branch
        tip = git.branch(branch)
        readme = git.show(tip, "README.md") if tip else None
        return self._render(
            "repository.html",
            repository,
            branches=git.refs(),
            commits=git.commits("--max-count=10", tip) if tip else [],
            readme=readme.decode("utf-8", "replace") if readme else None,
            clone=f"{self.backend.url}/{repository.full_name}.git",
        )

    def pulls(self, repository: Repository) -> str:
        """The list of pull requests."""
        return self._render("issues.html", repository, issues=repository.pulls(), kind="pull", title="Pull requests")

    def issues(self, repository: Repository) -> str:
        """The list of issues."""
        found = [issue for issue in reversed(repository.issues.values()) if issue.pull is None]
        return self._render("issues.html", repository, issues=found, kind="issue", title="Issues")

    def issue(self, repository: Repository, issue: Issue) -> str:
        """An issue."""
        return self._render("issue.html", repository, issue=issue, pull=None)

    def pull(self, repository: Repository, issue: Issue, token: str | None, message: str | None = None) -> str:
        """A pull request; `token` for the merge form, `message` about a failed merge."""
        pull, git = pull_of(issue), repository.git
        base = merge_base(repository, issue)
        commits = git.commits("--reverse", f"--max-count={_SHOWN_COMMITS}", f"{base}..{pull.head_sha}")
        jobs = [
            (run, job)
            for run in self.backend.run_source.runs_of(repository.full_name)
            if run.sha in {pull.head_sha, pull.merge_sha}
            for job in run.jobs
        ]
        known = {job.id for _, job in jobs}
        return self._render(
            "issue.html",
            repository,
            issue=issue,
            pull=pull,
            commits=commits,
            files=diff_parser.diff_files(git, base, pull.head_sha),
            statuses=branch_protection.latest_statuses(repository, pull.head_sha),
            checks=[check for check in repository.checks if check.sha == pull.head_sha and check.id not in known],
            jobs=jobs,
            queued=merge_queue.entry_of(repository, issue) is not None,
            token=token,
            message=message,
            user=self.backend.page_user,
        )

    def commit(self, repository: Repository, commit: Commit) -> str:
        """A commit and its changes."""
        git = repository.git
        start = commit.parents[0] if commit.parents else git.write_tree(None, [])
        files = diff_parser.diff_files(git, start, commit.sha)
        return self._render("commit.html", repository, commit=commit, files=files)

    def runs(self, repository: Repository) -> str:
        """The list of workflow runs."""
        runs: Sequence[RunView] = self.backend.run_source.runs_of(repository.full_name)
        return self._render("runs.html", repository, runs=runs)

    def run(self, repository: Repository, run: RunView) -> str:
        """A run: summary, jobs, steps, logs."""
        return self._render("run.html", repository, run=run, shown_characters=_SHOWN_LOG_CHARACTERS)
