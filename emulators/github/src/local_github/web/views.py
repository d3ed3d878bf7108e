"""Pages from records: what each template is given, and nothing else. The same for a running server and an export."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from local_github.api.shapes import utc
from local_github.domain import branch_protection
from local_github.domain.events import RunView
from local_github.domain.pull_requests import pull_of
from local_github.domain.state import Issue, Repository
from local_github.git.bare_repository import Commit
from local_github.web import diffs, markdown
from local_github.web.urls import Site

if TYPE_CHECKING:
    from local_github.server import LocalGitHub

_MOST_COMMITS = 250
_MOST_LOG = 200_000  # characters of a step's log on a page; the file beside it has all


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
    environment.filters["local_time"] = utc
    environment.globals["style"] = Markup(style())  # noqa: S704 - our own file
    return environment


@cache
def style() -> str:
    """The one style sheet, which every page carries."""
    loader = PackageLoader("local_github.web")
    environment = Environment(autoescape=False)  # noqa: S701 - a style sheet, read and not rendered
    return loader.get_source(environment, "style.css")[0]


@cache
def content_security_policy() -> str:
    """Nothing from elsewhere, no script, and only our own style sheet, by its digest."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; img-src 'self'; style-src 'sha256-{digest}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


@dataclass(frozen=True)
class Views:
    """Renders the pages of one server for one kind of site."""

    github: LocalGitHub
    site: Site

    def _render(self, template: str, repository: Repository | None = None, **values: Any) -> str:
        def text(source: str | None) -> Markup:
            assert repository is not None  # noqa: S101 - only pages of a repository have Markdown
            rendered = markdown.render(source, lambda tag, address: self.site.address(repository, tag, address))
            return Markup(rendered)  # noqa: S704 - sanitised

        common = {"site": self.site, "repository": repository, "markdown": text, "page": self._pager(repository)}
        return _environment().get_template(template).render(**common, **values)

    def _pager(self, repository: Repository | None) -> Callable[..., str]:
        def page(kind: str = "", number: int | str | None = None) -> str:
            assert repository is not None  # noqa: S101 - only pages of a repository link to its others
            return self.site.page(repository, kind, number)

        return page

    def home(self) -> str:
        """The list of repositories."""
        return self._render("home.html", repositories=list(self.github.state.repositories.values()))

    def repository(self, repository: Repository) -> str:
        """A repository: its branches, its last commits, what it says of itself."""
        git, branch = repository.git, repository.default_branch
        tip = git.branch(branch)
        readme = git.show(tip, "README.md") if tip else None
        return self._render(
            "repository.html",
            repository,
            branches=git.refs(),
            commits=git.commits("--max-count=10", tip) if tip else [],
            readme=readme.decode("utf-8", "replace") if readme else None,
            clone=f"{self.github.url}/{repository.full_name}.git",
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

    def pull(self, repository: Repository, issue: Issue, token: str | None, said: str | None = None) -> str:
        """A pull request; `token` for the merge button's form, `said` = what became of an attempt to merge."""
        pull, git = pull_of(issue), repository.git
        base = git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
        commits = git.commits("--reverse", f"--max-count={_MOST_COMMITS}", f"{base}..{pull.head_sha}")
        jobs = [
            (run, job)
            for run in self.github.run_source.runs_of(repository.full_name)
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
            files=diffs.files(git, base, pull.head_sha),
            statuses=branch_protection.latest(repository, pull.head_sha),
            checks=[check for check in repository.checks if check.sha == pull.head_sha and check.id not in known],
            jobs=jobs,
            token=token,
            said=said,
            user=self.github.user,
        )

    def commit(self, repository: Repository, commit: Commit) -> str:
        """A commit and what it changed."""
        git = repository.git
        start = commit.parents[0] if commit.parents else git.write_tree(None, [])
        return self._render("commit.html", repository, commit=commit, files=diffs.files(git, start, commit.sha))

    def runs(self, repository: Repository) -> str:
        """The list of workflow runs."""
        runs: Sequence[RunView] = self.github.run_source.runs_of(repository.full_name)
        return self._render("runs.html", repository, runs=runs)

    def run(self, repository: Repository, run: RunView) -> str:
        """A run: its summary, its jobs, their steps with logs."""
        return self._render("run.html", repository, run=run, most=_MOST_LOG)
