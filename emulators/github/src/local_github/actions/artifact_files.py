"""Serves a stored artifact: a zip of its files, or the one file that was uploaded without an archive."""

from __future__ import annotations

import io
import mimetypes
import zipfile
from pathlib import Path

from local_github.api.router import ApiResponse

# An uploaded page may not run scripts or load anything in the emulator's own origin.
_SANDBOX = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"


def response(folder: Path) -> ApiResponse:
    """The content of the artifact in `folder`, with its type."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if files == [folder / folder.name]:  # an upload without an archive is named as its file
        kind = mimetypes.guess_type(folder.name)[0] or "application/octet-stream"
        charset = "; charset=utf-8" if kind.startswith("text/") else ""
        headers = {"Content-Security-Policy": _SANDBOX}
        return ApiResponse(body=files[0].read_bytes(), headers=headers, content_type=f"{kind}{charset}")
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for path in files:
            file.write(path, path.relative_to(folder).as_posix())
    return ApiResponse(body=data.getvalue(), content_type="application/zip")
