"""Issues, comments, labels and their search over REST. Pull requests are issues here, as at GitHub."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import pull_requests as pull_routes
from local_github.api.rest import request_fields
from local_github.api.rest.pull_requests import caller
from local_github.api.router import Answer, Call
from local_github.api.search import matches, terms_of
from local_github.domain import issues
from local_github.domain.state import Comment, Issue, Label, Repository
from local_github.errors import ApiError, custom, invalid, not_found

Json = dict[str, Any]
_REPOSITORY = "/repos/<owner>/<name>"
_AT = f"{_REPOSITORY}/issues"
_ONE = f"{_AT}/<int:number>"
_MOST = 65536


def _either(call: Call, level: str) -> Repository:
    """Issues' and pull requests' permissions both open these routes, as at GitHub."""
    return call.need("issues", "write" if level == "write" else "read", "pull-requests")


def _find(call: Call, level: str = "read") -> tuple[Repository, Issue]:
    repository = _either(call, level)
    issue = repository.issues.get(call.params["number"])
    if issue is None:
        raise not_found()
    return repository, issue


def _list(call: Call) -> list[Json]:
    repository, shapes, query = _either(call, "read"), call.github.shapes(call.links), call.query
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
    return [shapes.issue(repository, issue) for issue in call.page(found)]


def _create(call: Call) -> Answer:
    repository = call.need_public("issues")
    title = request_fields.short(request_fields.text(call, "Issue", "title"), "Issue", "title", 256) or ""
    body = request_fields.short(request_fields.optional(call, "Issue", "body"), "Issue", "body", _MOST)
    labels, assignees = request_fields.names(call, "Issue", "labels"), request_fields.names(call, "Issue", "assignees")
    issue = issues.open_issue(call.github, repository, caller(call), title=title, body=body)
    if call.may("issues"):  # GitHub drops them silently where the caller may not set them
        issue.assignees = assignees
        issues.set_labels(call.github, repository, issue, labels, caller(call))
    return Answer(status=201, body=call.github.shapes(call.links).issue(repository, issue))


def _get(call: Call) -> Json:
    repository, issue = _find(call)
    return call.github.shapes(call.links).issue(repository, issue)


def _edit(call: Call) -> Json:
    repository, issue = _find(call, "write")
    if issue.pull:
        pull_routes.edit(call, repository, issue)
    else:
        _edit_issue(call, repository, issue)
    if "labels" in call.body:
        issues.set_labels(call.github, repository, issue, request_fields.names(call, "Issue", "labels"), caller(call))
    if "assignees" in call.body:
        issue.assignees = request_fields.names(call, "Issue", "assignees")
    return _get(call)


def _edit_issue(call: Call, repository: Repository, issue: Issue) -> None:
    if "title" in call.body:
        issue.title = request_fields.text(call, "Issue", "title")
    if "body" in call.body:
        issue.body = request_fields.short(request_fields.optional(call, "Issue", "body"), "Issue", "body", _MOST)
    issue.touch()
    state = request_fields.optional(call, "Issue", "state")
    if state not in {None, "open", "closed"}:
        raise invalid("Issue", "state")
    if state:
        reason = request_fields.optional(call, "Issue", "state_reason")
        issues.set_state(call.github, repository, issue, state, caller(call), reason=reason)


# -- comments


def _comments(call: Call) -> list[Json]:
    repository, issue = _find(call)
    shapes = call.github.shapes(call.links)
    found = [item for item in issue.comments if item.updated >= call.query.get("since", "")]
    return [shapes.comment(repository, issue, item) for item in call.page(found)]


def _all_comments(call: Call) -> list[Json]:
    repository, shapes = _either(call, "read"), call.github.shapes(call.links)
    found = [(issue, item) for issue in repository.issues.values() for item in issue.comments]
    return [shapes.comment(repository, issue, item) for issue, item in call.page(found)]


def _text(call: Call) -> str:
    body = call.body.get("body")
    if not isinstance(body, str) or not body.strip():
        raise (
            custom("IssueComment", "Body can't be blank")
            if body is not None
            else invalid("IssueComment", "body", "missing_field")
        )
    request_fields.short(body, "IssueComment", "body", _MOST)
    return body


def _comment_create(call: Call) -> Answer:
    repository = call.need_public("issues", "pull-requests")
    issue = repository.issues.get(call.params["number"])
    if issue is None:
        raise not_found()
    made = issues.comment(call.github, repository, issue, caller(call), _text(call))
    return Answer(status=201, body=call.github.shapes(call.links).comment(repository, issue, made))


def _comment(call: Call, level: str = "read") -> tuple[Repository, Issue, Comment]:
    repository = _either(call, level)
    found = issues.find_comment(repository, call.params["comment"])
    if found is None:
        raise not_found()
    return repository, *found


def _comment_get(call: Call) -> Json:
    return call.github.shapes(call.links).comment(*_comment(call))


def _comment_edit(call: Call) -> Json:
    repository, issue, comment = _comment(call, "write")
    comment.body = _text(call)
    issue.touch()
    comment.updated = issue.updated
    return call.github.shapes(call.links).comment(repository, issue, comment)


def _comment_delete(call: Call) -> None:
    _, issue, comment = _comment(call, "write")
    issue.comments.remove(comment)


# -- labels


def _labels(call: Call) -> list[Json]:
    repository, shapes = _either(call, "read"), call.github.shapes(call.links)
    return [shapes.label(repository, name) for name in call.page(list(repository.labels))]


def _label_create(call: Call) -> Answer:
    repository = call.need("issues")
    name = request_fields.short(request_fields.text(call, "Label", "name"), "Label", "name", 50) or ""
    if name.lower() in {known.lower() for known in repository.labels}:
        raise invalid("Label", "name", "already_exists")
    repository.labels[name] = Label(
        id=call.github.state.new_id(),
        name=name,
        color=_color(call) or "ededed",
        description=request_fields.optional(call, "Label", "description"),
    )
    return Answer(status=201, body=call.github.shapes(call.links).label(repository, name))


def _color(call: Call) -> str | None:
    color = request_fields.optional(call, "Label", "color")
    if color is not None and (len(color) != 6 or any(digit not in "0123456789abcdefABCDEF" for digit in color)):
        raise invalid("Label", "color")
    return color


def _label_name(call: Call) -> str:
    wanted = call.params["label"].lower()
    for name in _either(call, "read").labels:
        if name.lower() == wanted:
            return name
    raise not_found()


def _label_get(call: Call) -> Json:
    return call.github.shapes(call.links).label(call.repository, _label_name(call))


def _label_edit(call: Call) -> Json:
    repository, name = call.need("issues"), _label_name(call)
    new = request_fields.optional(call, "Label", "new_name") or name
    label = repository.labels.pop(name)
    label.name, label.color = new, _color(call) or label.color
    if "description" in call.body:
        label.description = request_fields.optional(call, "Label", "description")
    repository.labels[new] = label
    for issue in repository.issues.values():
        issue.labels = [new if known == name else known for known in issue.labels]
    return call.github.shapes(call.links).label(repository, new)


def _label_delete(call: Call) -> None:
    repository, name = call.need("issues"), _label_name(call)
    for issue in repository.issues.values():
        issue.labels = [known for known in issue.labels if known != name]
    del repository.labels[name]


def _issue_labels(call: Call) -> list[Json]:
    repository, issue = _find(call)
    shapes = call.github.shapes(call.links)
    return [shapes.label(repository, name) for name in issue.labels]


def _label_names(call: Call) -> list[str]:
    """The labels of a body: an object's `labels`, or a bare list, which GitHub takes too."""
    if isinstance(call.json, list):
        call.body = {"labels": call.json}
    return request_fields.names(call, "Label", "labels")


def _add_labels(call: Call) -> list[Json]:
    repository, issue = _find(call, "write")
    names = [*issue.labels, *_label_names(call)]
    issues.set_labels(call.github, repository, issue, names, caller(call))
    return _issue_labels(call)


def _set_labels(call: Call) -> list[Json]:
    repository, issue = _find(call, "write")
    issues.set_labels(call.github, repository, issue, _label_names(call), caller(call))
    return _issue_labels(call)


def _remove_labels(call: Call) -> None:
    repository, issue = _find(call, "write")
    issues.set_labels(call.github, repository, issue, [], caller(call))


def _remove_label(call: Call) -> list[Json]:
    repository, issue = _find(call, "write")
    wanted = call.params["label"].lower()
    if wanted not in {name.lower() for name in issue.labels}:
        raise ApiError(404, "Label does not exist")
    kept = [name for name in issue.labels if name.lower() != wanted]
    issues.set_labels(call.github, repository, issue, kept, caller(call))
    return _issue_labels(call)


def _assign(call: Call) -> Answer:
    repository, issue = _find(call, "write")
    issue.assignees = list(dict.fromkeys([*issue.assignees, *request_fields.names(call, "Issue", "assignees")]))
    return Answer(status=201, body=call.github.shapes(call.links).issue(repository, issue))


def _search(call: Call) -> Json:
    """GET /search/issues: the qualifiers that `local_github.api.search` knows, and words."""
    shapes = call.github.shapes(call.links)
    terms = terms_of(call.query.get("q", ""), call.principal.login if call.principal else "")
    found = [
        (repository, issue)
        for repository in call.github.state.repositories.values()
        if call.sees(repository)
        for issue in reversed(repository.issues.values())
        if matches(repository, issue, terms)
    ]
    shown = [shapes.issue(repository, issue) | {"score": 1.0} for repository, issue in call.page(found)]
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
    ("GET", f"{_ONE}/labels", _issue_labels),
    ("POST", f"{_ONE}/labels", _add_labels),
    ("PUT", f"{_ONE}/labels", _set_labels),
    ("DELETE", f"{_ONE}/labels", _remove_labels),
    ("DELETE", f"{_ONE}/labels/<path:label>", _remove_label),
    ("GET", f"{_REPOSITORY}/labels", _labels),
    ("POST", f"{_REPOSITORY}/labels", _label_create),
    ("GET", f"{_REPOSITORY}/labels/<path:label>", _label_get),
    ("PATCH", f"{_REPOSITORY}/labels/<path:label>", _label_edit),
    ("DELETE", f"{_REPOSITORY}/labels/<path:label>", _label_delete),
    ("GET", "/search/issues", _search),
]
