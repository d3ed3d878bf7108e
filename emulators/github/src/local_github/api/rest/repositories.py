"""Routes of repositories, forks, branches and branch protection."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.domain import branch_protection
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


def _tip(call: Call) -> str:
    tip = call.repository.git.branch(call.params["branch"])
    if tip is None:
        raise ApiError(404, "Branch not found")
    return tip


def _branch_json(call: Call, branch: str, sha: str) -> Json:
    repository = call.repository
    serializer = call.serializer
    rule = repository.protections.get(branch)
    return {
        "name": branch,
        "commit": {"sha": sha, "url": serializer.api_url(repository, f"/commits/{sha}")},
        "protected": rule is not None,
        "protection": {
            "enabled": rule is not None,
            "required_status_checks": {
                "enforcement_level": "everyone"
                if rule and rule.get("enforce_admins")
                else "non_admins"
                if rule
                else "off",
                "contexts": branch_protection.required_contexts(rule) if rule else [],
                "checks": [],
            },
        },
        "protection_url": serializer.api_url(repository, f"/branches/{branch}/protection"),
    }


def _branches(call: Call) -> list[Json]:
    repository = call.need("contents", "read")
    heads = [(name.removeprefix("refs/heads/"), sha) for name, sha in repository.git.refs().items()]
    wanted = call.query.get("protected")
    if wanted is not None:
        heads = [(name, sha) for name, sha in heads if (name in repository.protections) == (wanted == "true")]
    return [_branch_json(call, name, sha) for name, sha in call.page(heads)]


def _branch(call: Call) -> Json:
    repository = call.need("contents", "read")
    sha = _tip(call)
    commit = repository.git.commit(sha)
    assert commit is not None  # noqa: S101 - a branch tip is a commit
    body = _branch_json(call, call.params["branch"], sha)
    return body | {"commit": call.serializer.commit(repository, commit)}


def _rename_branch(call: Call) -> ApiResponse:
    repository = call.need("administration")
    sha, new = _tip(call), request_fields.text(call, "Branch", "new_name")
    if not repository.git.valid_ref(f"refs/heads/{new}") or repository.git.branch(new):
        raise invalid("Branch", "new_name")
    repository.git.run("branch", "--move", call.params["branch"], new)
    if repository.default_branch == call.params["branch"]:
        repository.default_branch = new
    return ApiResponse(status=201, body=_branch_json(call, new, sha))


# -- protection


def _rule(call: Call) -> Json:
    rule = call.need("administration", "read").protections.get(call.params["branch"])
    if rule is None:
        raise ApiError(404, "Branch not protected")
    return rule


def _protection_json(call: Call, rule: Json) -> Json:
    at = call.serializer.api_url(call.repository, f"/branches/{call.params['branch']}/protection")
    body: Json = {
        "url": at,
        "enforce_admins": {"url": f"{at}/enforce_admins", "enabled": bool(rule.get("enforce_admins"))},
    }
    checks = rule.get("required_status_checks")
    if checks is not None:
        wanted = branch_protection.required_contexts(rule)
        sources = {check["context"]: check.get("app_id") for check in checks.get("checks") or []}
        body["required_status_checks"] = {
            "url": f"{at}/required_status_checks",
            "strict": bool(checks.get("strict")),
            "contexts": wanted,
            "checks": [{"context": context, "app_id": sources.get(context)} for context in wanted],
        }
    reviews = rule.get("required_pull_request_reviews")
    if reviews is not None:
        body["required_pull_request_reviews"] = {
            "url": f"{at}/required_pull_request_reviews",
            "dismiss_stale_reviews": bool(reviews.get("dismiss_stale_reviews")),
            "require_code_owner_reviews": bool(reviews.get("require_code_owner_reviews")),
            "required_approving_review_count": int(reviews.get("required_approving_review_count") or 0),
            "bypass_pull_request_allowances": reviews.get("bypass_pull_request_allowances") or {},
        }
    for flag in ("allow_force_pushes", "allow_deletions", "required_linear_history"):
        body[flag] = {"enabled": bool(rule.get(flag))}
    return body


def _protection_get(call: Call) -> Json:
    return _protection_json(call, _rule(call))


def _protection_put(call: Call) -> Json:
    repository = call.need("administration")
    _tip(call)
    needed = ("required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions")
    absent = [field for field in needed if field not in call.body]
    if absent:
        listed = '", "'.join(absent)
        raise ApiError(422, f'Invalid request.\n\n"{listed}" weren\'t supplied.')
    repository.protections[call.params["branch"]] = dict(call.body)
    return _protection_get(call)


def _protection_delete(call: Call) -> None:
    _rule(call)
    del call.need("administration").protections[call.params["branch"]]


def _required_checks(call: Call) -> Json:
    body = _protection_get(call).get("required_status_checks")
    if body is None:
        raise ApiError(404, "Required status checks not enabled")
    return dict(body)


def _topics(call: Call) -> Json:
    call.need("metadata", "read")
    return {"names": []}


def _permission(call: Call) -> Json:
    """Everybody is an administrator here."""
    call.need("metadata", "read")
    user = call.serializer.user(call.params["login"])
    return {"permission": "admin", "role_name": "admin", "user": user}


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
    ("GET", f"{_AT}/collaborators/<login>/permission", _permission),
    ("GET", f"{_AT}/releases/latest", _no_release),
    ("GET", f"{_AT}/branches", _branches),
    ("GET", f"{_AT}/branches/<path:branch>", _branch),
    ("POST", f"{_AT}/branches/<path:branch>/rename", _rename_branch),
    ("GET", f"{_AT}/branches/<path:branch>/protection", _protection_get),
    ("PUT", f"{_AT}/branches/<path:branch>/protection", _protection_put),
    ("DELETE", f"{_AT}/branches/<path:branch>/protection", _protection_delete),
    ("GET", f"{_AT}/branches/<path:branch>/protection/required_status_checks", _required_checks),
]
