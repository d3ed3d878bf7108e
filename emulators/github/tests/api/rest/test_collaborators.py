"""Collaborators, their permissions, and Apps."""

from __future__ import annotations

from typing import Any

from rest_calls import request


def test_collaborators_have_roles(emulator: Any) -> None:
    """Without any, every user is an administrator; with the first, others are strangers."""
    token = emulator.token()
    emulator.token("bob")
    repository = emulator.api()
    assert repository.get_collaborator_permission("bob") == "admin"
    repository.add_to_collaborators("alice", "admin")
    repository.add_to_collaborators("bob", "maintain")
    assert repository.get_collaborator_permission("bob") == "write"
    assert request(emulator, "GET", "/collaborators/bob/permission", token=token)[1]["role_name"] == "maintain"
    assert [user.login for user in repository.get_collaborators(permission="maintain")] == ["acme", "alice", "bob"]
    assert not repository.has_in_collaborators("carol")
    repository.remove_from_collaborators("bob")
    assert repository.get_collaborator_permission("bob") == "none"
    assert request(emulator, "PUT", "/collaborators/bob", {"permission": "owner"}, token)[0] == 422


def test_role_below_admin_does_not_bypass_protection(emulator: Any, clone: Any) -> None:
    """A user with a full token but the role write obeys the rule of a branch."""
    repository = emulator.github.state.find("acme", "fraud")
    repository.protections["main"] = {"required_pull_request_reviews": {}}
    emulator.api().add_to_collaborators("alice", "push")
    clone.commit({"a": "1"})
    assert clone.push("main", check=False).returncode == 1
    emulator.api().add_to_collaborators("alice", "admin")
    clone.push("main")


def test_app_is_found_by_its_slug(emulator: Any) -> None:
    """Its id is what rules name as the source of a status."""
    emulator.github.state.app_ids["gate"] = 77
    token = emulator.token()
    github = emulator.api()._requester
    assert github.requestJsonAndCheck("GET", "/apps/gate")[1]["id"] == 77
    assert request(emulator, "GET", "/../../../apps/none", token=token)[0] == 404
