"""Rulesets of branches: the rules of PUT …/branches/{branch}/protection that they amount to. Enforces nothing itself.

A ruleset exempts only the actors that it lists; administrators are not among them unless the ruleset says so.

https://docs.github.com/rest/repos/rules
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_github.errors import custom

RULES = ("pull_request", "required_status_checks", "non_fast_forward", "deletion")
_ADMIN_ROLE = 5


def branches(ruleset: Mapping[str, Any], default_branch: str) -> list[str]:
    """The branches that the ruleset names; an error for a pattern, which the emulator does not match."""
    names = ((ruleset.get("conditions") or {}).get("ref_name") or {}).get("include") or []
    found = [default_branch if name == "~DEFAULT_BRANCH" else str(name).removeprefix("refs/heads/") for name in names]
    wrong = next((name for name in found if "*" in name or name.startswith("~")), None)
    if wrong is not None or not found:
        raise custom("Ruleset", f"ref_name: the GitHub emulator knows branch names and ~DEFAULT_BRANCH (got {wrong!r})")
    return found


def protection(ruleset: Mapping[str, Any], apps: Mapping[int, str]) -> dict[str, Any]:
    """The ruleset as a branch protection rule.

    Args:
        ruleset: as POST …/rulesets takes it.
        apps: the slug of each installed App by its id.

    Raises:
        ApiError: 422 for a rule, an actor or an App that the emulator does not know.
    """
    rules = {rule["type"]: rule.get("parameters") or {} for rule in ruleset.get("rules") or []}
    unknown = set(rules) - set(RULES)
    if unknown:
        raise custom("Ruleset", f"rules: the GitHub emulator does not enforce {', '.join(sorted(unknown))}")
    actors = ruleset.get("bypass_actors") or []
    rule: dict[str, Any] = {
        "enforce_admins": not any(_is_admin(actor) for actor in actors),
        "allow_force_pushes": "non_fast_forward" not in rules,
        "allow_deletions": "deletion" not in rules,
        "required_pull_request_reviews": None,
        "required_status_checks": None,
        "restrictions": None,
    }
    slugs = [_slug(actor["actor_id"], apps) for actor in actors if not _is_admin(actor)]
    if "pull_request" in rules:
        pulls = rules["pull_request"]
        rule["required_pull_request_reviews"] = {
            "required_approving_review_count": int(pulls.get("required_approving_review_count") or 0),
            "require_code_owner_reviews": bool(pulls.get("require_code_owner_review")),
            "dismiss_stale_reviews": bool(pulls.get("dismiss_stale_reviews_on_push")),
            "require_last_push_approval": bool(pulls.get("require_last_push_approval")),
            "bypass_pull_request_allowances": {"apps": slugs},
        }
    if "required_status_checks" in rules:
        checks = rules["required_status_checks"]
        rule["required_status_checks"] = {
            "strict": bool(checks.get("strict_required_status_checks_policy")),
            "checks": [_check(check, apps) for check in checks.get("required_status_checks") or []],
        }
    return rule


def _is_admin(actor: Mapping[str, Any]) -> bool:
    return actor.get("actor_type") == "RepositoryRole" and actor.get("actor_id") == _ADMIN_ROLE


def _check(check: Mapping[str, Any], apps: Mapping[int, str]) -> dict[str, Any]:
    source = check.get("integration_id")
    found: dict[str, Any] = {"context": check["context"], "app_id": source}
    return found | ({"app_slug": _slug(source, apps)} if source is not None else {})


def _slug(app: Any, apps: Mapping[int, str]) -> str:
    if app not in apps:
        raise custom("Ruleset", f"no App with the id {app!r} is installed")
    return apps[app]
