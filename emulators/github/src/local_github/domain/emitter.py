"""Emits events with GitHub's webhook payloads. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from local_github.domain.events import Event
from local_github.domain.in_memory_store import State
from local_github.domain.records import Repository
from local_github.domain.tokens import Principal
from local_github.serializers.base import Serializer


class Emitter:
    """Emits events about the records of `state`.

    Args:
        state: the records.
        serializer: returns the serializer of payloads; called for each event, because the server's address is known
            only after its start.
        emit: queues an event.
    """

    def __init__(self, state: State, serializer: Callable[[], Serializer], emit: Callable[[Event], None]) -> None:
        self.state, self._serializer, self._emit = state, serializer, emit

    @property
    def serializer(self) -> Serializer:
        """The serializer for payloads, with the server's own addresses."""
        return self._serializer()

    def emit(
        self, name: str, repository: Repository, principal: Principal, *, payload: Mapping[str, Any], **fields: Any
    ) -> None:
        """Emits an event; `fields` are further fields of `Event`, the payload gets repository and sender."""
        serializer = self.serializer
        self._emit(
            Event(
                name=name,
                repository=repository.full_name,
                payload={
                    **payload,
                    "repository": serializer.repository(repository),
                    "sender": serializer.user(principal.login),
                },
                actor=principal.login,
                from_workflow_token=principal.is_workflow,
                **fields,
            )
        )

    def emit_on_default_branch(
        self, name: str, repository: Repository, principal: Principal, *, action: str, payload: Mapping[str, Any]
    ) -> None:
        """Emits an event that runs the workflows of the default branch's tip."""
        branch = repository.default_branch
        self.emit(
            name,
            repository,
            principal,
            action=action,
            ref=f"refs/heads/{branch}",
            sha=repository.git.branch(branch) or "",
            payload={"action": action, **payload},
        )
