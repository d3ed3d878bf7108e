"""Environments: reviewers, branch policies, secrets and variables."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import jwt
import pytest
from actions_emulator import REPOSITORY, ActionsEmulator, one_job, wait_until
from nacl.public import PublicKey, SealedBox

AT = f"/repos/{REPOSITORY}/environments/production"
JOB = "    environment: production"


def protect(emulator: ActionsEmulator, *reviewers: str, **more: Any) -> int:
    """Sets the environment `production` with these reviewers and returns its id."""
    users = [{"type": "User", "id": emulator.api("GET", f"/users/{login}")[1]["id"]} for login in reviewers]
    status, body = emulator.api("PUT", AT, {"reviewers": users, **more})
    assert status == 200, body
    return int(body["id"])


def review(emulator: ActionsEmulator, run: int, environment: int, login: str, state: str = "approved") -> Any:
    """Reviews the pending deployment of a run."""
    body = {"environment_ids": [environment], "state": state, "comment": "Looked at it"}
    path = f"/repos/{REPOSITORY}/actions/runs/{run}/pending_deployments"
    return emulator.api("POST", path, body, token=emulator.github.token(login))


def test_job_waits_until_a_reviewer_approves(emulator: ActionsEmulator) -> None:
    """Only listed reviewers may approve; wait() does not wait for the review; the job has not started before."""
    emulator.github.token("bob")
    number = protect(emulator, "bob")
    emulator.workflow(one_job("echo deployed", job=JOB))
    run = emulator.dispatch()
    wait_until(lambda: run.status == "waiting")
    emulator.actions.wait(10)
    assert [(job.status, job.started) for job in run.jobs] == [("waiting", None)]
    path = f"/repos/{REPOSITORY}/actions/runs/{run.id}"
    (pending,) = emulator.api("GET", f"{path}/pending_deployments")[1]
    assert (pending["environment"]["id"], pending["environment"]["name"]) == (number, "production")
    assert not pending["current_user_can_approve"]
    assert [entry["reviewer"]["login"] for entry in pending["reviewers"]] == ["bob"]
    assert emulator.api("GET", path)[1]["status"] == "waiting"
    status, body = review(emulator, run.id, number, "alice")
    assert (status, body["message"]) == (422, "alice cannot approve or reject pending deployments to production")
    assert review(emulator, run.id, number + 1, "bob")[0] == 422
    status, body = review(emulator, run.id, number, "bob")
    assert (status, body[0]["environment"]) == (200, "production")
    emulator.finished_runs()
    assert (run.conclusion, "deployed" in run.log) == ("success", True)
    (approval,) = emulator.api("GET", f"{path}/approvals")[1]
    assert (approval["state"], approval["user"]["login"], approval["comment"]) == ("approved", "bob", "Looked at it")
    assert emulator.api("GET", f"{path}/pending_deployments")[1] == []


def test_each_job_needs_an_approval_of_its_own(emulator: ActionsEmulator) -> None:
    """One review admits the jobs that wait for it; a job that comes later waits again."""
    number = protect(emulator, "alice")
    job = "environment: production, runs-on: ubuntu-latest, steps: [{run: 'true'}]"
    emulator.workflow(
        f"name: x\non: workflow_dispatch\njobs:\n  a: {{{job}}}\n  b: {{{job}}}\n  c: {{needs: [a, b], {job}}}\n"
    )
    run = emulator.dispatch()
    wait_until(lambda: [job.status for job in run.jobs] == ["waiting", "waiting", "queued"])
    assert review(emulator, run.id, number, "alice")[0] == 200
    wait_until(lambda: run.job("c").status == "waiting")
    assert [run.job(name).conclusion for name in "ab"] == ["success", "success"]
    assert review(emulator, run.id, number, "alice")[0] == 200
    emulator.finished_runs()
    assert run.conclusion == "success"


def test_rejected_job_fails_with_the_comment(emulator: ActionsEmulator) -> None:
    """It runs no step."""
    number = protect(emulator, "alice")
    emulator.workflow(one_job("echo deployed", job=JOB))
    run = emulator.dispatch()
    wait_until(lambda: emulator.actions.gate.pending(run))
    assert review(emulator, run.id, number, "alice", "rejected")[0] == 200
    emulator.finished_runs()
    assert (run.conclusion, run.results, run.job("one").started) == ("failure", {"one": "failure"}, None)
    assert "rejected by alice: Looked at it" in run.job("one").annotations[0].message


def test_self_review_can_be_prevented(emulator: ActionsEmulator) -> None:
    """The user who started the run may then not approve it; an App never may."""
    emulator.github.token("bob")
    number = protect(emulator, "alice", "bob", prevent_self_review=True)
    emulator.workflow(one_job("true", job=JOB))
    run = emulator.dispatch()
    wait_until(lambda: emulator.actions.gate.pending(run))
    assert review(emulator, run.id, number, "alice")[0] == 422
    bot = emulator.github.token("release[bot]", permissions={"deployments": "write"}, repository=REPOSITORY)
    body = {"environment_ids": [number], "state": "approved", "comment": ""}
    path = f"/repos/{REPOSITORY}/actions/runs/{run.id}/pending_deployments"
    assert emulator.api("POST", path, body, token=bot)[0] == 403
    assert review(emulator, run.id, number, "bob")[0] == 200
    emulator.finished_runs()
    assert run.conclusion == "success"


def test_waiting_run_leaves_its_worker_to_others_and_can_be_cancelled(make_emulator: Any) -> None:
    """With one worker, another run ends while the first waits."""
    emulator = make_emulator(concurrent_runs=1)
    protect(emulator, "alice")
    emulator.workflow(one_job("true").replace("name: x", "name: other"), name="other.yml")
    emulator.workflow(one_job("true", job=JOB))
    waiting = emulator.dispatch()
    wait_until(lambda: waiting.status == "waiting")
    other = emulator.actions.dispatch(REPOSITORY, "other.yml", "main", {}, actor="alice")
    emulator.actions.wait(30)
    assert (other.conclusion, waiting.status) == ("success", "waiting")
    emulator.actions.cancel(waiting.id)
    emulator.actions.wait(30)
    assert (waiting.conclusion, waiting.results) == ("cancelled", {"one": "cancelled"})


def test_wait_returns_when_its_condition_is_true(emulator: ActionsEmulator, tmp_path: Path) -> None:
    """A caller may wait for a job to need a review although another run goes on."""
    protect(emulator, "alice")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    emulator.workflow(one_job(f"cat {pipe}").replace("name: x", "name: other"), name="other.yml")
    emulator.workflow(one_job("true", job=JOB))
    other = emulator.actions.dispatch(REPOSITORY, "other.yml", "main", {}, actor="alice")
    waiting = emulator.dispatch()
    emulator.actions.wait(30, until=lambda: (waiting.status, other.status) == ("waiting", "in_progress"))
    assert (waiting.status, other.status) == ("waiting", "in_progress")
    pipe.write_text("go on\n", "utf-8")
    emulator.actions.wait(30)
    assert (waiting.status, other.conclusion) == ("waiting", "success")


def test_branch_policy_refuses_other_branches(emulator: ActionsEmulator) -> None:
    """The job fails with GitHub's message before it starts; a listed branch may deploy."""
    custom = {"deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True}}
    protect(emulator, **custom)
    status, policy = emulator.api("POST", f"{AT}/deployment-branch-policies", {"name": "release/*"})
    assert (status, policy["type"]) == (200, "branch")
    emulator.workflow(one_job("true", job=JOB))
    emulator.git("push", "--quiet", "origin", "HEAD:refs/heads/release/1", "HEAD:refs/heads/release/x/1")
    message = 'Branch "main" is not allowed to deploy to production due to environment protection rules.'
    for ref, conclusion in (("main", "failure"), ("release/1", "success"), ("release/x/1", "failure")):
        run = emulator.actions.dispatch(REPOSITORY, "x.yml", ref, {}, actor="alice")
        emulator.finished_runs()
        assert run.conclusion == conclusion, run.log
        assert run.job("one").annotations == [] or run.job("one").annotations[0].message == message.replace("main", ref)
    found = emulator.api("GET", f"{AT}/deployment-branch-policies")[1]
    assert found["total_count"] == 1
    assert found["branch_policies"][0]["name"] == "release/*"


def test_only_protected_branches_may_deploy(emulator: ActionsEmulator) -> None:
    """Branch protection makes a branch protected and a ruleset does not; without any, every branch may deploy."""
    protect(emulator, deployment_branch_policy={"protected_branches": True, "custom_branch_policies": False})
    emulator.workflow(one_job("true", job=JOB))
    ruleset = {
        "name": "main",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["refs/heads/main"], "exclude": []}},
        "rules": [{"type": "deletion"}],
    }
    assert emulator.api("POST", f"/repos/{REPOSITORY}/rulesets", ruleset)[0] == 201
    conclusions = []
    cases: list[dict[str, dict[str, Any]]] = [{}, {"other": {}}, {"other": {}, "main": {}}]
    for protections in cases:
        emulator.github.state.named(REPOSITORY).protections = protections
        run = emulator.dispatch()
        emulator.finished_runs()
        conclusions.append(run.conclusion)
    assert conclusions == ["success", "failure", "success"]


def test_secrets_and_variables_belong_to_their_environment(make_emulator: Any) -> None:
    """Only its jobs read them; they take precedence over the repository's. The API never returns a secret."""
    emulator = make_emulator(secrets={"KEY": "of-repository"}, variables={"STAGE": "none"})
    protect(emulator)
    key = emulator.api("GET", f"{AT}/secrets/public-key")[1]
    sealed = SealedBox(PublicKey(base64.b64decode(key["key"]))).encrypt(b"of-environment")
    secret = {"key_id": key["key_id"], "encrypted_value": base64.b64encode(sealed).decode()}
    assert emulator.api("PUT", f"{AT}/secrets/KEY", secret)[0] == 201
    assert emulator.api("PUT", f"{AT}/secrets/KEY", secret)[0] == 204
    assert emulator.api("PUT", f"{AT}/secrets/KEY", secret | {"encrypted_value": "AAAA"})[0] == 422
    assert set(emulator.api("GET", f"{AT}/secrets/KEY")[1]) == {"name", "created_at", "updated_at"}
    assert emulator.api("POST", f"{AT}/variables", {"name": "STAGE", "value": "live"})[0] == 201
    assert emulator.api("GET", f"{AT}/variables/STAGE")[1]["value"] == "live"
    assert emulator.api("GET", f"/repos/{REPOSITORY}/actions/variables")[1]["total_count"] == 0
    steps = 'steps: [{run: \'echo "${{ vars.STAGE }} $(printf %s "${{ secrets.KEY }}" | rev)"\'}]'
    emulator.workflow(
        "name: x\non: workflow_dispatch\njobs:\n"
        f"  inside: {{environment: Production, runs-on: ubuntu-latest, {steps}}}\n"
        f"  outside: {{runs-on: ubuntu-latest, {steps}}}\n"
    )
    run = emulator.dispatch()
    emulator.finished_runs()
    assert "live tnemnorivne-fo" in run.job("inside").log
    assert "none yrotisoper-fo" in run.job("outside").log


def test_subject_names_the_environment_in_the_form_of_the_repository(emulator: ActionsEmulator) -> None:
    """The setting switches to the immutable form; claims name ref, repository and the file of the job."""
    ask = (
        'curl -sf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=x"'
    )
    emulator.github.state.named(REPOSITORY).protections["main"] = {}
    emulator.workflow(one_job(f"{ask} | rev", job=f"{JOB}\n    permissions: {{id-token: write}}"))
    at = f"/repos/{REPOSITORY}/actions/oidc/customization/sub"
    assert emulator.api("PUT", at, {"use_default": True, "use_immutable_subject": True})[0] == 201
    record = emulator.github.state.named(REPOSITORY)
    assert emulator.api("GET", at)[1] == {
        "use_default": True,
        "use_immutable_subject": True,
        "sub_claim_prefix": f"repo:acme@{record.owner_id}/model@{record.id}",
    }
    run = emulator.dispatch()
    emulator.finished_runs()
    line = next(line for line in run.job("one").log.splitlines() if line.startswith("}"))
    token = line[::-1].partition('"value":"')[2].partition('"')[0]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["sub"] == f"repo:acme@{record.owner_id}/model@{record.id}:environment:production"
    assert (claims["environment"], claims["ref"], claims["ref_protected"]) == ("production", "refs/heads/main", "true")
    assert (claims["repository_id"], claims["repository_owner_id"]) == (str(record.id), str(record.owner_id))


def test_subject_template_of_the_repository_sets_the_claims_of_the_subject(emulator: ActionsEmulator) -> None:
    """A token has the template's claims in their order; the default comes back, and unknown keys are refused."""
    ask = (
        'curl -sf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=x"'
    )
    emulator.workflow(one_job(f"{ask} | rev", job=f"{JOB}\n    permissions: {{id-token: write}}"))
    at = f"/repos/{REPOSITORY}/actions/oidc/customization/sub"
    keys = ["repo", "context", "repository_visibility"]
    assert emulator.api("PUT", at, {"use_default": False, "include_claim_keys": keys})[0] == 201
    found = emulator.api("GET", at)[1]
    assert (found["use_default"], found["include_claim_keys"]) == (False, keys)
    run = emulator.dispatch()
    emulator.finished_runs()
    line = next(line for line in run.job("one").log.splitlines() if line.startswith("}"))
    token = line[::-1].partition('"value":"')[2].partition('"')[0]
    subject = jwt.decode(token, options={"verify_signature": False})["sub"]
    assert subject == f"repo:{REPOSITORY}:environment:production:repository_visibility:public"
    for refused in ({"use_default": False, "include_claim_keys": ["nothing"]}, {"use_default": False}, {}):
        assert emulator.api("PUT", at, refused)[0] == 422
    assert emulator.api("PUT", at, {"use_default": True})[0] == 201
    assert "include_claim_keys" not in emulator.api("GET", at)[1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"wait_timer": 5}, "wait_timer: the GitHub emulator does not delay jobs"),
        ({"reviewers": [{"type": "Team", "id": 1}]}, "has no teams"),
        ({"reviewers": [{"type": "User", "id": 1}]}, "no user has the id 1"),
        ({"reviewers": [{"type": "User", "id": 1}] * 7}, "at most 6"),
        (
            {"deployment_branch_policy": {"protected_branches": True, "custom_branch_policies": True}},
            "cannot have the same value",
        ),
    ],
)
def test_unsupported_protection_is_refused(emulator: ActionsEmulator, body: dict[str, Any], message: str) -> None:
    """Nothing that is not enforced is accepted."""
    status, answer = emulator.api("PUT", AT, body)
    assert status == 422
    assert message in answer["errors"][0]["message"]
    assert emulator.api("GET", AT)[0] == 404


def test_administrators_may_bypass_unless_it_is_set(emulator: ActionsEmulator) -> None:
    """As on GitHub, a request that lacks the setting restores the default."""
    protect(emulator, "alice", can_admins_bypass=False)
    assert emulator.api("GET", AT)[1]["can_admins_bypass"] is False
    assert emulator.api("PUT", AT, {"can_admins_bypass": "no"})[0] == 422
    assert emulator.api("GET", AT)[1]["can_admins_bypass"] is False
    protect(emulator, "alice")
    assert emulator.api("GET", AT)[1]["can_admins_bypass"] is True


def test_environment_is_read_back_as_github_shows_it(emulator: ActionsEmulator) -> None:
    """A setting that a later request lacks is removed; policies need custom_branch_policies."""
    custom = {"protected_branches": False, "custom_branch_policies": True}
    protect(emulator, "alice", prevent_self_review=True, deployment_branch_policy=custom)
    body = emulator.api("GET", AT)[1]
    kinds = {rule["type"]: rule for rule in body["protection_rules"]}
    assert set(kinds) == {"required_reviewers", "branch_policy"}
    assert kinds["required_reviewers"]["prevent_self_review"] is True
    assert kinds["required_reviewers"]["reviewers"][0]["reviewer"]["login"] == "alice"
    assert body["deployment_branch_policy"] == custom
    protect(emulator)
    body = emulator.api("GET", AT)[1]
    assert (body["protection_rules"], body["deployment_branch_policy"]) == ([], None)
    assert emulator.api("POST", f"{AT}/deployment-branch-policies", {"name": "main"})[0] == 404
    assert emulator.api("GET", f"/repos/{REPOSITORY}/environments")[1]["total_count"] == 1
    assert emulator.api("DELETE", AT)[0] == 204
    assert emulator.api("GET", AT)[0] == 404
