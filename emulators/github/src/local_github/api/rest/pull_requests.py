"""Routes of pull requests and their reviews."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.domain import merges, pull_requests
from local_github.domain.pull_requests import pull_of
from local_github.domain.records import Issue, Repository
from local_github.domain.tokens import Level
from local_github.errors import ApiError, invalid, not_found
from local_github.serializers import issues as serialize_issues

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>/pulls"
_ONE = f"{_AT}/<int:number>"
_TITLE_CHARACTERS, _BODY_CHARACTERS = 256, 65536


def _find(call: Call, level: Level = "read") -> tuple[Repository, Issue]:
    """The pull request of the path; 404 if there is none."""
    repository = call.need("pull-requests", level)
    issue = repository.issues.get(call.params["number"])
    if issue is None or issue.pull is None:
        raise not_found()
    return repository, issue


def _list(call: Call) -> list[Json]:
    repository, serializer = call.need("pull-requests", "read"), call.serializer
    query = call.query
    found = repository.pulls()
    wanted = query.get("state", "open")
    if wanted != "all":
        found = [issue for issue in found if issue.state == wanted]
    if query.get("base"):
        found = [issue for issue in found if pull_of(issue).base_ref == query["base"]]
    head = query.get("head", "")
    if ":" in head:  # GitHub ignores a head without its owner
        owner, _, branch = head.partition(":")
        found = [
            issue
            for issue in found
            if pull_of(issue).head_ref == branch
            and pull_of(issue).head_repository.partition("/")[0].lower() == owner.lower()
        ]
    if query.get("sort") == "updated":
        found.sort(key=lambda issue: issue.updated, reverse=True)
    if query.get("direction", "asc" if query.get("sort") == "created" else "desc") == "asc":
        found.reverse()
    return [serialize_issues.pull_request(serializer, repository, issue, full=False) for issue in call.page(found)]


def _resolve_head(
    call: Call, repository: Repository, head: str, head_repo: str | None = None
) -> tuple[Repository, str]:
    """The repository and branch of `head` (branch or owner:branch); 422 if there is none."""
    owner, colon, branch = head.rpartition(":")
    if head_repo:
        full = head_repo if "/" in head_repo else f"{owner or repository.owner}/{head_repo}"
        found = call.state.repositories.get(full.lower())
    elif not colon or owner.lower() == repository.owner.lower():
        found = repository
    else:
        forks = [
            other
            for other in call.state.repositories.values()
            if (other.owner.lower() == owner.lower() and repository.full_name in {other.parent, other.full_name})
            or (other.full_name == repository.parent and other.owner.lower() == owner.lower())
        ]
        found = forks[0] if forks else None
    if found is None or not call.can_see(found):
        raise invalid("PullRequest", "head")
    return found, branch


def _create(call: Call) -> ApiResponse:
    repository = call.need_public("pull-requests")
    principal = call.caller
    pull_requests.check_may_open(repository, principal)
    title = request_fields.limited(
        request_fields.text(call, "PullRequest", "title"), "PullRequest", "title", _TITLE_CHARACTERS
    )
    head, base = request_fields.text(call, "PullRequest", "head"), request_fields.text(call, "PullRequest", "base")
    issue = pull_requests.open_pull_request(
        call.emitter,
        repository,
        principal,
        title=title or "",
        body=request_fields.limited(
            request_fields.optional(call, "PullRequest", "body"), "PullRequest", "body", _BODY_CHARACTERS
        ),
        head=_resolve_head(call, repository, head, request_fields.optional(call, "PullRequest", "head_repo")),
        base=base,
        draft=call.body.get("draft") is True,
        maintainer_can_modify=call.body.get("maintainer_can_modify") is True,
    )
    return ApiResponse(status=201, body=serialize_issues.pull_request(call.serializer, repository, issue))


def _get(call: Call) -> Any:
    repository, issue = _find(call)
    accept = call.request.headers.get("Accept", "")
    if "diff" in accept or "patch" in accept:
        return ApiResponse(
            body=pull_requests.unified_diff(repository, issue),
            content_type="application/vnd.github.diff; charset=utf-8",
        )
    if issue.state == "open":
        pull_requests.refresh_if_moved(call.state, repository, issue)
    return serialize_issues.pull_request(call.serializer, repository, issue)


def edit(call: Call, repository: Repository, issue: Issue) -> None:
    """Applies the fields of the request: title, body, base, state."""
    principal = call.caller
    before: Json = {}
    if "title" in call.body:
        before["title"] = {"from": issue.title}
        issue.title = request_fields.text(call, "PullRequest", "title")
    if "body" in call.body:
        before["body"] = {"from": issue.body}
        issue.body = request_fields.limited(
            request_fields.optional(call, "PullRequest", "body"), "PullRequest", "body", _BODY_CHARACTERS
        )
    base = request_fields.optional(call, "PullRequest", "base")
    state = request_fields.optional(call, "PullRequest", "state")
    if base and base != pull_of(issue).base_ref:
        if repository.git.branch(base) is None or issue.state != "open":
            raise invalid("PullRequest", "base")
        before["base"] = {"ref": {"from": pull_of(issue).base_ref}, "sha": {"from": pull_of(issue).base_sha}}
        pull_of(issue).base_ref = base
        pull_requests.refresh(call.state, repository, issue)
    if before:
        call.state.touch(issue)
        pull_requests.emit(call.emitter, repository, issue, "edited", principal, changes=before)
    if state not in {None, "open", "closed"}:
        raise invalid("PullRequest", "state")
    if state == "closed" and issue.state == "open":
        pull_requests.close(call.emitter, repository, issue, principal)
    elif state == "open" and issue.state == "closed":
        pull_requests.reopen(call.emitter, repository, issue, principal)


def _edit(call: Call) -> Json:
    repository, issue = _find(call, "write")
    edit(call, repository, issue)
    return serialize_issues.pull_request(call.serializer, repository, issue)


def _commits(call: Call) -> list[Json]:
    repository, issue = _find(call)
    serializer, pull = call.serializer, pull_of(issue)
    base = pull_requests.merge_base(repository, issue)
    commits = repository.git.commits("--reverse", f"{base}..{pull.head_sha}")
    return [serializer.commit(repository, commit) for commit in call.page(commits)]


def _files(call: Call) -> list[Json]:
    repository, issue = _find(call)
    serializer, pull, git = call.serializer, pull_of(issue), repository.git
    base = pull_requests.merge_base(repository, issue)
    changes, patches = git.changes(base, pull.head_sha), git.patches(base, pull.head_sha)
    return call.page(serializer.files(repository, changes, patches, pull.head_sha))


def _is_merged(call: Call) -> None:
    _, issue = _find(call)
    if not pull_of(issue).merged:
        raise not_found()


def _merge(call: Call) -> Json:
    repository, issue = _find(call)
    call.need("contents")
    sha = merges.merge(
        call.emitter,
        repository,
        issue,
        call.caller,
        method=request_fields.optional(call, "PullRequest", "merge_method") or "merge",
        title=request_fields.optional(call, "PullRequest", "commit_title"),
        message=request_fields.optional(call, "PullRequest", "commit_message"),
        expected_head=request_fields.optional(call, "PullRequest", "sha"),
    )
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}


def _update_branch(call: Call) -> ApiResponse:
    repository, issue = _find(call, "write")
    call.need("contents")
    sha = merges.update_branch(call.emitter, repository, issue, call.caller)
    if sha is None:
        raise ApiError(422, "merge conflict between base and head")
    at = call.serializer.api_url(repository, f"/pulls/{issue.number}")
    return ApiResponse(status=202, body={"message": "Updating pull request branch.", "url": at})


# -- reviews


def _reviews(call: Call) -> list[Json]:
    repository, issue = _find(call)
    serializer = call.serializer
    return [
        serialize_issues.review(serializer, repository, issue, review) for review in call.page(pull_of(issue).reviews)
    ]


def _review_create(call: Call) -> Json:
    repository, issue = _find(call)
    principal = call.caller
    if not call.may("pull-requests"):
        raise principal.refusal()
    event = str(call.body.get("event", "PENDING"))
    body = request_fields.optional(call, "PullRequestReview", "body") or ""
    review = pull_requests.add_review(call.state, repository, issue, principal, event=event, body=body)
    return serialize_issues.review(call.serializer, repository, issue, review)


def _review_dismiss(call: Call) -> Json:
    repository, issue = _find(call, "write")
    message = request_fields.text(call, "PullRequestReview", "message")
    for review in pull_of(issue).reviews:
        if review.id == call.params["review"]:
            if review.state not in {"APPROVED", "CHANGES_REQUESTED"}:
                raise ApiError(422, "Can not dismiss a commented pull request review")
            review.state, review.body = "DISMISSED", review.body or message
            return serialize_issues.review(call.serializer, repository, issue, review)
    raise not_found()


def _reviewers(call: Call) -> Json:
    _, issue = _find(call)
    serializer = call.serializer
    return {"users": [serializer.user(login) for login in pull_of(issue).reviewers], "teams": []}


def _request_reviewers(call: Call) -> ApiResponse:
    repository, issue = _find(call, "write")
    pull = pull_of(issue)
    requested = request_fields.names(call, "PullRequest", "reviewers")
    if issue.author in requested:
        raise ApiError(422, "Review cannot be requested from pull request author.")
    pull.reviewers = list(dict.fromkeys([*pull.reviewers, *requested]))
    call.state.touch(issue)
    return ApiResponse(status=201, body=serialize_issues.pull_request(call.serializer, repository, issue))


def _remove_reviewers(call: Call) -> Json:
    repository, issue = _find(call, "write")
    removed = set(request_fields.names(call, "PullRequest", "reviewers"))
    pull_of(issue).reviewers = [login for login in pull_of(issue).reviewers if login not in removed]
    return serialize_issues.pull_request(call.serializer, repository, issue)


def _review_comments(call: Call) -> list[Json]:
    _find(call)  # comments on lines are not supported
    return []


ROUTES = [
    ("GET", _AT, _list),
    ("POST", _AT, _create),
    ("GET", _ONE, _get),
    ("PATCH", _ONE, _edit),
    ("GET", f"{_ONE}/commits", _commits),
    ("GET", f"{_ONE}/files", _files),
    ("GET", f"{_ONE}/merge", _is_merged),
    ("PUT", f"{_ONE}/merge", _merge),
    ("PUT", f"{_ONE}/update-branch", _update_branch),
    ("GET", f"{_ONE}/reviews", _reviews),
    ("POST", f"{_ONE}/reviews", _review_create),
    ("PUT", f"{_ONE}/reviews/<int:review>/dismissals", _review_dismiss),
    ("GET", f"{_ONE}/comments", _review_comments),
    ("GET", f"{_ONE}/requested_reviewers", _reviewers),
    ("POST", f"{_ONE}/requested_reviewers", _request_reviewers),
    ("DELETE", f"{_ONE}/requested_reviewers", _remove_reviewers),
]
