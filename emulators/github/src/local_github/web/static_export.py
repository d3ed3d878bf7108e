"""The pages as files that need no server: for a demo's folder, a report, an attachment.

Pictures are copied beside the pages, logs are whole as text files; links lead to exported pages only.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from local_github.domain.state import Repository
from local_github.web.routes import read_raw
from local_github.web.urls import Exported
from local_github.web.views import Views

if TYPE_CHECKING:
    from local_github.server import LocalGitHub


def write(github: LocalGitHub, folder: Path, commits: Collection[str] = ()) -> list[Path]:
    """Writes <folder>/index.html and <owner>/<name>/*.html, run-N.log; gives the HTML files, the index first.

    Args:
        commits: ids of commits that get a page too, commit-<id>.html, in every repository that has them.
    """
    with github.lock():
        site = Exported(folder, (github.url, "http://github.localhost"), lambda path: _raw(github, path))
        views = Views(github, site)
        repositories = list(github.state.repositories.values())
        for repository in repositories:
            site.written |= {f"{repository.full_name}/{name}" for name in _names(github, repository, commits)}
        written = [_file(folder / "index.html", views.home())]
        for repository in repositories:
            written += _repository(github, views, repository, folder / repository.full_name, commits)
        return written


def _names(github: LocalGitHub, repository: Repository, commits: Collection[str]) -> list[str]:
    name = Exported.name
    numbered = [name("pull" if issue.pull else "issue", issue.number) for issue in repository.issues.values()]
    runs = [name("run", run.id) for run in github.run_source.runs_of(repository.full_name)]
    shown = [name("commit", commit) for commit in commits if repository.git.commit(commit)]
    return [name(""), name("pulls"), name("issues"), name("actions"), *numbered, *runs, *shown]


def _repository(
    github: LocalGitHub, views: Views, repository: Repository, at: Path, commits: Collection[str]
) -> list[Path]:
    name = Exported.name
    written = [
        _file(at / name(""), views.repository(repository)),
        _file(at / name("pulls"), views.pulls(repository)),
        _file(at / name("issues"), views.issues(repository)),
        _file(at / name("actions"), views.runs(repository)),
    ]
    for issue in repository.issues.values():
        page = views.pull(repository, issue, None) if issue.pull else views.issue(repository, issue)
        written.append(_file(at / name("pull" if issue.pull else "issue", issue.number), page))
    for run in github.run_source.runs_of(repository.full_name):
        written.append(_file(at / name("run", run.id), views.run(repository, run)))
        logs = [f"--- {job.name}: {job.conclusion or job.status}\n{job.log}" for job in run.jobs]
        _file(at / f"run-{run.id}.log", "\n".join(logs) + "\n")
    for sha in commits:
        commit = repository.git.commit(sha)
        if commit is not None:
            written.append(_file(at / name("commit", sha), views.commit(repository, commit)))
    return written


def _file(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _raw(github: LocalGitHub, path: str) -> bytes | None:
    """The bytes of a raw file's address: /raw/<owner>/<name>/<ref>/<path> or /<owner>/<name>/raw/<ref>/<path>."""
    parts = unquote(urlsplit(path).path).strip("/").split("/")
    if len(parts) < 5 or "raw" not in (parts[0], parts[2]):
        return None
    owner, name = parts[1:3] if parts[0] == "raw" else parts[:2]
    repository = github.state.find(owner, name)
    found = read_raw(repository, "/".join(parts[3:])) if repository else None
    return found[1] if found else None
