"""Routes of files and history: contents, commits, comparisons, branch merges."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from local_github.api.rest import request_fields
from local_github.api.rest.git_database import decode_base64, person_field
from local_github.api.router import ApiResponse, Call
from local_github.domain import branch_protection, pushes
from local_github.domain.records import Repository
from local_github.errors import ApiError, invalid, not_found
from local_github.git.bare_repository import GitFailed, RefMoved
from local_github.git.output_parser import ZERO, Entry
from local_github.serializers import issues as serialize_issues

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>"
_LISTED_FILES = 300  # GitHub's limit for a commit or comparison


def revision(call: Call, name: str | None = None) -> str:
    """The commit of `name`, of the query's `ref`, or of the default branch; 404 if there is none."""
    repository = call.repository
    wanted = name or call.query.get("ref") or repository.default_branch
    sha = repository.git.branch(wanted) or repository.git.resolve(wanted)
    if sha is None:
        raise ApiError(404, f"No commit found for the ref {wanted}")
    return sha


def _entry_json(call: Call, ref: str, entry: Entry) -> Json:
    serializer, repository = call.serializer, call.repository
    path = quote(entry.path)
    kind = {"blob": "file", "tree": "dir", "commit": "submodule"}[entry.kind]
    at = serializer.api_url(repository, f"/contents/{path}?ref={quote(ref, safe='')}")
    return {
        "type": kind,
        "name": entry.path.rpartition("/")[2],
        "path": entry.path,
        "sha": entry.sha,
        "size": entry.size or 0,
        "url": at,
        "git_url": serializer.api_url(repository, f"/git/{entry.kind}s/{entry.sha}"),
        "html_url": serializer.page_url(repository, f"/blob/{ref}/{path}"),
        "download_url": serializer.page_url(repository, f"/raw/{ref}/{path}") if kind == "file" else None,
        "_links": {"self": at},
    }


def _get(call: Call) -> Any:
    repository = call.need("contents", "read")
    sha, ref = revision(call), call.query.get("ref") or call.repository.default_branch
    path = call.params.get("path", "").strip("/")
    entry = repository.git.entry(sha, path) if path else None
    if entry and entry.kind == "blob":
        data = repository.git.run("cat-file", "blob", entry.sha)
        if "raw" in call.request.headers.get("Accept", ""):
            return ApiResponse(body=data, content_type="application/vnd.github.raw; charset=utf-8")
        content = {"encoding": "base64", "content": base64.encodebytes(data).decode()}
        return _entry_json(call, ref, entry) | content
    listed = repository.git.folder(sha, path)
    if not listed and path:
        raise not_found()
    return [_entry_json(call, ref, item) for item in listed]


def _put(call: Call) -> ApiResponse:
    content = call.body.get("content")
    if not isinstance(content, str):
        raise invalid("Contents", "content", "missing_field")
    return _write(call, decode_base64(content))


def _delete(call: Call) -> ApiResponse:
    request_fields.text(call, "Contents", "sha")
    return _write(call, None)


def _write(call: Call, data: bytes | None) -> ApiResponse:
    """Commits a file's new bytes, or its removal if `data` is None, to a branch."""
    repository, git, path = call.need("contents"), call.repository.git, call.params["path"]
    message = request_fields.text(call, "Contents", "message")
    branch = request_fields.optional(call, "Contents", "branch") or repository.default_branch
    tip = git.branch(branch)
    if tip is None and git.refs():
        raise ApiError(404, f"Branch {branch} not found")
    before, known = git.entry(tip, path) if tip else None, request_fields.optional(call, "Contents", "sha")
    if before is None and (data is None or known):
        raise not_found()
    if before and not known:
        raise ApiError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if before and known != before.sha:
        raise ApiError(409, f"{path} does not match {known}")
    entry = ("100644", git.write_blob(data), path) if data is not None else ("0", ZERO, path)
    try:
        tree = git.write_tree(tip, [entry])
    except GitFailed:
        raise ApiError(422, "path contains a malformed path component") from None
    principal = call.caller
    author = person_field(call, "author") or person_field(call, "committer") or call.state.author(principal.login)
    committer = person_field(call, "committer") or call.state.github_person()
    sha = git.write_commit(tree, [tip] if tip else [], message, author=author, committer=committer)
    branch_protection.check_direct(call.state, repository, branch, principal, sha)
    _advance(call, repository, branch, tip or ZERO, sha)
    commit = git.commit(sha)
    assert commit is not None  # noqa: S101 - it was just written
    after = git.entry(sha, path)
    body = _entry_json(call, branch, after) if after else None
    body = {"content": body, "commit": call.serializer.git_commit(repository, commit)}
    return ApiResponse(status=200 if before else 201, body=body)


def _advance(call: Call, repository: Repository, branch: str, before: str, after: str) -> None:
    """Updates a branch and records the push; 409 if the branch moved meanwhile."""
    try:
        repository.git.update(f"refs/heads/{branch}", after, before)
    except RefMoved:
        raise ApiError(409, f"{branch} is at another commit than expected") from None
    pushes.record(call.emitter, repository, pushes.RefUpdate(f"refs/heads/{branch}", before, after), call.caller)


# -- history


def _commits(call: Call) -> list[Json]:
    repository, serializer = call.need("contents", "read"), call.serializer
    query = call.query
    if not repository.git.refs():
        raise ApiError(409, "Git Repository is empty.")
    options = [f"--{name}={query[name]}" for name in ("since", "until", "author") if query.get(name)]
    path = [f":(literal){query['path']}"] if query.get("path") else []
    commits = repository.git.commits(*options, revision(call, query.get("sha")), "--", *path)
    return [serializer.commit(repository, commit) for commit in call.page(commits)]


def _commit(call: Call) -> Any:
    repository, serializer = call.need("contents", "read"), call.serializer
    sha = revision(call, call.params["ref"])
    if "sha" in call.request.headers.get("Accept", "").partition("vnd.github")[2]:
        return ApiResponse(body=sha, content_type="application/vnd.github.sha; charset=utf-8")
    commit = repository.git.commit(sha)
    assert commit is not None  # noqa: S101 - it was just resolved
    start = commit.parents[0] if commit.parents else repository.git.write_tree(None, [])
    files = _files(call, repository, start, sha)
    return serializer.commit(repository, commit) | {"files": files, "stats": _stats(files)}


def _stats(files: list[Json]) -> Json:
    added, deleted = sum(file["additions"] for file in files), sum(file["deletions"] for file in files)
    return {"additions": added, "deletions": deleted, "total": added + deleted}


def _files(call: Call, repository: Repository, before: str, after: str) -> list[Json]:
    git = repository.git
    serializer = call.serializer
    return serializer.files(repository, git.changes(before, after), git.patches(before, after), after)[:_LISTED_FILES]


def _pulls_of_commit(call: Call) -> list[Json]:
    repository, serializer = call.need("pull-requests", "read"), call.serializer
    sha = revision(call, call.params["ref"])
    git = repository.git
    found = [
        issue
        for issue in repository.pulls()
        if (issue.pull and (issue.pull.merge_sha == sha and issue.pull.merged))
        or (issue.pull and git.is_ancestor(sha, issue.pull.head_sha) and not git.is_ancestor(sha, issue.pull.base_sha))
    ]
    return [serialize_issues.pull_request(serializer, repository, issue, full=False) for issue in call.page(found)]


def _compare(call: Call) -> Json:
    repository, serializer = call.need("contents", "read"), call.serializer
    first, dots, second = call.params["basehead"].partition("...")
    if not dots:
        raise not_found()
    base, head = (_comparison_end(call, name) for name in (first, second))
    git = repository.git
    start = git.merge_base(base, head)
    if start is None:
        raise ApiError(404, f"No common ancestor between {first} and {second}.")
    ahead, behind = git.count(f"{base}..{head}"), git.count(f"{head}..{base}")
    status = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}.get(
        (ahead > 0, behind > 0), "identical"
    )
    commits = git.commits("--reverse", f"{base}..{head}")
    ends = [git.commit(sha) for sha in (base, start)]
    return {
        "url": serializer.api_url(repository, f"/compare/{first}...{second}"),
        "html_url": serializer.page_url(repository, f"/compare/{first}...{second}"),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "base_commit": serializer.commit(repository, ends[0]) if ends[0] else None,
        "merge_base_commit": serializer.commit(repository, ends[1]) if ends[1] else None,
        "commits": [serializer.commit(repository, commit) for commit in call.page(commits)],
        "files": _files(call, repository, start, head),
    }


def _comparison_end(call: Call, name: str) -> str:
    owner, colon, branch = name.rpartition(":")
    if not colon or owner.lower() == call.repository.owner.lower():
        return revision(call, branch)
    for other in call.state.repositories.values():
        tip = other.git.branch(branch)
        if (
            other.owner.lower() == owner.lower()
            and other.parent == call.repository.full_name
            and tip
            and call.can_see(other)
        ):
            call.repository.git.run("fetch", "--quiet", "--no-tags", str(other.git.path), tip)
            return tip
    raise not_found()


def _merge(call: Call) -> Any:
    """POST /merges: merges one branch into another with a merge commit."""
    repository, git = call.need("contents"), call.repository.git
    base = request_fields.text(call, "Merge", "base")
    tip, head = git.branch(base), git.resolve(request_fields.text(call, "Merge", "head"))
    if tip is None or head is None:
        raise ApiError(404, "Base does not exist" if tip is None else "Head does not exist")
    if git.is_ancestor(head, tip):
        return None
    tree = git.merged_tree(tip, head)
    if tree is None:
        raise ApiError(409, "Merge conflict")
    principal = call.caller
    message = request_fields.optional(call, "Merge", "commit_message") or f"Merge {call.body['head']} into {base}"
    author = call.state.author(principal.login)
    sha = git.write_commit(tree, (tip, head), message, author=author, committer=call.state.github_person())
    branch_protection.check_direct(call.state, repository, base, principal, sha)
    _advance(call, repository, base, tip, sha)
    commit = git.commit(sha)
    assert commit is not None  # noqa: S101 - it was just written
    return ApiResponse(status=201, body=call.serializer.commit(repository, commit))


ROUTES = [
    ("GET", f"{_AT}/contents", _get),
    ("GET", f"{_AT}/contents/<path:path>", _get),
    ("PUT", f"{_AT}/contents/<path:path>", _put),
    ("DELETE", f"{_AT}/contents/<path:path>", _delete),
    ("GET", f"{_AT}/commits", _commits),
    ("GET", f"{_AT}/commits/<path:ref>", _commit),
    ("GET", f"{_AT}/commits/<path:ref>/pulls", _pulls_of_commit),
    ("GET", f"{_AT}/compare/<path:basehead>", _compare),
    ("POST", f"{_AT}/merges", _merge),
]
