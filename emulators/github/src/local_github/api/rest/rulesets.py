"""Routes of repository rulesets, and of the rules that apply to a branch.

https://docs.github.com/rest/repos/rules
"""

from __future__ import annotations

from typing import Any

from local_github.api.router import ApiResponse, Call
from local_github.domain import rulesets
from local_github.domain.branch_rules import HEADS, ruleset_applies, ruleset_rule
from local_github.domain.tokens import Level
from local_github.errors import custom, not_found
from local_github.serializers.base import node_id

Json = dict[str, Any]
_REPOSITORY = "/repos/<owner>/<name>"
_AT = f"{_REPOSITORY}/rulesets"
_ONE = f"{_AT}/<int:ruleset>"


def _find(call: Call, level: Level = "read") -> Json:
    repository = call.need("administration", level) if level == "write" else call.need("metadata", "read")
    found = repository.rulesets.get(call.params["ruleset"])
    if found is None:
        raise not_found()
    return found


def _json(call: Call, ruleset: Json, *, full: bool) -> Json:
    repository, number = call.repository, ruleset["id"]
    body = {
        "id": number,
        "name": ruleset["name"],
        "target": ruleset["target"],
        "source_type": "Repository",
        "source": repository.full_name,
        "enforcement": ruleset["enforcement"],
        "node_id": node_id("RRS", number),
        "_links": {
            "self": {"href": call.serializer.api_url(repository, f"/rulesets/{number}")},
            "html": {"href": call.serializer.page_url(repository, f"/rules/{number}")},
        },
        "created_at": ruleset["created_at"],
        "updated_at": ruleset["updated_at"],
    }
    if not full:
        return body
    body |= {"conditions": ruleset["conditions"], "rules": ruleset["rules"]}
    if call.may("administration"):  # GitHub shows bypass actors to those who may change them
        body["bypass_actors"] = ruleset["bypass_actors"]
    if call.principal is not None:
        rule = ruleset_rule(call.state, ruleset)
        always = rule.bypassed_by(repository, call.principal)
        merging = rule.bypassed_by(repository, call.principal, merging=True)
        body["current_user_can_bypass"] = "always" if always else "pull_requests_only" if merging else "never"
    return body


def _list(call: Call) -> list[Json]:
    found = list(call.need("metadata", "read").rulesets.values())
    return [_json(call, ruleset, full=False) for ruleset in call.page(found)]


def _get(call: Call) -> Json:
    return _json(call, _find(call), full=True)


def _create(call: Call) -> ApiResponse:
    repository = call.need("administration")
    settings = rulesets.normalise(call.state, call.body)
    if any(other["name"] == settings["name"] for other in repository.rulesets.values()):
        raise custom("RepositoryRuleset", "Name must be unique")
    number, moment = call.state.new_id(), call.state.now()
    ruleset = {"id": number, "created_at": moment, "updated_at": moment, **settings}
    repository.rulesets[number] = ruleset
    return ApiResponse(status=201, body=_json(call, ruleset, full=True))


def _update(call: Call) -> Json:
    """Changes the members that the body has."""
    ruleset = _find(call, "write")
    known = ("name", "target", "enforcement", "bypass_actors", "conditions", "rules")
    kept = {name: ruleset[name] for name in known}
    ruleset.update(rulesets.normalise(call.state, {**kept, **call.body}), updated_at=call.state.now())
    return _json(call, ruleset, full=True)


def _delete(call: Call) -> None:
    ruleset = _find(call, "write")
    del call.repository.rulesets[ruleset["id"]]


def _branch_rules(call: Call) -> list[Json]:
    """The rules of all active rulesets that apply to a branch."""
    repository = call.need("metadata", "read")
    ref = f"{HEADS}{call.params['branch']}"
    found = [
        rule
        | {
            "ruleset_source_type": "Repository",
            "ruleset_source": repository.full_name,
            "ruleset_id": ruleset["id"],
        }
        for ruleset in repository.rulesets.values()
        if ruleset_applies(repository, ruleset, ref)
        for rule in ruleset["rules"]
    ]
    return call.page(found)


ROUTES = [
    ("GET", _AT, _list),
    ("POST", _AT, _create),
    ("GET", _ONE, _get),
    ("PUT", _ONE, _update),
    ("DELETE", _ONE, _delete),
    ("GET", f"{_REPOSITORY}/rules/branches/<path:branch>", _branch_rules),
]
