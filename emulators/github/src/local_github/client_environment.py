"""Builds the environment variables that point clients at the emulator."""

from __future__ import annotations

GH_HOST = "github.localhost"  # the only host that gh accesses by plain HTTP


def for_clients(url: str, token: str) -> dict[str, str]:
    """The variables that GitHub's runners set, for clients of the API."""
    return {
        "GITHUB_SERVER_URL": url,
        "GITHUB_API_URL": f"{url}/api/v3",
        "GITHUB_GRAPHQL_URL": f"{url}/api/graphql",
        "GITHUB_TOKEN": token,
    }


def for_git(url: str, token: str) -> dict[str, str]:
    """The variables with which git authenticates at the emulator."""
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{url}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: bearer {token}",
    }


def for_gh(url: str, token: str) -> dict[str, str]:
    """The variables for the gh command alone, because its proxy would redirect other programs."""
    return {"GH_HOST": GH_HOST, "GH_TOKEN": token, "http_proxy": url, "no_proxy": "", "GH_NO_UPDATE_NOTIFIER": "1"}
