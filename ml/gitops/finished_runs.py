"""Reads a finished workflow run of GitHub Actions, its jobs, and what its commit changes. Writes nothing.

What a run's own steps say is not read: a branch can change its workflow files. GitHub itself names the file, the event
and the result of each job, and compares trees.

Source: GitHub REST API, "Workflow runs", "Workflow jobs", "Compare two commits", "Git trees", "Pull request reviews".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from ml.gitops.github_client import GitHub

if TYPE_CHECKING:
    from github.Repository import Repository

_MAY_WRITE = ("admin", "write")
"""What GitHub calls the permission of a collaborator who may push; `maintain` is among `write` there."""


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A run of a workflow. `jobs` is each job's conclusion by its name; for a run that has not ended it is partial."""

    id: int
    url: str
    path: str
    """The workflow file, as .github/workflows/ci.yml."""
    event: str
    branch: str
    sha: str
    """The head commit; for a pull request that of its branch."""
    ended: bool
    fork: bool
    jobs: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class OpenPull:
    """An open pull request into main."""

    number: int
    author: str
    sha: str


def read(github: GitHub, run: int) -> FinishedRun:
    """The latest attempt of a run.

    Raises:
        GitHubError: there is no such run, or the token may not read it.
    """

    def operation(repository: Repository) -> FinishedRun:
        request, url = repository.requester.requestJsonAndCheck, f"{repository.url}/actions/runs/{run}"
        _, found = request("GET", url)
        jobs: dict[str, str] = {}
        page = 1
        while True:
            _, listed = request("GET", f"{url}/jobs?filter=latest&per_page=100&page={page}")
            jobs.update({str(job["name"]): str(job["conclusion"] or job["status"]) for job in listed["jobs"]})
            if not listed["jobs"] or len(jobs) >= int(listed["total_count"]):
                break
            page += 1
        head = found.get("head_repository") or {}
        return FinishedRun(
            id=run,
            url=str(found["html_url"]),
            path=str(found["path"]).partition("@")[0],
            event=str(found["event"]),
            branch=str(found["head_branch"]),
            sha=str(found["head_sha"]),
            ended=found["status"] == "completed",
            fork=str(head.get("full_name", "")).lower() != github.repository.lower(),
            jobs=jobs,
        )

    return github.run(f"reading run {run}", operation)


def job_names(workflow: str) -> dict[str, str]:
    """The id of each job of a workflow file by the name that GitHub shows; for jobs without a matrix."""
    jobs: Mapping[str, Mapping[str, Any]] = yaml.safe_load(workflow)["jobs"]
    return {str(job.get("name", identifier)): identifier for identifier, job in jobs.items()}


def changed_entries(github: GitHub, sha: str, *, base: str = "main") -> set[str]:
    """The names in the repository's root that differ between `sha` and where it left `base`; files and folders.

    They come from tree ids, not from a list of files, which GitHub ends at 300.
    """

    def operation(repository: Repository) -> set[str]:
        request = repository.requester.requestJsonAndCheck
        _, compared = request("GET", f"{repository.url}/compare/{base}...{sha}?per_page=1")
        before, after = (_root(repository, commit) for commit in (str(compared["merge_base_commit"]["sha"]), sha))
        return {name for name in before | after if before.get(name) != after.get(name)}

    return github.run(f"comparing {sha[:12]} with {base}", operation)


def is_on_main(github: GitHub, sha: str) -> bool:
    """Whether a commit is main's tip or one of its ancestors."""

    def operation(repository: Repository) -> bool:
        _, compared = repository.requester.requestJsonAndCheck(
            "GET", f"{repository.url}/compare/main...{sha}?per_page=1"
        )
        return int(compared["ahead_by"]) == 0

    return github.run(f"looking for {sha[:12]} on main", operation)


def entry(github: GitHub, commit: str, name: str) -> str | None:
    """The id of a file or folder of the repository's root in a commit or branch; None if there is none."""
    return github.run(f"reading {name} of {commit[:12]}", lambda repository: _root(repository, commit).get(name))


def open_pull(github: GitHub, branch: str) -> OpenPull | None:
    """The open pull request of a branch of this repository into main; None if there is none."""

    def operation(repository: Repository) -> OpenPull | None:
        pulls = repository.get_pulls(state="open", base="main", head=f"{github.owner}:{branch}")
        for pull in pulls:
            if pull.head.ref == branch and pull.head.repo.full_name.lower() == github.repository.lower():
                return OpenPull(number=pull.number, author=pull.user.login, sha=pull.head.sha)
        return None

    return github.run(f"looking for the pull request of {branch}", operation)


def approvers(github: GitHub, pull: OpenPull) -> list[str]:
    """The people with write access, other than the author, whose latest review approves exactly the head commit."""

    def operation(repository: Repository) -> list[str]:
        url = f"{repository.url}/pulls/{pull.number}/reviews?per_page=100"
        latest: dict[str, Mapping[str, Any]] = {}
        page = 1
        while True:
            _, reviews = repository.requester.requestJsonAndCheck("GET", f"{url}&page={page}")
            for review in reviews:
                if review.get("user") and review["state"] in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
                    latest[str(review["user"]["login"])] = review
            if len(reviews) < 100:
                break
            page += 1
        return sorted(
            login
            for login, review in latest.items()
            if review["state"] == "APPROVED"
            and review["commit_id"] == pull.sha
            and review["user"]["type"] == "User"
            and login != pull.author
            and _may_write(repository, login)
        )

    return github.run(f"reading the reviews of #{pull.number}", operation)


def _may_write(repository: Repository, login: str) -> bool:
    _, found = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/collaborators/{login}/permission")
    return found["permission"] in _MAY_WRITE


def _root(repository: Repository, commit: str) -> dict[str, str]:
    _, found = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/git/trees/{commit}")
    return {str(item["path"]): str(item["sha"]) for item in found["tree"]}
