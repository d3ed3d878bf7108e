"""Routes of branch protection. Refuses settings that the emulator does not enforce.

https://docs.github.com/rest/branches/branch-protection
"""

from __future__ import annotations

import json
from typing import Any

from local_github.api.rest.repositories import tip
from local_github.api.router import Call
from local_github.domain.branch_rules import ANY_APP, protection_rule
from local_github.domain.tokens import Level
from local_github.errors import ApiError

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>/branches/<path:branch>/protection"
_NEEDED = ("required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions")
_FLAGS = (
    "required_linear_history",
    "allow_force_pushes",
    "allow_deletions",
    "block_creations",
    "required_conversation_resolution",
    "lock_branch",
    "allow_fork_syncing",
)
_ENFORCED_FLAGS = ("allow_force_pushes", "allow_deletions", "allow_fork_syncing")


def _settings(call: Call, level: Level = "read") -> Json:
    rule = call.need("administration", level).protections.get(call.params["branch"])
    if rule is None:
        raise ApiError(404, "Branch not protected")
    return rule


def _json(call: Call, settings: Json) -> Json:
    at = call.serializer.api_url(call.repository, f"/branches/{call.params['branch']}/protection")
    rule = protection_rule(settings)
    body: Json = {
        "url": at,
        "enforce_admins": {"url": f"{at}/enforce_admins", "enabled": rule.enforce_admins},
        "required_signatures": {"url": f"{at}/required_signatures", "enabled": False},
    }
    if settings.get("required_status_checks") is not None:
        body["required_status_checks"] = {
            "url": f"{at}/required_status_checks",
            "strict": rule.strict,
            "contexts_url": f"{at}/required_status_checks/contexts",
            "contexts": rule.contexts,
            "checks": [{"context": context, "app_id": app} for context, app in rule.checks],
        }
    if rule.reviews is not None:
        body["required_pull_request_reviews"] = {
            "url": f"{at}/required_pull_request_reviews",
            "dismiss_stale_reviews": rule.reviews.dismiss_stale,
            "require_code_owner_reviews": rule.reviews.code_owners,
            "require_last_push_approval": rule.reviews.last_push,
            "required_approving_review_count": rule.reviews.count,
            "bypass_pull_request_allowances": {
                "users": [],
                "teams": [],
                "apps": [
                    {"id": call.state.app_id(f"{slug}[bot]"), "slug": slug, "name": slug} for slug in sorted(rule.apps)
                ],
            },
        }
    return body | {flag: {"enabled": bool(settings.get(flag))} for flag in _FLAGS}


def _get(call: Call) -> Json:
    return _json(call, _settings(call))


def _put(call: Call) -> Json:
    repository = call.need("administration")
    tip(call)
    absent = [field for field in _NEEDED if field not in call.body]
    if absent:
        listed = '", "'.join(absent)
        raise ApiError(422, f'Invalid request.\n\n"{listed}" weren\'t supplied.')
    _refuse_unenforced(call.body)
    settings = dict(call.body)
    if settings["required_status_checks"] is not None:
        settings["required_status_checks"] = _with_sources(call, settings["required_status_checks"])
    repository.protections[call.params["branch"]] = settings
    return _json(call, settings)


def _refuse_unenforced(body: Json) -> None:
    reviews = body.get("required_pull_request_reviews") or {}
    allowed = reviews.get("bypass_pull_request_allowances") or {}
    unenforced = [flag for flag in _FLAGS if flag not in _ENFORCED_FLAGS and body.get(flag)]
    unenforced += ["restrictions"] if body.get("restrictions") is not None else []
    unenforced += ["dismissal_restrictions"] if any((reviews.get("dismissal_restrictions") or {}).values()) else []
    unenforced += [f"bypass_pull_request_allowances.{kind}" for kind in ("users", "teams") if allowed.get(kind)]
    if unenforced:
        raise ApiError(422, f"The GitHub emulator does not enforce {', '.join(unenforced)}")


def _with_sources(call: Call, checks: Json) -> Json:
    """The checks with the App that GitHub selects where none is given: the one that set the status last.

    The form of a check is one of `checks` without `app_id`, or a name in `contexts`; `app_id: -1` allows any source.
    """
    known = checks.get("checks") or []
    if not isinstance(known, list) or not all(isinstance(check, dict) and "context" in check for check in known):
        raise ApiError(422, 'Invalid request.\n\n"required_status_checks.checks" must be a list with contexts.')
    found = []
    names = [check["context"] for check in known]
    for check in [*known, *({"context": name} for name in checks.get("contexts") or [] if name not in names)]:
        app = check.get("app_id", _last_source(call, check["context"]))
        if "app_id" in check and type(app) is not int:
            given = "nil" if app is None else json.dumps(app)
            raise ApiError(422, f"Invalid request.\n\nFor 'properties/app_id', {given} is not an integer.")
        found.append({"context": check["context"], "app_id": None if app == ANY_APP else app})
    return {**checks, "checks": found}


def _last_source(call: Call, context: str) -> int | None:
    """The id of the App that set a status or check run last; None if a user did, or nobody."""
    creators = [status.creator for status in call.repository.statuses if status.context == context]
    creators += [check.app for check in call.repository.checks if check.name == context and not creators]
    return call.state.app_id(creators[-1]) if creators else None


def _delete(call: Call) -> None:
    _settings(call)
    del call.need("administration").protections[call.params["branch"]]


def _part(name: str, message: str) -> Any:
    def get(call: Call) -> Json:
        body = _get(call).get(name)
        if body is None:
            raise ApiError(404, message)
        return dict(body)

    return get


ROUTES = [
    ("GET", _AT, _get),
    ("PUT", _AT, _put),
    ("DELETE", _AT, _delete),
    (
        "GET",
        f"{_AT}/required_status_checks",
        _part("required_status_checks", "Required status checks not enabled"),
    ),
    (
        "GET",
        f"{_AT}/required_pull_request_reviews",
        _part("required_pull_request_reviews", "Required pull request reviews not enabled"),
    ),
    ("GET", f"{_AT}/enforce_admins", _part("enforce_admins", "Branch not protected")),
]
