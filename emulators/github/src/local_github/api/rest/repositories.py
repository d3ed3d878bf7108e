"""Routes of repositories, forks and branches."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.domain.branch_rules import HEADS, rules_of
from local_github.domain.in_memory_store import DEFAULT_SETTINGS
from local_github.errors import ApiError, custom, invalid, not_found

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>"


def _get(call: Call) -> Json:
    return call.serializer.repository(call.repository)


def _create(call: Call) -> ApiResponse:
    owner = call.params.get("login") or call.login
    name = request_fields.text(call, "Repository", "name")
    if not call.caller.may(f"{owner}/{name}", "administration", "write"):
        raise call.caller.refusal()
    repository = call.state.create(f"{owner}/{name}", private=bool(call.body.get("private")))
    repository.description = request_fields.optional(call, "Repository", "description")
    return ApiResponse(status=201, body=call.serializer.repository(repository))


def _edit(call: Call) -> Json:
    repository = call.need("administration")
    for field, value in call.body.items():
        if field == "allow_rebase_merge" and value:
            raise custom("Repository", "allow_rebase_merge: the GitHub emulator does not rebase; merge or squash")
        if field in DEFAULT_SETTINGS and isinstance(value, type(DEFAULT_SETTINGS[field])):
            repository.settings[field] = value
    if "default_branch" in call.body:
        branch = request_fields.text(call, "Repository", "default_branch")
        if repository.git.branch(branch) is None:
            raise invalid("Repository", "default_branch", "custom", f"The branch {branch} was not found.")
        repository.default_branch = branch
        repository.git.run("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    if isinstance(call.body.get("private"), bool):
        repository.private = call.body["private"]
    if "description" in call.body:
        repository.description = request_fields.optional(call, "Repository", "description")
    return _get(call)


def _fork(call: Call) -> ApiResponse:
    source, login = call.repository, call.login
    owner = request_fields.optional(call, "Fork", "organization") or login
    name = request_fields.optional(call, "Fork", "name") or source.name
    existing = call.state.find(owner, name)
    if existing is None or existing is source:
        existing = call.state.create(
            f"{owner}/{name}", default_branch=source.default_branch, private=source.private, parent=source
        )
    return ApiResponse(status=202, body=call.serializer.repository(existing))


def _forks(call: Call) -> list[Json]:
    serializer, parent = call.serializer, call.repository.full_name
    forks = [r for r in call.state.repositories.values() if r.parent == parent and call.can_see(r)]
    return [serializer.repository(fork) for fork in call.page(forks)]


def tip(call: Call) -> str:
    """The commit of the branch in the path; 404 if there is none."""
    sha = call.repository.git.branch(call.params["branch"])
    if sha is None:
        raise ApiError(404, "Branch not found")
    return sha


def _branch_json(call: Call, branch: str, sha: str) -> Json:
    repository = call.repository
    serializer = call.serializer
    rules = rules_of(call.state, repository, f"{HEADS}{branch}")
    checks = {context: app for rule in rules for context, app in rule.checks}
    level = "everyone" if any(rule.enforce_admins for rule in rules) else "non_admins" if rules else "off"
    return {
        "name": branch,
        "commit": {"sha": sha, "url": serializer.api_url(repository, f"/commits/{sha}")},
        "protected": bool(rules),
        "protection": {
            "enabled": branch in repository.protections,
            "required_status_checks": {
                "enforcement_level": level,
                "contexts": list(checks),
                "checks": [{"context": context, "app_id": app} for context, app in checks.items()],
            },
        },
        "protection_url": serializer.api_url(repository, f"/branches/{branch}/protection"),
    }


def _branches(call: Call) -> list[Json]:
    repository = call.need("contents", "read")
    heads = [(name.removeprefix("refs/heads/"), sha) for name, sha in repository.git.refs().items()]
    wanted = call.query.get("protected")
    if wanted is not None:
        protected = {name: bool(rules_of(call.state, repository, f"{HEADS}{name}")) for name, _ in heads}
        heads = [(name, sha) for name, sha in heads if protected[name] == (wanted == "true")]
    return [_branch_json(call, name, sha) for name, sha in call.page(heads)]


def _branch(call: Call) -> Json:
    repository = call.need("contents", "read")
    sha = tip(call)
    commit = repository.git.commit(sha)
    assert commit is not None  # noqa: S101 - a branch tip is a commit
    body = _branch_json(call, call.params["branch"], sha)
    return body | {"commit": call.serializer.commit(repository, commit)}


def _rename_branch(call: Call) -> ApiResponse:
    repository = call.need("administration")
    sha, new = tip(call), request_fields.text(call, "Branch", "new_name")
    if not repository.git.valid_ref(f"refs/heads/{new}") or repository.git.branch(new):
        raise invalid("Branch", "new_name")
    repository.git.run("branch", "--move", call.params["branch"], new)
    if repository.default_branch == call.params["branch"]:
        repository.default_branch = new
    return ApiResponse(status=201, body=_branch_json(call, new, sha))


def _topics(call: Call) -> Json:
    call.need("metadata", "read")
    return {"names": []}


def _no_release(call: Call) -> None:
    call.need("metadata", "read")
    raise not_found()


ROUTES = [
    ("GET", _AT, _get),
    ("PATCH", _AT, _edit),
    ("POST", "/user/repos", _create),
    ("POST", "/orgs/<login>/repos", _create),
    ("POST", f"{_AT}/forks", _fork),
    ("GET", f"{_AT}/forks", _forks),
    ("GET", f"{_AT}/topics", _topics),
    ("GET", f"{_AT}/releases/latest", _no_release),
    ("GET", f"{_AT}/branches", _branches),
    ("GET", f"{_AT}/branches/<path:branch>", _branch),
    ("POST", f"{_AT}/branches/<path:branch>/rename", _rename_branch),
]
