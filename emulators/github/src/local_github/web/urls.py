"""Builds the addresses of pages, raw files and images, on the server or in an export."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from local_github.domain.records import Repository


class Site(Protocol):
    """The addresses that a page contains."""

    live: bool
    """Whether a server serves the page, so that it can contain a form."""

    def home(self) -> str: ...
    def page(self, repository: Repository, kind: str, number: int | str | None = None) -> str: ...
    def address(self, repository: Repository, tag: str, address: str) -> str | None: ...


_ROUTES = {"pull": "pull", "issue": "issues", "run": "actions/runs", "commit": "commit"}


class LiveSite:
    """The pages of a running server; `bases` are the addresses by which it is reached."""

    live = True

    def __init__(self, bases: tuple[str, ...]) -> None:
        self._bases = bases

    def home(self) -> str:
        """The list of repositories."""
        return "/"

    def page(self, repository: Repository, kind: str, number: int | str | None = None) -> str:
        """A page of a repository: a list, or an item by its number."""
        path = "/".join(str(part) for part in (_ROUTES.get(kind, kind) if number else kind, number) if part)
        return f"/{repository.full_name}/{path}".rstrip("/")

    def address(self, repository: Repository, tag: str, address: str) -> str | None:
        """Maps an address in Markdown: own addresses lose the host, #12 becomes the issue, others stay."""
        if address.startswith("#") and address[1:].isdigit():
            return f"/{repository.full_name}/issues/{address[1:]}"
        return own_path(address, self._bases) or (address if tag == "a" or _absolute(address) else None)


class ExportedSite:
    """Pages as files such as <owner>/<name>/pull-1.html; images are copied beside them."""

    live = False

    def __init__(self, folder: Path, bases: tuple[str, ...], read: Callable[[str], bytes | None]) -> None:
        self._folder, self._bases, self._read = folder, bases, read
        self.written: set[str] = set()
        """The files of the export; set before they are written, so that links can be resolved."""

    def home(self) -> str:
        """The index."""
        return "../../index.html"

    @staticmethod
    def name(kind: str, number: int | str | None = None) -> str:
        """The file name of a page."""
        return f"{kind}-{number}.html" if number else f"{kind or 'index'}.html"

    def page(self, repository: Repository, kind: str, number: int | str | None = None) -> str:  # noqa: ARG002 - the pages of a repository are in one folder
        """A page of the same repository."""
        return self.name(kind, number)

    def address(self, repository: Repository, tag: str, address: str) -> str | None:
        """Maps an address in Markdown: copies own images, links exported pages, drops other own addresses."""
        if address.startswith("#") and address[1:].isdigit():
            return self._exported_page(repository, ["issues", address[1:]])
        path = own_path(address, self._bases)
        if path is None:
            return address if _absolute(address) else None
        if tag == "img":
            return self._copy_image(repository, path)
        owner, _, rest = path.lstrip("/").partition("/")
        name, _, rest = rest.partition("/")
        if f"{owner}/{name}".lower() != repository.full_name.lower():
            return None
        return self._exported_page(repository, rest.split("/"))

    def _exported_page(self, repository: Repository, parts: list[str]) -> str | None:
        number = parts[-1] if parts[-1].isdigit() else ""
        kinds = {"pull": ["pull"], "issues": ["issue", "pull"], "actions": ["run"], "commit": ["commit"]}
        for kind in kinds.get(parts[0], []):
            name = self.name(kind, parts[-1] if kind == "commit" else number)
            if f"{repository.full_name}/{name}" in self.written:
                return name
        return None

    def _copy_image(self, repository: Repository, path: str) -> str | None:
        data = self._read(path)
        if data is None:
            return None
        name = Path(unquote(path)).name
        file = f"{hashlib.sha256(data).hexdigest()[:12]}-{name}"
        target = self._folder / repository.full_name / "images" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return f"images/{quote(file)}"


def own_path(address: str, bases: tuple[str, ...]) -> str | None:
    """The path of an address of this server; None for any other address."""
    if address.startswith("/") and not address.startswith("//"):
        return address
    base = next((base for base in bases if address == base or address.startswith(base + "/")), None)
    return (address[len(base) :] or "/") if base else None


def _absolute(address: str) -> bool:
    return bool(urlsplit(address).scheme)
