"""POST /graphql: graphql-core parses, validates and executes the operation over a part of GitHub's schema.

Errors are returned as GitHub does: 200 with `errors`, each with a type where GitHub has one. A mutation needs the same
permissions as its REST counterpart.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from graphql import GraphQLError, GraphQLSchema, build_schema, execute_sync, parse, specified_rules, validate
from graphql.type import GraphQLObjectType
from graphql.validation import OverlappingFieldsCanBeMergedRule

from local_github.api.graphql.connections import Node, connection
from local_github.api.graphql.mutations import Mutations
from local_github.api.graphql.nodes import Nodes
from local_github.api.router import ApiResponse, Call, Router
from local_github.api.search import parse_query, search_issues
from local_github.domain.records import Issue, Repository
from local_github.errors import ApiError

# gh selects `state` of an issue and of a pull request together. GitHub allows that although their enums differ.
_RULES = [rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule]
_TYPES = {404: "NOT_FOUND", 403: "FORBIDDEN", 422: "UNPROCESSABLE"}


@cache
def schema() -> GraphQLSchema:
    """The supported part of GitHub's schema."""
    built = build_schema((Path(__file__).parent / "schema.graphql").read_text("utf-8"))
    for kind in built.type_map.values():
        if isinstance(kind, GraphQLObjectType) and kind.name in {"Query", "Mutation"}:
            for definition in kind.fields.values():
                definition.resolve = _resolve
    return built


def _resolve(_: Any, info: Any, **arguments: Any) -> Any:
    """Calls the root object's method for a field; converts an ApiError to a GraphQL error."""
    root = info.context[info.parent_type.name]
    try:
        return getattr(root, info.field_name)(**arguments)
    except ApiError as error:
        details = "; ".join(
            str(item["message"]) for item in error.errors if isinstance(item, dict) and "message" in item
        )
        raise GraphQLError(
            details or error.message, extensions={"type": _TYPES.get(error.status, "INTERNAL")}
        ) from None


def register(router: Router) -> None:
    """Adds the endpoint."""
    router.register("POST", "/api/graphql", _respond)


def _respond(call: Call) -> ApiResponse:
    if call.principal is None:
        return ApiResponse(status=401, body={"message": "This endpoint requires you to be authenticated."})
    text, variables = call.body.get("query"), call.body.get("variables") or {}
    if not isinstance(text, str) or not isinstance(variables, dict):
        return ApiResponse(body={"errors": [{"message": "A query attribute must be specified and must be a string."}]})
    with call.backend.lock():
        return ApiResponse(body=_execute(call, text, variables))


def _execute(call: Call, text: str, variables: dict[str, Any]) -> dict[str, Any]:
    try:
        document = parse(text)
    except GraphQLError as error:
        return {"errors": [error.formatted]}
    errors = validate(schema(), document, _RULES)
    if errors:
        return {"errors": [error.formatted for error in errors]}
    execution = execute_sync(
        schema(),
        document,
        context_value={"Query": Queries(call), "Mutation": Mutations(call)},
        variable_values=variables,
        operation_name=call.body.get("operationName"),
    )
    failed = {"errors": [_error(error) for error in execution.errors]} if execution.errors else {}
    return {"data": execution.data, **failed}


def _error(error: GraphQLError) -> dict[str, Any]:
    extensions = error.extensions or {}
    if error.original_error and not isinstance(error.original_error, GraphQLError):
        raise error.original_error  # a bug of the emulator: the server logs it and returns 500
    shape = {key: value for key, value in error.formatted.items() if key != "extensions"}
    return shape | ({"type": extensions["type"]} if "type" in extensions else {})


class Queries:
    """The fields of Query, by GitHub's names."""

    def __init__(self, call: Call) -> None:
        self._call, self._nodes = call, Nodes(call)

    def viewer(self) -> Node:
        """The caller; gh requests it with a workflow token too."""
        return self._nodes.actor(self._call.login) | {"__typename": "User", "login": self._call.login}

    def repository(self, owner: str, name: str, **_: Any) -> Node:
        """A repository by name; an error of type NOT_FOUND if the caller cannot see one."""
        repository = self._call.state.find(owner, name)
        if repository is None or not self._call.can_see(repository):
            raise ApiError(404, f"Could not resolve to a Repository with the name '{owner}/{name}'.")
        return self._nodes.repository(repository)

    def repositoryOwner(self, login: str) -> Node | None:  # noqa: N802 - GitHub's name
        """The owner of repositories."""
        return self.user(login)

    def user(self, login: str) -> Node | None:
        """A user by login; None if unknown."""
        known = self._call.state.users.get(login.lower())
        return self._nodes.actor(known.login) if known and known.kind == "User" else None

    def organization(self, login: str) -> None:
        """Always an error: all owners are users."""
        raise ApiError(404, f"Could not resolve to an Organization with the login of '{login}'.")

    def node(self, id: str) -> Node | None:  # noqa: A002 - GitHub's name
        """An issue, a pull request or a repository by its GraphQL id."""
        kind, _, number = id.partition("_")
        for repository in self._call.state.repositories.values():
            if not self._call.can_see(repository):
                continue
            if kind == "R" and str(repository.id) == number:
                return self._nodes.repository(repository)
            for issue in repository.issues.values():
                if kind in {"PR", "I"} and str(issue.id) == number:
                    return self._render((repository, issue))
        raise ApiError(404, f"Could not resolve to a node with the global id of '{id}'")

    def nodes(self, ids: list[str]) -> list[Node | None]:
        """Several nodes by their ids."""
        return [self.node(one) for one in ids]

    def _render(self, found: tuple[Repository, Issue]) -> Node:
        repository, issue = found
        return self._nodes.pull(repository, issue) if issue.pull else self._nodes.issue(repository, issue)

    def search(self, query: str, type: str, **page: Any) -> Node:  # noqa: A002 - GitHub's name
        """Issues and pull requests."""
        if type not in {"ISSUE", "ISSUE_ADVANCED"}:
            raise ApiError(422, f"The GitHub emulator does not search for {type}")
        visible = [one for one in self._call.state.repositories.values() if self._call.can_see(one)]
        found = search_issues(visible, parse_query(query, self._call.login))
        return connection(found, self._render, **page)

    def rateLimit(self) -> Node:  # noqa: N802 - GitHub's name
        """Constant values: there is no rate limit."""
        return {"limit": 5000, "cost": 1, "remaining": 4999, "used": 1, "resetAt": "2100-01-01T00:00:00Z"}
