"""The GitHub emulator with one repository, and a workflow's client; not a test itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from github import Auth, Github
from github.Repository import Repository as Api
from local_github.server import LocalGitHub

from ml.gitops.github_client import GitHub, RetryPolicy
from ml.gitops.remote import Remote
from tests.harness.git.repositories import GitWorkspace

NAME = "acme/fraudops"
WORKFLOW = "github-actions[bot]"
GRANTS: dict[str, Any] = dict.fromkeys(
    ("actions", "contents", "deployments", "issues", "pull-requests", "statuses"), "write"
)


@dataclass
class Hub:
    """The server, its repository's checkout, and clients of it."""

    server: LocalGitHub
    workspace: GitWorkspace
    token: str
    name: str = NAME

    @classmethod
    def around(cls, server: LocalGitHub, workspace: GitWorkspace, name: str = NAME) -> Hub:
        """Creates the repository `name` from the workspace and makes it the workspace's `origin`."""
        server.create_repository(name, seed=workspace.root)
        workspace.git("remote", "add", "origin", f"{server.url}/{name}.git")
        return cls(server, workspace, server.token(WORKFLOW, permissions=GRANTS, repository=name), name)

    def client(self, token: str | None = None, **retry: Any) -> GitHub:
        """The product's client, with the workflow's token unless another is given."""
        given = {"attempts": 3, "backoff": 0.01, "max_backoff": 0.05} | retry
        return GitHub(
            api_url=self.server.api_url,
            server_url=self.server.url,
            repository=self.name,
            token=token or self.token,
            retry=RetryPolicy(**given),
        )

    def person(self, login: str = "alice", repository: str | None = None) -> Api:
        """The repository, or another one, through a person's client."""
        api = Github(
            auth=Auth.Token(self.server.token(login)),
            base_url=self.server.api_url,
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
        )
        return api.get_repo(repository or self.name)

    def remote(self) -> Remote:
        """The checkout's remote; needs GITHUB_TOKEN and GITHUB_SERVER_URL in the environment."""
        return Remote(self.workspace.repository, retry=self.client().retry)

    def branch(self, name: str, content: str = "x\n") -> str:
        """Pushes a branch of the bot with one commit on main; returns the commit."""
        repository = self.workspace.repository
        commit = repository.commit("main", {f"notes/{name}.md": content.encode()}, f"Add {name}")
        self.remote().push_branch(name, commit, seen=self.remote().fetch(name))
        return commit
