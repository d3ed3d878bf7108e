"""Follows the relative links of a site on disk; not a test itself."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path


def broken(site: Path) -> list[str]:
    """The relative links of the site's pages that lead to no file, each with its page; [] if all resolve."""
    return [
        f"{page.relative_to(site)}: {target}"
        for page in sorted(site.rglob("*.html"))
        for target in re.findall(r'href="([^"#:]+)["#]', page.read_text("utf-8"))
        if not (page.parent / unescape(target)).is_file()
    ]
