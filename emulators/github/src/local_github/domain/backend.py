"""The backend: the records, locks and services that REST, GraphQL, Git over HTTP, the pages and Actions share."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from local_github.domain import merge_queue
from local_github.domain.emitter import Emitter
from local_github.domain.event_queue import EventQueue
from local_github.domain.events import NoRuns, RunSource
from local_github.domain.in_memory_store import State
from local_github.domain.records import Repository
from local_github.domain.secret_box import SecretBox
from local_github.domain.tokens import Tokens
from local_github.serializers.base import Links, Serializer


class Backend:
    """State, tokens, events, workflow runs and addresses of one emulator.

    `url` is set when the server starts. `page_user` merges on the pages, which have no login.
    """

    def __init__(self, state: State, events: EventQueue, *, page_user: str) -> None:
        self.state, self.events, self.page_user = state, events, page_user
        self.tokens = Tokens()
        self.secret_box = SecretBox()
        self.emitter = Emitter(state, self.serializer, events.emit)
        events.before_release = partial(merge_queue.advance, self.emitter)
        self.run_source: RunSource = NoRuns()
        self.url = ""
        self._push_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    @property
    def api_url(self) -> str:
        """GITHUB_API_URL."""
        return f"{self.url}/api/v3"

    @property
    def graphql_url(self) -> str:
        """GITHUB_GRAPHQL_URL."""
        return f"{self.url}/api/graphql"

    def serializer(self, links: Links | None = None) -> Serializer:
        """A serializer that writes the caller's addresses, or the server's own."""
        return Serializer(self.state, links or Links(html=self.url, api=self.api_url))

    def lock(self) -> AbstractContextManager[None]:
        """Locks the records; see `EventQueue.lock`."""
        return self.events.lock()

    @contextmanager
    def push_lock(self, repository: Repository) -> Iterator[None]:
        """Serializes the pushes to a repository, so that events have the order of the ref updates."""
        with self.lock():
            lock = self._push_locks[repository.full_name]
        with lock:
            yield
