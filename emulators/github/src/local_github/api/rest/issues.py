"""Routes of issues, comments and search. Pull requests are issues too, as on GitHub."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import pull_requests as pull_routes
from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.api.search import parse_query, search_issues
from local_github.domain import issues
from local_github.domain.records import Comment, Issue, Repository
from local_github.domain.tokens import Level
from local_github.errors import custom, invalid, not_found
from local_github.serializers import issues as serialize_issues

Json = dict[str, Any]
_REPOSITORY = "/repos/<owner>/<name>"
_AT = f"{_REPOSITORY}/issues"
_ONE = f"{_AT}/<int:number>"
_BODY_CHARACTERS = 65536


def need_issues(call: Call, level: Level) -> Repository:
    """The path's repository; either of the permissions issues and pull-requests is enough, as on GitHub."""
    return call.need("issues", level, "pull-requests")


def find_issue(call: Call, level: Level = "read") -> tuple[Repository, Issue]:
    repository = need_issues(call, level)
    issue = repository.issues.get(call.params["number"])
    if issue is None:
        raise not_found()
    return repository, issue


def _list(call: Call) -> list[Json]:
    repository, serializer, query = need_issues(call, "read"), call.serializer, call.query
    found = list(reversed(repository.issues.values()))
    if query.get("state", "open") != "all":
        found = [issue for issue in found if issue.state == query.get("state", "open")]
    for name in filter(None, query.get("labels", "").split(",")):
        found = [issue for issue in found if name.lower() in {label.lower() for label in issue.labels}]
    if query.get("creator"):
        found = [issue for issue in found if issue.author == query["creator"]]
    if query.get("assignee") not in {None, "*"}:
        found = [issue for issue in found if query["assignee"] in (issue.assignees or ["none"])]
    if query.get("since"):
        found = [issue for issue in found if issue.updated >= query["since"]]
    if query.get("sort") == "updated":
        found.sort(key=lambda issue: issue.updated, reverse=True)
    if query.get("direction") == "asc":
        found.reverse()
    return [serialize_issues.issue(serializer, repository, issue) for issue in call.page(found)]


def _create(call: Call) -> ApiResponse:
    repository = call.need_public("issues")
    title = request_fields.limited(request_fields.text(call, "Issue", "title"), "Issue", "title", 256) or ""
    body = request_fields.limited(request_fields.optional(call, "Issue", "body"), "Issue", "body", _BODY_CHARACTERS)
    labels, assignees = request_fields.names(call, "Issue", "labels"), request_fields.names(call, "Issue", "assignees")
    issue = issues.open_issue(call.emitter, repository, call.caller, title=title, body=body)
    if call.may("issues"):  # GitHub ignores them without an error if the caller may not set them
        issue.assignees = assignees
        issues.set_labels(call.emitter, repository, issue, labels, call.caller)
    return ApiResponse(status=201, body=serialize_issues.issue(call.serializer, repository, issue))


def _get(call: Call) -> Json:
    repository, issue = find_issue(call)
    return serialize_issues.issue(call.serializer, repository, issue)


def _edit(call: Call) -> Json:
    repository, issue = find_issue(call, "write")
    if issue.pull:
        pull_routes.edit(call, repository, issue)
    else:
        _edit_issue(call, repository, issue)
    if "labels" in call.body:
        issues.set_labels(call.emitter, repository, issue, request_fields.names(call, "Issue", "labels"), call.caller)
    if "assignees" in call.body:
        issue.assignees = request_fields.names(call, "Issue", "assignees")
    return _get(call)


def _edit_issue(call: Call, repository: Repository, issue: Issue) -> None:
    if "title" in call.body:
        issue.title = request_fields.text(call, "Issue", "title")
    if "body" in call.body:
        issue.body = request_fields.limited(
            request_fields.optional(call, "Issue", "body"), "Issue", "body", _BODY_CHARACTERS
        )
    call.state.touch(issue)
    state = request_fields.optional(call, "Issue", "state")
    if state not in {None, "open", "closed"}:
        raise invalid("Issue", "state")
    if state:
        reason = request_fields.optional(call, "Issue", "state_reason")
        issues.set_state(call.emitter, repository, issue, state, call.caller, reason=reason)


# -- comments


def _comments(call: Call) -> list[Json]:
    repository, issue = find_issue(call)
    serializer = call.serializer
    found = [item for item in issue.comments if item.updated >= call.query.get("since", "")]
    return [serialize_issues.comment(serializer, repository, issue, item) for item in call.page(found)]


def _all_comments(call: Call) -> list[Json]:
    repository, serializer = need_issues(call, "read"), call.serializer
    found = [(issue, item) for issue in repository.issues.values() for item in issue.comments]
    return [serialize_issues.comment(serializer, repository, issue, item) for issue, item in call.page(found)]


def _comment_body(call: Call) -> str:
    body = call.body.get("body")
    if not isinstance(body, str) or not body.strip():
        raise (
            custom("IssueComment", "Body can't be blank")
            if body is not None
            else invalid("IssueComment", "body", "missing_field")
        )
    request_fields.limited(body, "IssueComment", "body", _BODY_CHARACTERS)
    return body


def _comment_create(call: Call) -> ApiResponse:
    repository = call.need_public("issues", "pull-requests")
    issue = repository.issues.get(call.params["number"])
    if issue is None:
        raise not_found()
    comment = issues.add_comment(call.emitter, repository, issue, call.caller, _comment_body(call))
    return ApiResponse(status=201, body=serialize_issues.comment(call.serializer, repository, issue, comment))


def _comment(call: Call, level: Level = "read") -> tuple[Repository, Issue, Comment]:
    repository = need_issues(call, level)
    found = issues.find_comment(repository, call.params["comment"])
    if found is None:
        raise not_found()
    return repository, *found


def _comment_get(call: Call) -> Json:
    return serialize_issues.comment(call.serializer, *_comment(call))


def _comment_edit(call: Call) -> Json:
    repository, issue, comment = _comment(call, "write")
    comment.body = _comment_body(call)
    call.state.touch(issue)
    comment.updated = issue.updated
    return serialize_issues.comment(call.serializer, repository, issue, comment)


def _comment_delete(call: Call) -> None:
    _, issue, comment = _comment(call, "write")
    issue.comments.remove(comment)


def _assign(call: Call) -> ApiResponse:
    repository, issue = find_issue(call, "write")
    issue.assignees = list(dict.fromkeys([*issue.assignees, *request_fields.names(call, "Issue", "assignees")]))
    return ApiResponse(status=201, body=serialize_issues.issue(call.serializer, repository, issue))


def _search(call: Call) -> Json:
    """GET /search/issues."""
    serializer = call.serializer
    terms = parse_query(call.query.get("q", ""), call.principal.login if call.principal else "")
    visible = [repository for repository in call.state.repositories.values() if call.can_see(repository)]
    found = search_issues(visible, terms)
    shown = [
        serialize_issues.issue(serializer, repository, issue) | {"score": 1.0} for repository, issue in call.page(found)
    ]
    return {"total_count": len(found), "incomplete_results": False, "items": shown}


ROUTES = [
    ("GET", _AT, _list),
    ("POST", _AT, _create),
    ("GET", _ONE, _get),
    ("PATCH", _ONE, _edit),
    ("GET", f"{_ONE}/comments", _comments),
    ("POST", f"{_ONE}/comments", _comment_create),
    ("GET", f"{_AT}/comments", _all_comments),
    ("GET", f"{_AT}/comments/<int:comment>", _comment_get),
    ("PATCH", f"{_AT}/comments/<int:comment>", _comment_edit),
    ("DELETE", f"{_AT}/comments/<int:comment>", _comment_delete),
    ("POST", f"{_ONE}/assignees", _assign),
    ("GET", "/search/issues", _search),
]
