"""Issues the OIDC tokens by which a job proves its repository, branch and environment to a cloud.

Tokens have GitHub's issuer and claims, so real trust policies apply unchanged; only the key is the emulator's. Token
times are real, even if the emulator has another clock.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ISSUER = "https://token.actions.githubusercontent.com"
LIFETIME_SECONDS = 300
_ALGORITHM = "RS256"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The job of a run that a token identifies."""

    repository: str
    repository_id: int
    owner_id: int
    private: bool
    event: str
    ref: str
    ref_protected: bool
    head_ref: str
    base_ref: str
    sha: str
    environment: str | None
    actor: str
    actor_id: int
    workflow: str
    file: str
    job_file: str
    """The workflow file that defines the job: `file`, or one that it calls."""
    run_id: int
    run_number: int
    run_attempt: int
    with_ids: bool = False
    """The repository's setting for the form of `sub`; an issuer may set it for all repositories."""

    own_claims: tuple[str, ...] = ()
    """The claims of the repository's own subject template; empty for the default."""

    def sub_claim(self, *, with_ids: bool) -> str:
        """The `sub` claim: repo:OWNER/NAME:… or, for repositories created since July 2026, repo:OWNER@ID/NAME@ID:…."""
        repository = named_in_subject(self.repository, self.owner_id, self.repository_id, with_ids=with_ids)
        parts = {"repo": f"repo:{repository}", "context": self._context()}
        claims = _claims(self)
        keys = self.own_claims or ("repo", "context")
        return ":".join(parts.get(key) or f"{key}:{claims.get(key, '').replace(':', '%3A')}" for key in keys)

    def _context(self) -> str:
        if self.environment:
            return f"environment:{self.environment.replace(':', '%3A')}"
        return "pull_request" if self.event == "pull_request" else f"ref:{self.ref}"


def named_in_subject(full_name: str, owner_id: int, repository_id: int, *, with_ids: bool) -> str:
    """The repository as `sub` names it: OWNER/NAME, or OWNER@ID/NAME@ID."""
    owner, _, name = full_name.partition("/")
    return f"{owner}@{owner_id}/{name}@{repository_id}" if with_ids else full_name


class Issuer:
    """Signs tokens with a generated RSA key; `with_ids` selects the form of `sub` with ids for all repositories."""

    def __init__(self, *, with_ids: bool = False) -> None:
        from cryptography.hazmat.primitives.asymmetric import rsa

        self.with_ids = with_ids
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = secrets.token_hex(20).upper()

    def jwks(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set."""
        from jwt.algorithms import RSAAlgorithm

        key: dict[str, Any] = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self._key_id, "alg": _ALGORITHM, "use": "sig"}]}

    def configuration(self, base: str) -> dict[str, Any]:
        """The discovery document; the keys are below `base`."""
        return {
            "issuer": ISSUER,
            "jwks_uri": f"{base}/.well-known/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public", "pairwise"],
            "id_token_signing_alg_values_supported": [_ALGORITHM],
        }

    def token(self, subject: Subject, *, audience: str | None = None) -> str:
        """A token for `subject`; the default audience is the repository's owner, as on GitHub."""
        owner = subject.repository.partition("/")[0]
        moment = int(time.time())
        claims = {
            **_claims(subject),
            "sub": subject.sub_claim(with_ids=self.with_ids or subject.with_ids),
            "aud": audience or f"https://github.com/{owner}",
            "iss": ISSUER,
            "jti": str(uuid.uuid4()),
            "iat": moment,
            "nbf": moment - 5,
            "exp": moment + LIFETIME_SECONDS,
        }
        return self.sign(claims)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Signs arbitrary claims."""
        import jwt

        return jwt.encode(dict(claims), self._key, algorithm=_ALGORITHM, headers={"kid": self._key_id})


def _claims(subject: Subject) -> dict[str, str]:
    owner = subject.repository.partition("/")[0]
    workflow_ref = f"{subject.repository}/{subject.file}@{subject.ref}"
    claims = {
        "repository": subject.repository,
        "repository_id": str(subject.repository_id),
        "repository_owner": owner,
        "repository_owner_id": str(subject.owner_id),
        "repository_visibility": "private" if subject.private else "public",
        "event_name": subject.event,
        "ref": subject.ref,
        "ref_type": "tag" if subject.ref.startswith("refs/tags/") else "branch",
        "ref_protected": str(subject.ref_protected).lower(),
        "head_ref": subject.head_ref,
        "base_ref": subject.base_ref,
        "sha": subject.sha,
        "actor": subject.actor,
        "actor_id": str(subject.actor_id),
        "workflow": subject.workflow,
        "workflow_ref": workflow_ref,
        "workflow_sha": subject.sha,
        "job_workflow_ref": f"{subject.repository}/{subject.job_file}@{subject.ref}",
        "job_workflow_sha": subject.sha,
        "run_id": str(subject.run_id),
        "run_number": str(subject.run_number),
        "run_attempt": str(subject.run_attempt),
        "runner_environment": "github-hosted",
    }
    return claims | ({"environment": subject.environment} if subject.environment else {})
