"""Where pages, raw files and pictures are: below this server, or beside each other as exported files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from local_github.domain.state import Repository


class Site(Protocol):
    """The addresses that a page writes."""

    live: bool
    """Whether there is a server behind the page, so that it may have a form."""

    def home(self) -> str: ...
    def page(self, repository: Repository, kind: str, number: int | str | None = None) -> str: ...
    def address(self, repository: Repository, tag: str, address: str) -> str | None: ...


KINDS = ("", "pulls", "pull", "issues", "issue", "actions", "run", "commit")
_ROUTES = {"pull": "pull", "issue": "issues", "run": "actions/runs", "commit": "commit"}


class Live:
    """The pages of a running server, whose own addresses it knows by the names that people reach it by."""

    live = True

    def __init__(self, bases: tuple[str, ...]) -> None:
        self._bases = bases

    def home(self) -> str:
        """The list of repositories."""
        return "/"

    def page(self, repository: Repository, kind: str, number: int | str | None = None) -> str:
        """A page of a repository: a list by its kind, or one thing by its number."""
        path = "/".join(str(part) for part in (_ROUTES.get(kind, kind) if number else kind, number) if part)
        return f"/{repository.full_name}/{path}".rstrip("/")

    def address(self, repository: Repository, tag: str, address: str) -> str | None:
        """An address in Markdown: ours without the host, #12 as that issue, others as they are."""
        if address.startswith("#") and address[1:].isdigit():
            return f"/{repository.full_name}/issues/{address[1:]}"
        return own_path(address, self._bases) or (address if tag == "a" or _absolute(address) else None)


class Exported:
    """Pages as files: <owner>/<name>/pull-1.html and so on, with the pictures that they show copied beside them."""

    live = False

    def __init__(self, folder: Path, bases: tuple[str, ...], read: Callable[[str], bytes | None]) -> None:
        self._folder, self._bases, self._read = folder, bases, read
        self.written: set[str] = set()
        """The pages of the export, below its folder, known before they are written so that links find them."""

    def home(self) -> str:
        """The index."""
        return "../../index.html"

    @staticmethod
    def name(kind: str, number: int | str | None = None) -> str:
        """The file of a page."""
        return f"{kind}-{number}.html" if number else f"{kind or 'index'}.html"

    def page(self, repository: Repository, kind: str, number: int | str | None = None) -> str:  # noqa: ARG002 - beside
        """The page beside this one."""
        return self.name(kind, number)

    def address(self, repository: Repository, tag: str, address: str) -> str | None:
        """An address in Markdown: our pictures are copied, our pages linked if they are exported, else dropped."""
        if address.startswith("#") and address[1:].isdigit():
            return self._linked(repository, ["issues", address[1:]])
        path = own_path(address, self._bases)
        if path is None:
            return address if _absolute(address) else None
        if tag == "img":
            return self._copied(repository, path)
        owner, _, rest = path.lstrip("/").partition("/")
        name, _, rest = rest.partition("/")
        if f"{owner}/{name}".lower() != repository.full_name.lower():
            return None
        return self._linked(repository, rest.split("/"))

    def _linked(self, repository: Repository, parts: list[str]) -> str | None:
        number = parts[-1] if parts[-1].isdigit() else ""
        kinds = {"pull": ["pull"], "issues": ["issue", "pull"], "actions": ["run"], "commit": ["commit"]}
        for kind in kinds.get(parts[0], []):
            name = self.name(kind, parts[-1] if kind == "commit" else number)
            if f"{repository.full_name}/{name}" in self.written:
                return name
        return None

    def _copied(self, repository: Repository, path: str) -> str | None:
        data = self._read(path)
        if data is None:
            return None
        name = Path(unquote(path)).name
        file = f"{hashlib.sha256(data).hexdigest()[:12]}-{name}"
        target = self._folder / repository.full_name / "pictures" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return f"pictures/{quote(file)}"


def own_path(address: str, bases: tuple[str, ...]) -> str | None:
    """The path of an address that is one of this server's, however its host is written; None of any other."""
    if address.startswith("/") and not address.startswith("//"):
        return address
    base = next((base for base in bases if address == base or address.startswith(base + "/")), None)
    return (address[len(base) :] or "/") if base else None


def _absolute(address: str) -> bool:
    return bool(urlsplit(address).scheme)
