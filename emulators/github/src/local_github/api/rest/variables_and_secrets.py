"""Routes of the variables and secrets of a repository and of its environments.

https://docs.github.com/rest/actions/variables, https://docs.github.com/rest/actions/secrets
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.domain import environments
from local_github.domain.environment_records import Environment
from local_github.domain.records import Repository
from local_github.domain.tokens import Level
from local_github.errors import ApiError, custom, invalid, not_found

Json = dict[str, Any]
_REPOSITORY = "/repos/<owner>/<name>"
_NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*\Z")
_SECRET_BYTES = 48 << 10


def _holder(call: Call, permission: str, level: Level) -> Repository | Environment:
    """The repository, or its environment if the path names one."""
    if "environment" not in call.params:
        return call.need(permission, level)
    found = environments.find(call.need("environments", level, permission), call.params["environment"])
    if found is None:
        raise not_found()
    return found


def _valid_name(name: str, resource: str) -> str:
    if not _NAME.match(name.upper()):
        raise custom(
            resource,
            f"{resource} names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores (_), "
            "must not start with a number or the prefix GITHUB_",
        )
    return name.upper()


# -- variables


def _variable_json(call: Call, name: str, value: str) -> Json:
    moment = call.state.now()
    return {"name": name, "value": value, "created_at": moment, "updated_at": moment}


def _variables(call: Call) -> Json:
    values = _holder(call, "variables", "read").variables
    shown = call.page(sorted(values))
    return {"total_count": len(values), "variables": [_variable_json(call, name, values[name]) for name in shown]}


def _variable_get(call: Call) -> Json:
    name, values = call.params["variable"].upper(), _holder(call, "variables", "read").variables
    if name not in values:
        raise not_found()
    return _variable_json(call, name, values[name])


def _variable_create(call: Call) -> ApiResponse:
    values = _holder(call, "variables", "write").variables
    name = _valid_name(request_fields.text(call, "Variable", "name"), "Variable")
    if name in values:
        raise ApiError(409, "Already exists - Variable already exists")
    values[name] = _value(call)
    return ApiResponse(status=201, body={})


def _value(call: Call) -> str:
    value = call.body.get("value")
    if not isinstance(value, str):
        raise invalid("Variable", "value", "missing_field")
    return value


def _variable_update(call: Call) -> None:
    name, values = call.params["variable"].upper(), _holder(call, "variables", "write").variables
    if name not in values:
        raise not_found()
    values[name] = _value(call)


def _variable_delete(call: Call) -> None:
    if _holder(call, "variables", "write").variables.pop(call.params["variable"].upper(), None) is None:
        raise not_found()


# -- secrets, whose values are never returned


def _secret_json(call: Call, name: str) -> Json:
    moment = call.state.now()
    return {"name": name, "created_at": moment, "updated_at": moment}


def _secrets(call: Call) -> Json:
    names = sorted(_holder(call, "secrets", "read").secrets)
    return {"total_count": len(names), "secrets": [_secret_json(call, name) for name in call.page(names)]}


def _secret_get(call: Call) -> Json:
    name = call.params["secret"].upper()
    if name not in _holder(call, "secrets", "read").secrets:
        raise not_found()
    return _secret_json(call, name)


def _secret_put(call: Call) -> ApiResponse:
    """Decrypts and stores a secret, which the client has encrypted for the emulator's public key."""
    holder = _holder(call, "secrets", "write")
    name = _valid_name(call.params["secret"], "Secret")
    if request_fields.text(call, "Secret", "key_id") != call.backend.secret_box.key_id:
        raise ApiError(422, "The provided key_id does not match the public key of the repository")
    try:
        sealed = base64.b64decode(request_fields.text(call, "Secret", "encrypted_value"), validate=True)
        value = call.backend.secret_box.open(sealed)
    except (binascii.Error, ValueError):
        raise ApiError(422, "Bad request - Secret value could not be decrypted with the public key") from None
    if len(value) > _SECRET_BYTES:
        raise custom("Secret", f"Secrets are limited to 48 KB in size (got {len(value)} bytes)")
    existed = name in holder.secrets
    holder.secrets[name] = value.decode("utf-8", "surrogateescape")
    return ApiResponse(status=204 if existed else 201, body=None if existed else {})


def _secret_delete(call: Call) -> None:
    if _holder(call, "secrets", "write").secrets.pop(call.params["secret"].upper(), None) is None:
        raise not_found()


def _public_key(call: Call) -> Json:
    _holder(call, "secrets", "read")
    return {"key_id": call.backend.secret_box.key_id, "key": call.backend.secret_box.public_key}


def _routes(at: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", f"{at}/variables", _variables),
        ("POST", f"{at}/variables", _variable_create),
        ("GET", f"{at}/variables/<variable>", _variable_get),
        ("PATCH", f"{at}/variables/<variable>", _variable_update),
        ("DELETE", f"{at}/variables/<variable>", _variable_delete),
        ("GET", f"{at}/secrets", _secrets),
        ("GET", f"{at}/secrets/public-key", _public_key),
        ("GET", f"{at}/secrets/<secret>", _secret_get),
        ("PUT", f"{at}/secrets/<secret>", _secret_put),
        ("DELETE", f"{at}/secrets/<secret>", _secret_delete),
    ]


ROUTES = [*_routes(f"{_REPOSITORY}/actions"), *_routes(f"{_REPOSITORY}/environments/<environment>")]
