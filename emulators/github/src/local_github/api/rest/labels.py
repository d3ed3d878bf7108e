"""Routes of labels: of a repository and of an issue."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.rest.issues import find_issue, need_issues
from local_github.api.router import ApiResponse, Call
from local_github.domain import issues
from local_github.domain.records import Label
from local_github.errors import ApiError, invalid, not_found
from local_github.serializers import issues as serialize_issues

Json = dict[str, Any]
_REPOSITORY = "/repos/<owner>/<name>"
_ISSUE = f"{_REPOSITORY}/issues/<int:number>"


def _labels(call: Call) -> list[Json]:
    repository, serializer = need_issues(call, "read"), call.serializer
    return [serialize_issues.label(serializer, repository, name) for name in call.page(list(repository.labels))]


def _label_create(call: Call) -> ApiResponse:
    repository = call.need("issues")
    name = request_fields.limited(request_fields.text(call, "Label", "name"), "Label", "name", 50) or ""
    if name.lower() in {known.lower() for known in repository.labels}:
        raise invalid("Label", "name", "already_exists")
    repository.labels[name] = Label(
        id=call.state.new_id(),
        name=name,
        color=_color(call) or "ededed",
        description=request_fields.optional(call, "Label", "description"),
    )
    return ApiResponse(status=201, body=serialize_issues.label(call.serializer, repository, name))


def _color(call: Call) -> str | None:
    color = request_fields.optional(call, "Label", "color")
    if color is not None and (len(color) != 6 or any(digit not in "0123456789abcdefABCDEF" for digit in color)):
        raise invalid("Label", "color")
    return color


def _label_name(call: Call) -> str:
    wanted = call.params["label"].lower()
    for name in need_issues(call, "read").labels:
        if name.lower() == wanted:
            return name
    raise not_found()


def _label_get(call: Call) -> Json:
    return serialize_issues.label(call.serializer, call.repository, _label_name(call))


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
    return serialize_issues.label(call.serializer, repository, new)


def _label_delete(call: Call) -> None:
    repository, name = call.need("issues"), _label_name(call)
    for issue in repository.issues.values():
        issue.labels = [known for known in issue.labels if known != name]
    del repository.labels[name]


# -- labels of an issue


def _issue_labels(call: Call) -> list[Json]:
    repository, issue = find_issue(call)
    serializer = call.serializer
    return [serialize_issues.label(serializer, repository, name) for name in issue.labels]


def _label_names(call: Call) -> list[str]:
    """The label names in a body: the field `labels` of an object, or a list."""
    if isinstance(call.json, list):
        call.body = {"labels": call.json}
    return request_fields.names(call, "Label", "labels")


def _add_labels(call: Call) -> list[Json]:
    repository, issue = find_issue(call, "write")
    names = [*issue.labels, *_label_names(call)]
    issues.set_labels(call.emitter, repository, issue, names, call.caller)
    return _issue_labels(call)


def _set_labels(call: Call) -> list[Json]:
    repository, issue = find_issue(call, "write")
    issues.set_labels(call.emitter, repository, issue, _label_names(call), call.caller)
    return _issue_labels(call)


def _remove_labels(call: Call) -> None:
    repository, issue = find_issue(call, "write")
    issues.set_labels(call.emitter, repository, issue, [], call.caller)


def _remove_label(call: Call) -> list[Json]:
    repository, issue = find_issue(call, "write")
    wanted = call.params["label"].lower()
    if wanted not in {name.lower() for name in issue.labels}:
        raise ApiError(404, "Label does not exist")
    kept = [name for name in issue.labels if name.lower() != wanted]
    issues.set_labels(call.emitter, repository, issue, kept, call.caller)
    return _issue_labels(call)


ROUTES = [
    ("GET", f"{_ISSUE}/labels", _issue_labels),
    ("POST", f"{_ISSUE}/labels", _add_labels),
    ("PUT", f"{_ISSUE}/labels", _set_labels),
    ("DELETE", f"{_ISSUE}/labels", _remove_labels),
    ("DELETE", f"{_ISSUE}/labels/<path:label>", _remove_label),
    ("GET", f"{_REPOSITORY}/labels", _labels),
    ("POST", f"{_REPOSITORY}/labels", _label_create),
    ("GET", f"{_REPOSITORY}/labels/<path:label>", _label_get),
    ("PATCH", f"{_REPOSITORY}/labels/<path:label>", _label_edit),
    ("DELETE", f"{_REPOSITORY}/labels/<path:label>", _label_delete),
]
