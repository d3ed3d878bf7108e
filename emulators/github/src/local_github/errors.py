"""How the local GitHub says no: a status and the JSON body that GitHub gives, whichever route it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"


class ApiError(Exception):
    """An error as a client of GitHub's API sees it."""

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
    """404, which is also what GitHub says of what the caller may not see."""
    return ApiError(404, "Not Found")


def invalid(resource: str, field: str, code: str = "invalid", message: str | None = None) -> ApiError:
    """422 for one field: code is missing, missing_field, invalid, already_exists or custom (with a message)."""
    error = {"resource": resource, "field": field, "code": code} | ({"message": message} if message else {})
    return ApiError(422, "Validation Failed", [error])


def custom(resource: str, message: str) -> ApiError:
    """422 with GitHub's sentence for it, as PyGithub and gh show it."""
    return ApiError(422, "Validation Failed", [{"resource": resource, "code": "custom", "message": message}])
