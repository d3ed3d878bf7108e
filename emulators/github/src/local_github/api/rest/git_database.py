"""Routes of the Git database: refs, blobs, trees, commits."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.domain import branch_protection, pushes
from local_github.domain.records import Repository
from local_github.errors import ApiError, invalid, not_found
from local_github.git.bare_repository import GitFailed, RefMoved
from local_github.git.output_parser import ZERO, Person

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>"
_HEADS = "refs/heads/"


def _full_ref(call: Call) -> str:
    return "refs/" + str(call.params["ref"]).removeprefix("refs/")


def _check_protection(call: Call, repository: Repository, name: str, sha: str, *, forced: bool = False) -> None:
    if call.principal and name.startswith(_HEADS):
        branch_protection.check_direct(
            call.state, repository, name.removeprefix(_HEADS), call.principal, sha, forced=forced
        )


def _record_push(call: Call, repository: Repository, name: str, before: str, after: str) -> None:
    pushes.record(call.emitter, repository, pushes.RefUpdate(name, before, after), call.caller)


def _ref(call: Call) -> Json:
    repository, name = call.need("contents", "read"), _full_ref(call)
    sha = repository.git.ref(name)
    if sha is None:
        raise not_found()
    return call.serializer.reference(repository, name, sha)


def _matching(call: Call) -> list[Json]:
    repository, prefix = call.need("contents", "read"), "refs/" + call.params.get("ref", "")
    serializer = call.serializer
    found = [(name, sha) for name, sha in repository.git.refs("refs/").items() if name.startswith(prefix)]
    return [serializer.reference(repository, name, sha) for name, sha in call.page(found)]


def _ref_create(call: Call) -> ApiResponse:
    repository = call.need("contents")
    name, sha = request_fields.text(call, "Reference", "ref"), request_fields.text(call, "Reference", "sha")
    if name.count("/") < 2 or not repository.git.valid_ref(name) or name.startswith("refs/pull/"):
        raise ApiError(422, "Reference name must start with 'refs/' and have at least two slashes.")
    if repository.git.kind(sha) is None:
        raise ApiError(422, "Object does not exist")
    if repository.git.ref(name):
        raise ApiError(422, "Reference already exists")
    _check_protection(call, repository, name, sha)
    repository.git.update(name, sha, ZERO)
    _record_push(call, repository, name, ZERO, sha)
    return ApiResponse(status=201, body=call.serializer.reference(repository, name, sha))


def _ref_update(call: Call) -> Json:
    repository, name = call.need("contents"), _full_ref(call)
    sha, forced = request_fields.text(call, "Reference", "sha"), call.body.get("force") is True
    before = repository.git.ref(name)
    if before is None:
        raise ApiError(422, "Reference does not exist")
    if repository.git.kind(sha) is None:
        raise ApiError(422, "Object does not exist")
    fast_forward = repository.git.is_ancestor(before, sha)
    if not fast_forward and not forced:
        raise ApiError(422, "Update is not a fast forward")
    _check_protection(call, repository, name, sha, forced=not fast_forward)
    try:
        repository.git.update(name, sha, before)
    except RefMoved:
        raise ApiError(409, "Reference cannot be updated") from None
    _record_push(call, repository, name, before, sha)
    return call.serializer.reference(repository, name, sha)


def _ref_delete(call: Call) -> None:
    repository, name = call.need("contents"), _full_ref(call)
    before = repository.git.ref(name)
    if before is None or name.startswith("refs/pull/"):
        raise ApiError(422, "Reference does not exist")
    branch_protection.check_deletion(call.state, repository, name, call.caller)
    repository.git.update(name, ZERO, before)
    _record_push(call, repository, name, before, ZERO)


# -- objects


def _blob_create(call: Call) -> ApiResponse:
    repository, content = call.need("contents"), call.body.get("content")
    if not isinstance(content, str):
        raise invalid("Blob", "content", "missing_field")
    data = decode_base64(content) if call.body.get("encoding") == "base64" else content.encode()
    sha = repository.git.write_blob(data)
    url = call.serializer.api_url(repository, f"/git/blobs/{sha}")
    return ApiResponse(status=201, body={"sha": sha, "url": url})


def decode_base64(content: str) -> bytes:
    """The bytes of a base64 field; 422 if it is not base64."""
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except binascii.Error:
        raise ApiError(422, "content is not valid Base64") from None


def _blob(call: Call) -> Json:
    repository, sha = call.need("contents", "read"), call.params["sha"]
    if repository.git.kind(sha) != "blob":
        raise not_found()
    data = repository.git.run("cat-file", "blob", sha)
    url = call.serializer.api_url(repository, f"/git/blobs/{sha}")
    return {
        "sha": sha,
        "size": len(data),
        "url": url,
        "encoding": "base64",
        "content": base64.encodebytes(data).decode(),
    }


def _tree_json(call: Call, repository: Repository, revision: str, *, recursive: bool) -> Json:
    serializer, git = call.serializer, repository.git
    sha = git.text("rev-parse", f"{revision}^{{tree}}")
    entries = git.tree(sha, recursive=recursive)
    return {
        "sha": sha,
        "url": serializer.api_url(repository, f"/git/trees/{sha}"),
        "truncated": False,
        "tree": [
            {
                "path": entry.path,
                "mode": entry.mode,
                "type": entry.kind,
                "sha": entry.sha,
                "url": serializer.api_url(repository, f"/git/{entry.kind}s/{entry.sha}"),
            }
            | ({"size": entry.size} if entry.size is not None else {})
            for entry in entries
        ],
    }


def _tree(call: Call) -> Json:
    repository, name = call.need("contents", "read"), call.params["sha"]
    revision = name if repository.git.kind(name) in {"tree", "commit"} else repository.git.resolve(name)
    if revision is None:
        raise not_found()
    return _tree_json(call, repository, revision, recursive="recursive" in call.query)


def _tree_create(call: Call) -> ApiResponse:
    repository, items = call.need("contents"), call.body.get("tree")
    base = request_fields.optional(call, "Tree", "base_tree")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid("Tree", "tree", "missing_field")
    if base and repository.git.kind(base) not in {"tree", "commit"}:
        raise ApiError(422, "base_tree is not a valid tree oid")
    entries = []
    for item in items:
        path, mode = item.get("path"), item.get("mode", "100644")
        if not isinstance(path, str) or mode not in {"100644", "100755", "120000"} or "\0" in path:
            raise ApiError(422, "tree.path or tree.mode is invalid; the GitHub emulator writes only files and links")
        content = item.get("content")
        sha = repository.git.write_blob(content.encode()) if isinstance(content, str) else item.get("sha") or ZERO
        if sha != ZERO and repository.git.kind(sha) != "blob":
            raise ApiError(422, f"tree.sha {sha} is not a valid blob")
        entries.append((mode if sha != ZERO else "0", sha, path))
    try:
        sha = repository.git.write_tree(base, entries)
    except GitFailed as error:
        raise ApiError(422, f"tree contains a malformed path: {error}") from None
    return ApiResponse(status=201, body=_tree_json(call, repository, sha, recursive=False))


def person_field(call: Call, field: str) -> Person | None:
    """The author or committer in a body field, with the given time or now; None without the field."""
    value = call.body.get(field)
    if value is None:
        return None
    if not isinstance(value, dict) or not value.get("name") or not value.get("email"):
        raise invalid("Commit", field)
    return Person(name=str(value["name"]), email=str(value["email"]), date=str(value.get("date") or call.state.now()))


def _commit_create(call: Call) -> ApiResponse:
    repository, git = call.need("contents"), call.repository.git
    message, tree = request_fields.text(call, "Commit", "message"), request_fields.text(call, "Commit", "tree")
    parents = call.body.get("parents", [])
    if git.kind(tree) != "tree":
        raise ApiError(422, "Tree SHA does not exist")
    if not isinstance(parents, list) or any(git.kind(str(parent)) != "commit" for parent in parents):
        raise ApiError(422, "Parent SHA does not exist or is not a commit object")
    author = person_field(call, "author") or call.state.author(call.login)
    sha = git.write_commit(tree, parents, message, author=author, committer=person_field(call, "committer") or author)
    commit = git.commit(sha)
    assert commit is not None  # noqa: S101 - it was just written
    return ApiResponse(status=201, body=call.serializer.git_commit(repository, commit))


def _git_commit(call: Call) -> Json:
    repository = call.need("contents", "read")
    commit = repository.git.commit(call.params["sha"]) if repository.git.kind(call.params["sha"]) == "commit" else None
    if commit is None:
        raise not_found()
    return call.serializer.git_commit(repository, commit)


ROUTES = [
    ("GET", f"{_AT}/git/ref/<path:ref>", _ref),
    ("GET", f"{_AT}/git/refs/<path:ref>", _ref),
    ("GET", f"{_AT}/git/refs", _matching),
    ("GET", f"{_AT}/git/matching-refs/<path:ref>", _matching),
    ("POST", f"{_AT}/git/refs", _ref_create),
    ("PATCH", f"{_AT}/git/refs/<path:ref>", _ref_update),
    ("DELETE", f"{_AT}/git/refs/<path:ref>", _ref_delete),
    ("POST", f"{_AT}/git/blobs", _blob_create),
    ("GET", f"{_AT}/git/blobs/<sha>", _blob),
    ("POST", f"{_AT}/git/trees", _tree_create),
    ("GET", f"{_AT}/git/trees/<path:sha>", _tree),
    ("POST", f"{_AT}/git/commits", _commit_create),
    ("GET", f"{_AT}/git/commits/<sha>", _git_commit),
]
