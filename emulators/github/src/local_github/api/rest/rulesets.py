"""Routes of rulesets and of the rules that apply to a branch.

https://docs.github.com/rest/repos/rules
"""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.domain import rulesets
from local_github.errors import custom, not_found

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>/rulesets"
_FIELDS = ("name", "target", "enforcement", "bypass_actors", "conditions", "rules")


def _json(call: Call, number: int) -> Json:
    stored = call.repository.rulesets[number]
    url = call.serializer.api_url(call.repository, f"/rulesets/{number}")
    return {"id": number, **stored, "source_type": "Repository", "source": call.repository.full_name, "url": url}


def _list(call: Call) -> list[Json]:
    call.need("metadata", "read")
    shown = ("id", "name", "target", "enforcement", "source_type", "source", "url")
    found = [_json(call, number) for number in call.page(list(call.repository.rulesets))]
    return [{key: item[key] for key in shown} for item in found]


def _number(call: Call) -> int:
    number = int(call.params["ruleset"])
    if number not in call.repository.rulesets:
        raise not_found()
    return number


def _get(call: Call) -> Json:
    call.need("metadata", "read")
    return _json(call, _number(call))


def _create(call: Call) -> ApiResponse:
    call.need("administration")
    name = request_fields.text(call, "Ruleset", "name")
    if any(item["name"] == name for item in call.repository.rulesets.values()):
        raise custom("Ruleset", "Name must be unique")
    number = call.state.new_id()
    _store(call, number, {})
    return ApiResponse(status=201, body=_json(call, number))


def _update(call: Call) -> Json:
    call.need("administration")
    number = _number(call)
    _store(call, number, call.repository.rulesets[number])
    return _json(call, number)


def _delete(call: Call) -> None:
    call.need("administration")
    repository = call.repository
    for branch in rulesets.branches(repository.rulesets.pop(_number(call)), repository.default_branch):
        repository.protections.pop(branch, None)


def _store(call: Call, number: int, former: Json) -> None:
    """Stores the ruleset and sets the branches' rules; one branch has one rule here, where GitHub adds them up."""
    repository = call.repository
    stored = {"target": "branch", "bypass_actors": [], **former}
    stored |= {key: call.body[key] for key in _FIELDS if key in call.body}
    if stored.get("enforcement") != "active" or stored["target"] != "branch":
        raise custom("Ruleset", "the GitHub emulator enforces active rulesets of branches only")
    rule = rulesets.protection(stored, {number: slug for slug, number in call.state.app_ids.items()})
    wanted = rulesets.branches(stored, repository.default_branch)
    others = [
        branch
        for other, item in repository.rulesets.items()
        if other != number
        for branch in rulesets.branches(item, repository.default_branch)
    ]
    classic = [] if former else list(repository.protections)
    taken = next((branch for branch in wanted if branch in others or branch in classic), None)
    if taken is not None:
        raise custom("Ruleset", f"{taken} has a rule already, and the GitHub emulator does not add rules up")
    repository.rulesets[number] = stored
    for branch in wanted:
        repository.protections[branch] = dict(rule)


def _of_branch(call: Call) -> list[Json]:
    call.need("metadata", "read")
    repository = call.repository
    found = [
        {**rule, "ruleset_source_type": "Repository", "ruleset_source": repository.full_name, "ruleset_id": number}
        for number, item in repository.rulesets.items()
        if call.params["branch"] in rulesets.branches(item, repository.default_branch)
        for rule in item["rules"]
    ]
    return call.page(found)


ROUTES = [
    ("GET", _AT, _list),
    ("POST", _AT, _create),
    ("GET", f"{_AT}/<int:ruleset>", _get),
    ("PUT", f"{_AT}/<int:ruleset>", _update),
    ("DELETE", f"{_AT}/<int:ruleset>", _delete),
    ("GET", "/repos/<owner>/<name>/rules/branches/<path:branch>", _of_branch),
]
