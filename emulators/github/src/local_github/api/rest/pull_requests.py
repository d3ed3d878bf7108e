"""Pull requests over REST."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import Answer, Call
from local_github.domain import pull_requests
from local_github.domain.pull_requests import pull_of
from local_github.domain.state import Issue, Repository, Review, now
from local_github.domain.tokens import Principal
from local_github.errors import ApiError, custom, invalid, not_found

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>/pulls"
_ONE = f"{_AT}/<int:number>"
_EVENTS = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
_FORBIDDEN = "GitHub Actions is not permitted to create or approve pull requests."


def find(call: Call, level: str = "read") -> tuple[Repository, Issue]:
    """The path's pull request; 404 where there is none."""
    repository = call.need("pull-requests", "write" if level == "write" else "read")
    issue = repository.issues.get(call.params["number"])
    if issue is None or issue.pull is None:
        raise not_found()
    return repository, issue


def caller(call: Call) -> Principal:
    """Who calls, where `need` has made sure that someone does."""
    if call.principal is None:
        raise ApiError(401, "Requires authentication")
    return call.principal


def _list(call: Call) -> list[Json]:
    repository, shapes = call.need("pull-requests", "read"), call.github.shapes(call.links)
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
    return [shapes.pull(repository, issue, full=False) for issue in call.page(found)]


def source_of(call: Call, repository: Repository, head: str, head_repo: str | None = None) -> tuple[Repository, str]:
    """The repository and branch that `head` (branch or owner:branch) means; 422 where there is none."""
    owner, colon, branch = head.rpartition(":")
    if head_repo:
        full = head_repo if "/" in head_repo else f"{owner or repository.owner}/{head_repo}"
        found = call.github.state.repositories.get(full.lower())
    elif not colon or owner.lower() == repository.owner.lower():
        found = repository
    else:
        forks = [
            other
            for other in call.github.state.repositories.values()
            if (other.owner.lower() == owner.lower() and repository.full_name in {other.parent, other.full_name})
            or (other.full_name == repository.parent and other.owner.lower() == owner.lower())
        ]
        found = forks[0] if forks else None
    if found is None or not call.sees(found):
        raise invalid("PullRequest", "head")
    return found, branch


def _create(call: Call) -> Answer:
    repository = call.need_public("pull-requests")
    principal = caller(call)
    if principal.is_workflow and not repository.settings["can_approve_pull_request_reviews"]:
        raise ApiError(403, _FORBIDDEN)
    title = request_fields.short(request_fields.text(call, "PullRequest", "title"), "PullRequest", "title", 256)
    head, base = request_fields.text(call, "PullRequest", "head"), request_fields.text(call, "PullRequest", "base")
    issue = pull_requests.open_pull(
        call.github,
        repository,
        principal,
        title=title or "",
        body=request_fields.short(request_fields.optional(call, "PullRequest", "body"), "PullRequest", "body", 65536),
        head=source_of(call, repository, head, request_fields.optional(call, "PullRequest", "head_repo")),
        base=base,
        draft=call.body.get("draft") is True,
        modifiable=call.body.get("maintainer_can_modify") is True,
    )
    return Answer(status=201, body=call.github.shapes(call.links).pull(repository, issue))


def _get(call: Call) -> Any:
    repository, issue = find(call)
    accept = call.request.headers.get("Accept", "")
    if "diff" in accept or "patch" in accept:
        return Answer(body=diff(repository, issue), content_type="application/vnd.github.diff; charset=utf-8")
    if issue.state == "open":
        pull_requests.refresh_if_moved(call.github, repository, issue)
    return call.github.shapes(call.links).pull(repository, issue)


def diff(repository: Repository, issue: Issue) -> bytes:
    """The unified difference of a pull request, merge base to head."""
    pull, git = pull_of(issue), repository.git
    base = git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    return git.run("diff", "--no-color", "-M", base, pull.head_sha)


def edit(call: Call, repository: Repository, issue: Issue) -> None:
    """Applies the fields that a body gives: title, body, base, state."""
    principal = caller(call)
    before: Json = {}
    if "title" in call.body:
        before["title"] = {"from": issue.title}
        issue.title = request_fields.text(call, "PullRequest", "title")
    if "body" in call.body:
        before["body"] = {"from": issue.body}
        issue.body = request_fields.short(
            request_fields.optional(call, "PullRequest", "body"), "PullRequest", "body", 65536
        )
    base, state = (
        request_fields.optional(call, "PullRequest", "base"),
        request_fields.optional(call, "PullRequest", "state"),
    )
    if base and base != pull_of(issue).base_ref:
        if repository.git.branch(base) is None or issue.state != "open":
            raise invalid("PullRequest", "base")
        before["base"] = {"ref": {"from": pull_of(issue).base_ref}, "sha": {"from": pull_of(issue).base_sha}}
        pull_of(issue).base_ref = base
        pull_requests.refresh(call.github, repository, issue)
    if before:
        issue.touch()
        pull_requests.emit(call.github, repository, issue, "edited", principal, changes=before)
    if state not in {None, "open", "closed"}:
        raise invalid("PullRequest", "state")
    if state == "closed" and issue.state == "open":
        pull_requests.close(call.github, repository, issue, principal)
    elif state == "open" and issue.state == "closed":
        pull_requests.reopen(call.github, repository, issue, principal)


def _edit(call: Call) -> Json:
    repository, issue = find(call, "write")
    edit(call, repository, issue)
    return call.github.shapes(call.links).pull(repository, issue)


def _commits(call: Call) -> list[Json]:
    repository, issue = find(call)
    shapes, pull = call.github.shapes(call.links), pull_of(issue)
    base = repository.git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    commits = repository.git.commits("--reverse", f"{base}..{pull.head_sha}")
    return [shapes.commit(repository, commit) for commit in call.page(commits)]


def _files(call: Call) -> list[Json]:
    repository, issue = find(call)
    shapes, pull, git = call.github.shapes(call.links), pull_of(issue), repository.git
    base = git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    changes, patches = git.changes(base, pull.head_sha), git.patches(base, pull.head_sha)
    return call.page(shapes.files(repository, changes, patches, pull.head_sha))


def _is_merged(call: Call) -> None:
    _, issue = find(call)
    if not pull_of(issue).merged:
        raise not_found()


def _merge(call: Call) -> Json:
    repository, issue = find(call)
    call.need("contents")
    sha = pull_requests.merge(
        call.github,
        repository,
        issue,
        caller(call),
        method=request_fields.optional(call, "PullRequest", "merge_method") or "merge",
        title=request_fields.optional(call, "PullRequest", "commit_title"),
        message=request_fields.optional(call, "PullRequest", "commit_message"),
        expected=request_fields.optional(call, "PullRequest", "sha"),
    )
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}


def _update_branch(call: Call) -> Answer:
    repository, issue = find(call, "write")
    call.need("contents")
    sha = pull_requests.update_branch(call.github, repository, issue, caller(call))
    if sha is None:
        raise ApiError(422, "merge conflict between base and head")
    at = call.github.shapes(call.links).at(repository, f"/pulls/{issue.number}")
    return Answer(status=202, body={"message": "Updating pull request branch.", "url": at})


# -- reviews


def _reviews(call: Call) -> list[Json]:
    repository, issue = find(call)
    shapes = call.github.shapes(call.links)
    return [shapes.review(repository, issue, review) for review in call.page(pull_of(issue).reviews)]


def _review(call: Call) -> Json:
    repository, issue = find(call)
    principal = caller(call)
    if not call.may("pull-requests"):
        raise principal.refusal()
    return add_review(
        call,
        repository,
        issue,
        str(call.body.get("event", "PENDING")),
        request_fields.optional(call, "PullRequestReview", "body") or "",
    )


def add_review(call: Call, repository: Repository, issue: Issue, event: str, body: str) -> Json:
    """Adds a review; 422 where someone approves what is their own, or gives no reason."""
    principal = caller(call)
    state = _EVENTS.get(event, "PENDING")
    if state == "APPROVED" and principal.login == issue.author:
        raise custom("PullRequestReview", "Can not approve your own pull request")
    if state == "APPROVED" and principal.is_workflow and not repository.settings["can_approve_pull_request_reviews"]:
        raise ApiError(403, _FORBIDDEN)
    if state in {"CHANGES_REQUESTED", "COMMENTED"} and not body:
        raise custom("PullRequestReview", "body can't be blank")
    review = Review(
        id=call.github.state.new_id(),
        author=principal.login,
        body=body,
        state=state,
        sha=pull_of(issue).head_sha,
        submitted=now(),
    )
    pull_of(issue).reviews.append(review)
    issue.touch()
    return call.github.shapes(call.links).review(repository, issue, review)


def _reviewers(call: Call) -> Json:
    _, issue = find(call)
    shapes = call.github.shapes(call.links)
    return {"users": [shapes.user(login) for login in pull_of(issue).reviewers], "teams": []}


def _request_reviewers(call: Call) -> Answer:
    repository, issue = find(call, "write")
    pull = pull_of(issue)
    asked = request_fields.names(call, "PullRequest", "reviewers")
    if issue.author in asked:
        raise ApiError(422, "Review cannot be requested from pull request author.")
    pull.reviewers = list(dict.fromkeys([*pull.reviewers, *asked]))
    issue.touch()
    return Answer(status=201, body=call.github.shapes(call.links).pull(repository, issue))


def _remove_reviewers(call: Call) -> Json:
    repository, issue = find(call, "write")
    gone = set(request_fields.names(call, "PullRequest", "reviewers"))
    pull_of(issue).reviewers = [login for login in pull_of(issue).reviewers if login not in gone]
    return call.github.shapes(call.links).pull(repository, issue)


def _no_comments(call: Call) -> list[Json]:
    find(call)
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
    ("POST", f"{_ONE}/reviews", _review),
    ("GET", f"{_ONE}/comments", _no_comments),
    ("GET", f"{_ONE}/requested_reviewers", _reviewers),
    ("POST", f"{_ONE}/requested_reviewers", _request_reviewers),
    ("DELETE", f"{_ONE}/requested_reviewers", _remove_reviewers),
]
