"""Exports the pages as static files.

Images are copied beside the pages, logs are written in full as text files, and links point only to exported pages.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

from local_github.domain.backend import Backend
from local_github.domain.records import Repository
from local_github.web.raw_files import read_raw_address
from local_github.web.urls import ExportedSite
from local_github.web.views import Views


def write(backend: Backend, folder: Path, commits: Collection[str] = ()) -> list[Path]:
    """Writes <folder>/index.html, <owner>/<name>/*.html and run-N.log; returns the HTML files, the index first.

    Args:
        commits: commits to export as commit-<id>.html, in every repository that contains them.
    """
    with backend.lock():
        site = ExportedSite(folder, (backend.url, "http://github.localhost"), partial(read_raw_address, backend.state))
        views = Views(backend, site)
        repositories = list(backend.state.repositories.values())
        for repository in repositories:
            site.written |= {f"{repository.full_name}/{name}" for name in _file_names(backend, repository, commits)}
        written = [_write(folder / "index.html", views.home())]
        for repository in repositories:
            written += _write_repository(backend, views, repository, folder / repository.full_name, commits)
        return written


def _file_names(backend: Backend, repository: Repository, commits: Collection[str]) -> list[str]:
    name = ExportedSite.name
    numbered = [name("pull" if issue.pull else "issue", issue.number) for issue in repository.issues.values()]
    runs = [name("run", run.id) for run in backend.run_source.runs_of(repository.full_name)]
    commit_pages = [name("commit", commit) for commit in commits if repository.git.commit(commit)]
    return [name(""), name("pulls"), name("issues"), name("actions"), *numbered, *runs, *commit_pages]


def _write_repository(
    backend: Backend, views: Views, repository: Repository, at: Path, commits: Collection[str]
) -> list[Path]:
    name = ExportedSite.name
    written = [
        _write(at / name(""), views.repository(repository)),
        _write(at / name("pulls"), views.pulls(repository)),
        _write(at / name("issues"), views.issues(repository)),
        _write(at / name("actions"), views.runs(repository)),
    ]
    for issue in repository.issues.values():
        page = views.pull(repository, issue, None) if issue.pull else views.issue(repository, issue)
        written.append(_write(at / name("pull" if issue.pull else "issue", issue.number), page))
    for run in backend.run_source.runs_of(repository.full_name):
        written.append(_write(at / name("run", run.id), views.run(repository, run)))
        logs = [f"--- {job.name}: {job.conclusion or job.status}\n{job.log}" for job in run.jobs]
        _write(at / f"run-{run.id}.log", "\n".join(logs) + "\n")
    for sha in commits:
        commit = repository.git.commit(sha)
        if commit is not None:
            written.append(_write(at / name("commit", sha), views.commit(repository, commit)))
    return written


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
