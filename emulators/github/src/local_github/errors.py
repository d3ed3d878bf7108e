"""Errors as GitHub's API returns them: a status and a JSON body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"


class ApiError(Exception):
    """An error response of the API."""

    def __init__(self, status: int, message: str, errors: Sequence[Mapping[str, Any] | str] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, list(errors)

    @property
    def body(self) -> dict[str, Any]:
        """The response's JSON."""
        body: dict[str, Any] = {"message": self.message}
        if self.errors:
            body["errors"] = self.errors
        return body | {"documentation_url": DOCUMENTATION, "status": str(self.status)}


def not_found() -> ApiError:
    """404; GitHub returns it also for what the caller may not see."""
    return ApiError(404, "Not Found")


def unauthenticated() -> ApiError:
    """401 for a route that needs a token."""
    return ApiError(401, "Requires authentication")


def invalid(resource: str, field: str, code: str = "invalid", message: str | None = None) -> ApiError:
    """422 for one field: code is missing, missing_field, invalid, already_exists or custom (with a message)."""
    error = {"resource": resource, "field": field, "code": code} | ({"message": message} if message else {})
    return ApiError(422, "Validation Failed", [error])


def custom(resource: str, message: str) -> ApiError:
    """422 with a message, which PyGithub and gh show."""
    return ApiError(422, "Validation Failed", [{"resource": resource, "code": "custom", "message": message}])
