"""GITHUB_TOKEN, OIDC tokens and App tokens of runs."""

from __future__ import annotations

from collections.abc import Callable

import jwt
from actions_emulator import CHECKOUT, REPOSITORY, ActionsEmulator, one_job
from local_github.actions.oidc_issuer import ISSUER
from local_github.domain.tokens import WORKFLOW_LOGIN

ASK = 'curl -sf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=x"'


MakeEmulator = Callable[..., ActionsEmulator]


def test_workflow_token_has_its_grants_and_ends_with_the_run(
    emulator: ActionsEmulator,
) -> None:
    """Its push starts no run, its dispatch does; after the run the token is invalid."""
    push = "git push -q origin HEAD:refs/heads/bot"
    call = (
        'curl -s -o /dev/null -w "%{http_code}" -X POST -H "Authorization: Bearer $TOKEN" '
        '"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/workflows/other.yml/dispatches" -d \'{"ref":"main"}\''
    )
    issue = call.replace("actions/workflows/other.yml/dispatches", "issues").replace('"ref"', '"title"')
    emulator.push(
        {
            ".github/workflows/other.yml": one_job("true", on="[push, workflow_dispatch]").replace(
                "name: x", "name: other"
            )
        },
        "Add [skip ci]",
    )
    emulator.workflow(
        f"""name: x
on: workflow_dispatch
permissions: {{}}
jobs:
  one:
    runs-on: ubuntu-latest
    permissions: {{contents: write, actions: write}}
    steps:
      - uses: {CHECKOUT}
      - run: git -c user.name=b -c user.email=b@c commit -q --allow-empty -m bot && {push}
      - env: {{TOKEN: "${{{{ github.token }}}}"}}
        run: |
          echo "dispatched $({call})"
          echo "issue $({issue})"
          echo "$TOKEN" | rev
"""
    )
    emulator.dispatch()
    runs = emulator.finished_runs()
    log = runs[-1].job("one").log
    assert sorted((run.workflow, run.event) for run in runs) == [
        ("other", "workflow_dispatch"),
        ("x", "workflow_dispatch"),
    ]
    assert "dispatched 204" in log
    assert "issue 403" in log
    token = next(line for line in log.splitlines() if line.endswith("shg"))[::-1]
    assert runs[-1].conclusion == "success"
    assert token.startswith("ghs_")
    assert emulator.api("GET", f"/repos/{REPOSITORY}", token=token)[0] == 401


def test_oidc_token_needs_id_token_write(emulator: ActionsEmulator) -> None:
    """The subject names the job's environment; a job cannot request another job's token."""
    emulator.workflow(
        f"""name: x
on: workflow_dispatch
permissions: {{}}
jobs:
  branch:
    runs-on: ubuntu-latest
    permissions: {{id-token: write}}
    steps:
      - run: '{ASK} | tee token.json | rev'
      - run: |
          header="Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN"
          curl -s -o /dev/null -w "%{{http_code}}" -H "$header" "${{ACTIONS_ID_TOKEN_REQUEST_URL/branch/deploy}}"
  deploy:
    runs-on: ubuntu-latest
    environment: {{name: production, url: "https://example.com"}}
    permissions: {{id-token: write}}
    steps:
      - run: '{ASK} | rev'
  none:
    runs-on: ubuntu-latest
    permissions: {{contents: read}}
    steps:
      - run: 'echo "[$ACTIONS_ID_TOKEN_REQUEST_TOKEN]"'
"""
    )
    run = emulator.dispatch()
    emulator.finished_runs()
    assert run.conclusion == "success", run.log
    key = jwt.PyJWK(emulator.actions.issuer.jwks()["keys"][0])

    def claims(job: str) -> dict[str, str]:
        line = next(line for line in run.job(job).log.splitlines() if line.startswith("}"))
        token = line[::-1].partition('"value":"')[2].partition('"')[0]
        decoded: dict[str, str] = jwt.decode(token, key.key, algorithms=["RS256"], audience="x", issuer=ISSUER)
        return decoded

    branch, deploy = claims("branch"), claims("deploy")
    assert branch["sub"] == f"repo:{REPOSITORY}:ref:refs/heads/main"
    assert "environment" not in branch
    assert deploy["sub"] == f"repo:{REPOSITORY}:environment:production"
    assert deploy["environment"] == "production"
    assert deploy["job_workflow_ref"] == f"{REPOSITORY}/.github/workflows/x.yml@refs/heads/main"
    assert "401" in run.job("branch").log
    assert "[]" in run.job("none").log


def test_oidc_subject_contains_ids_if_configured(make_emulator: MakeEmulator) -> None:
    """This is the form of repositories created since July 2026."""
    emulator = make_emulator(with_ids=True)
    emulator.workflow(one_job(f"{ASK} | rev", job="    permissions: {id-token: write}"))
    run = emulator.dispatch()
    emulator.finished_runs()
    line = next(line for line in run.job("one").log.splitlines() if line.startswith("}"))
    token = line[::-1].partition('"value":"')[2].partition('"')[0]
    record = emulator.github.state.named(REPOSITORY)
    expected = f"repo:acme@{record.owner_id}/model@{record.id}:ref:refs/heads/main"
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == expected


def test_pull_request_runs_on_the_test_merge(emulator: ActionsEmulator) -> None:
    """Opening and pushing start runs, closing does not; the OIDC subject is pull_request."""
    emulator.push({"a": "1"})
    emulator.workflow(
        one_job(
            f"git rev-list --count HEAD || true\n{ASK} | rev\nls",
            on="pull_request",
            job="    permissions: {id-token: write}",
        )
    )
    emulator.push({"b": "2"}, "Side", branch="side")
    pull = emulator.open_pull_request("side", "Bring b")
    run = emulator.last_run()
    assert (run.conclusion, run.title, run.branch, run.event) == ("success", "Bring b", "side", "pull_request"), run.log
    assert run.sha == emulator.git("rev-parse", "HEAD")
    assert run.commit != run.sha
    line = next(line for line in run.job("one").log.splitlines() if line.startswith("}"))
    token = line[::-1].partition('"value":"')[2].partition('"')[0]
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == f"repo:{REPOSITORY}:pull_request"
    emulator.push({"b": "3"}, "More", branch="side")
    assert len(emulator.finished_runs()) == 2
    emulator.api("PATCH", f"/repos/{REPOSITORY}/pulls/{pull['number']}", {"state": "closed"})
    assert len(emulator.finished_runs()) == 2


def test_fork_pull_request_is_read_only(make_emulator: MakeEmulator) -> None:
    """It gets no secrets, repository variables or OIDC token, and a token that may only read."""
    emulator = make_emulator(secrets={"APP_KEY": "sesame"}, variables={"HERE": "yes"})
    emulator.github.state.named(REPOSITORY).variables["ROLE"] = "arn"
    text = one_job(
        'echo "[${{ secrets.APP_KEY }}][${{ vars.ROLE }}][$ACTIONS_ID_TOKEN_REQUEST_TOKEN][${{ vars.HERE }}]"\n'
        'curl -s -o /dev/null -w "%{http_code}\\n" -X POST -H "Authorization: Bearer ${{ github.token }}" '
        '"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues" -d \'{"title":"t"}\'',
        on="pull_request",
        top="permissions: {issues: write, id-token: write}",
    )
    emulator.workflow(text)
    status, fork = emulator.api("POST", f"/repos/{REPOSITORY}/forks", {}, token=emulator.github.token("mallory"))
    assert status == 202
    mallory = emulator.github.token("mallory")
    emulator.write({"evil": "1"})
    emulator.git("add", "--all")
    emulator.git("commit", "--quiet", "--message", "Evil")
    address = f"{emulator.github.url}/{fork['full_name']}.git".replace("://", f"://x:{mallory}@")
    emulator.git("-c", "http.extraHeader=", "push", "--quiet", address, "HEAD:refs/heads/evil")
    status, pull = emulator.api(
        "POST", f"/repos/{REPOSITORY}/pulls", {"title": "t", "head": "mallory:evil", "base": "main"}, token=mallory
    )
    assert status == 201, pull
    run = emulator.last_run()
    assert run.fork
    assert run.conclusion == "success", run.log
    assert "[][][][yes]" in run.job("one").log
    assert "403" in run.job("one").log


def test_app_token_starts_workflows(make_emulator: MakeEmulator) -> None:
    """A push with an App token starts a run; a wrong private key fails the step."""
    emulator = make_emulator(secrets={"KEY": "-----BEGIN-----\nxyz\n-----END-----", "WRONG": "other"})
    emulator.actions.install_app("42", slug="release-bot", private_key="-----BEGIN-----\nxyz\n-----END-----\n")
    action = "actions/create-github-app-token@1b10c78c7865c340bc4f6099eb2f838309f1e8c3"
    push = "git push -q origin HEAD:refs/heads/bot"
    steps = f"""
      - id: app
        uses: {action}
        with: {{app-id: "42", private-key: "${{{{ secrets.KEY }}}}", permission-contents: write}}
      - uses: {CHECKOUT}
        with: {{token: "${{{{ steps.app.outputs.token }}}}"}}
      - run: git -c user.name=b -c user.email=b@c commit -q --allow-empty -m bot && {push}
      - uses: {action}
        with: {{app-id: "42", private-key: "${{{{ secrets.WRONG }}}}"}}
"""
    emulator.push(
        {
            ".github/workflows/other.yml": one_job("true", on="{push: {branches: [bot]}}").replace(
                "name: x", "name: other"
            )
        },
        "Add [skip ci]",
    )
    emulator.workflow(f"name: x\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:{steps}")
    emulator.dispatch()
    runs = {run.workflow: run for run in emulator.finished_runs()}
    assert runs["other"].actor == "release-bot[bot]"
    assert [step.conclusion for step in runs["x"].jobs[0].steps[1:5]] == ["success", "success", "success", "failure"]


def test_workflow_token_acts_as_github_actions(emulator: ActionsEmulator) -> None:
    """The author of its issues is github-actions[bot]."""
    assert WORKFLOW_LOGIN == "github-actions[bot]"
    text = one_job(
        'curl -s -X POST -H "Authorization: Bearer ${{ github.token }}" '
        '"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues" -d \'{"title":"t"}\'',
        top="permissions: {issues: write}",
    )
    emulator.workflow(text)
    emulator.dispatch()
    emulator.finished_runs()
    assert emulator.api("GET", f"/repos/{REPOSITORY}/issues")[1][0]["user"]["login"] == WORKFLOW_LOGIN
