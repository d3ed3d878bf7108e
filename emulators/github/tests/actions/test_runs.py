"""Real workflow files, run by act as GitHub would run them, on a repository of the local GitHub."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import jwt
import psutil
import pytest
from local_github.actions import override_program
from local_github.actions.act_runner import MARK
from local_github.actions.oidc_issuer import ISSUER
from local_github.actions.run_records import Run
from local_github.actions.workflow_file import WorkflowInvalid
from local_github.domain.tokens import WORKFLOW_LOGIN
from workflow_runs import CHECKOUT, REPOSITORY, World

MakeWorld = Callable[..., World]
ASK = 'curl -sf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=x"'


def one_job(run: str, *, on: str = "workflow_dispatch", top: str = "", job: str = "") -> str:
    """A workflow with one job of one step."""
    body = "\n".join(f"          {line}" for line in run.splitlines())
    return f"""name: x
on: {on}
{top}
jobs:
  one:
    runs-on: ubuntu-latest
{job}
    steps:
      - name: do
        run: |
{body}
"""


def dispatch(world: World, **inputs: str) -> Run:
    """Starts x.yml on main by hand."""
    return world.actions.dispatch(REPOSITORY, "x.yml", "main", inputs, actor="alice")


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Waits for another thread's work to show."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def leftovers(run: Run) -> list[psutil.Process]:
    """Processes that a run started and that are still there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(str(run.folder)):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


# --- from a push to results


def test_a_push_starts_the_workflows_that_listen_to_its_paths_and_no_other(world: World) -> None:
    """A commit to a listed folder starts one; a commit to README starts nothing; a tag neither."""
    world.workflow(one_job("echo hello", on="{push: {branches: [main], paths: ['training/**']}}"))
    world.push({"README.md": "x"})
    world.git("tag", "v1")
    world.git("push", "--quiet", "origin", "v1")
    assert world.settle() == []
    commit = world.push({"training/gate.yaml": "min: 1"}, "Raise the gate")
    run = world.last()
    assert (run.conclusion, run.results, run.title) == ("success", {"one": "success"}, "Raise the gate")
    assert (run.event, run.sha, run.branch, run.actor, run.number, run.attempt) == (
        "push",
        commit,
        "main",
        "alice",
        1,
        1,
    )
    assert "hello" in run.job("one").log
    assert [(step.name, step.conclusion) for step in run.jobs[0].steps] == [
        ("Set up job", "success"),
        ("do", "success"),
        ("Complete job", "success"),
    ]


def test_jobs_pass_outputs_and_artifacts_on_and_end_as_their_steps_do(world: World) -> None:
    """needs, outputs, matrices, skipped jobs, continue-on-error, annotations, summaries."""
    world.workflow(
        f"""name: all
run-name: all of ${{{{ github.ref_name }}}}
on: workflow_dispatch
jobs:
  make:
    name: Make it
    runs-on: ubuntu-latest
    outputs: {{value: "${{{{ steps.set.outputs.value }}}}"}}
    steps:
      - uses: {CHECKOUT} # v7.0.1
        with: {{persist-credentials: false}}
      - id: set
        run: |
          echo "value=5" >> "$GITHUB_OUTPUT"
          echo "# Made" >> "$GITHUB_STEP_SUMMARY"
          mkdir -p out/deep && echo data > out/deep/a.txt && echo hidden > out/.secret
          echo "::warning file=a.py,line=3,title=Careful::mind the gap"
      - run: exit 3
        continue-on-error: true
      - uses: actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f
        with: {{name: data, path: out}}
  use:
    needs: make
    runs-on: ubuntu-latest
    strategy: {{fail-fast: false, matrix: {{v: [1, 2]}}}}
    steps:
      - uses: actions/download-artifact@3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c
        with: {{name: data, path: got}}
      - run: test "$(cat got/deep/a.txt)" = data && ! test -e got/.secret
      - run: test ${{{{ needs.make.outputs.value }}}} = 5
      - run: exit ${{{{ matrix.v == 2 && 1 || 0 }}}}
      - if: failure()
        run: echo "::error::second of the matrix"
  never:
    if: github.ref == 'refs/heads/other'
    runs-on: ubuntu-latest
    steps: [{{run: "true"}}]
  after:
    needs: use
    runs-on: ubuntu-latest
    steps: [{{run: "true"}}]
"""
    )
    dispatch(world)
    run = world.last()
    assert run.conclusion == "failure", run.log
    assert run.title == "all of main"
    assert run.results == {
        "Make it": "success",
        "use (1)": "success",
        "use (2)": "failure",
        "never": "skipped",
        "after": "skipped",
    }, run.log
    made = run.job("make")
    assert run.summary.strip() == "# Made"
    assert made.outputs["set"] == {"value": "5"}
    note = made.annotations[0]
    assert (note.level, note.message, note.path, note.line, note.title) == (
        "warning",
        "mind the gap",
        "a.py",
        3,
        "Careful",
    )
    assert made.steps[3].conclusion == "success"
    assert run.job("use (2)").annotations[0].message == "second of the matrix"
    assert (run.artifacts / "data" / "deep" / "a.txt").read_text() == "data\n"


def test_a_job_finds_githubs_variables_and_none_of_the_callers(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home of its own, no static AWS keys, nothing of the shell that started the server, no prompts."""
    monkeypatch.setenv("CALLERS_OWN", "leaked")
    world = make_world(
        environment={
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID": "AKIA",
            "AWS_SECRET_ACCESS_KEY": "s",
        },
        variables={"FRAUDOPS_REGION": "eu-central-1"},
    )
    world.workflow(
        one_job(
            'env | sort\necho "region=${{ vars.FRAUDOPS_REGION }}"\n'
            'echo "sha=${{ github.sha }} run=${{ github.run_id }}"'
        )
    )
    run = dispatch(world)
    world.settle()
    log = run.job("one").log
    lines = log.splitlines()
    assert "AWS_ENDPOINT_URL=http://127.0.0.1:1" in lines
    assert "AWS_ACCESS_KEY_ID" not in log
    assert "AWS_SECRET_ACCESS_KEY" not in log
    assert "CALLERS_OWN" not in log
    for line in (
        f"GITHUB_SERVER_URL={world.github.url}",
        f"GITHUB_API_URL={world.github.api_url}",
        f"GITHUB_GRAPHQL_URL={world.github.graphql_url}",
        f"GITHUB_REPOSITORY={REPOSITORY}",
        f"GITHUB_RUN_ID={run.id}",
        "GITHUB_RUN_NUMBER=1",
        "GITHUB_RUN_ATTEMPT=1",
        "GITHUB_REF=refs/heads/main",
        f"GITHUB_SHA={run.sha}",
        "GITHUB_ACTOR=alice",
        "GIT_TERMINAL_PROMPT=0",
        "region=eu-central-1",
        f"sha={run.sha} run={run.id}",
    ):
        assert line in lines
    home = next(line for line in lines if line.startswith("HOME="))
    assert home.startswith(f"HOME={run.folder}")


def test_files_that_act_reads_by_itself_have_no_say(world: World) -> None:
    """.env, .secrets, .vars and .actrc of a repository are not configuration on GitHub, so nor here."""
    world.push({".env": "A=from-env", ".secrets": "S=from-secrets", ".vars": "V=from-vars", ".actrc": "--dryrun\n"})
    world.workflow(one_job('echo "[$A][${{ secrets.S }}][${{ vars.V }}]"'))
    dispatch(world)
    assert "[][][]" in world.last().job("one").log


def test_secrets_reach_steps_whole_and_are_masked_in_logs(make_world: MakeWorld) -> None:
    """Several lines, quotes and dollars included; GITHUB_TOKEN as well."""
    value = "-----BEGIN KEY-----\na'b\"c$HOME\n-----END KEY-----"
    world = make_world(secrets={"APP_KEY": value, "PLAIN": "plainsecret"})
    text = one_job('printf %s "$KEY" | sha256sum\necho "token ${{ github.token }} plainsecret"')
    world.workflow(text.replace("        run: |", "        env: {KEY: '${{ secrets.APP_KEY }}'}\n        run: |"))
    dispatch(world)
    log = world.last().job("one").log
    import hashlib

    assert hashlib.sha256(value.encode()).hexdigest() in log
    assert "plainsecret" not in log
    assert "token *** ***" in log


def test_inputs_are_text_and_never_code(world: World) -> None:
    """What a dispatch gives reaches a step through env as it is, and nothing of it runs."""
    on = "{workflow_dispatch: {inputs: {reason: {type: string, required: true}, dry: {type: boolean, default: true}}}}"
    text = one_job('echo "reason=[$REASON] dry=$DRY"\nls', on=on)
    world.workflow(
        text.replace(
            "        run: |", "        env: {REASON: '${{ inputs.reason }}', DRY: '${{ inputs.dry }}'}\n        run: |"
        )
    )
    reason = "\"; touch hacked; echo $(touch hacked2) `touch hacked3` ${HOME} 'x"
    dispatch(world, reason=reason)
    log = world.last().job("one").log
    assert f"reason=[{reason}] dry=true" in log
    assert "\nhacked" not in log


# --- what is refused, loudly


@pytest.mark.parametrize(
    ("job", "step", "message"),
    [
        ("runs-on: windows-latest", "run: a", "no runner here has the label 'windows-latest'"),
        ("runs-on: ubuntu-latest\n    container: alpine", "run: a", "container needs Docker"),
        ("runs-on: ubuntu-latest\n    services: {db: {image: x}}", "run: a", "services needs Docker"),
        ("runs-on: ubuntu-latest", "uses: acme/thing@v1", "no local stand-in for acme/thing@v1"),
        ("runs-on: ubuntu-latest", f"uses: {CHECKOUT}\n        with: {{lfs: true}}", "has no input lfs"),
        (
            "runs-on: ubuntu-latest\n    environment: '${{ secrets.X }}'\n    permissions: {id-token: write}",
            "run: a",
            "cannot evaluate",
        ),
        ("runs-on: ubuntu-latest\n    concurrency: '${{ hashFiles(1) }}'", "run: a", "cannot evaluate"),
    ],
)
def test_what_cannot_run_here_fails_the_run_with_a_reason(world: World, job: str, step: str, message: str) -> None:
    """Where act would skip it with exit code 0, or ignore it."""
    world.workflow(f"name: x\non: workflow_dispatch\njobs:\n  one:\n    {job}\n    steps:\n      - {step}\n")
    run = dispatch(world)
    world.settle()
    assert run.conclusion == "startup_failure"
    assert message in run.message


def test_a_broken_workflow_file_is_a_failed_run_of_its_push(world: World) -> None:
    """As GitHub lists it, so that nobody takes silence for success; a dispatch of it is refused."""
    world.push({".github/workflows/x.yml": "on: push\njobs: {}\n"})
    run = world.last()
    assert (run.conclusion, run.message) == ("startup_failure", ".github/workflows/x.yml: has no jobs")
    with pytest.raises(WorkflowInvalid):
        dispatch(world)


def test_a_commit_may_ask_to_start_nothing(world: World) -> None:
    """[skip ci] in the head commit's message."""
    world.workflow(one_job("true", on="push"), message="Add")
    world.push({"a": "1"}, "Later [skip ci]")
    assert [run.title for run in world.settle()] == ["Add"]


# --- tokens and identities


def test_the_workflow_token_may_do_what_is_granted_starts_nothing_and_ends_with_its_run(world: World) -> None:
    """A push by it starts no run, a dispatch by it does; after the run it is nobody's."""
    push = "git push -q origin HEAD:refs/heads/bot"
    call = (
        'curl -s -o /dev/null -w "%{http_code}" -X POST -H "Authorization: Bearer $TOKEN" '
        '"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/actions/workflows/other.yml/dispatches" -d \'{"ref":"main"}\''
    )
    issue = call.replace("actions/workflows/other.yml/dispatches", "issues").replace('"ref"', '"title"')
    world.push(
        {
            ".github/workflows/other.yml": one_job("true", on="[push, workflow_dispatch]").replace(
                "name: x", "name: other"
            )
        },
        "Add [skip ci]",
    )
    world.workflow(
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
    dispatch(world)
    runs = world.settle()
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
    assert world.api("GET", f"/repos/{REPOSITORY}", token=token)[0] == 401


def test_a_checkout_leaves_credentials_only_where_it_is_asked_to(world: World) -> None:
    """persist-credentials: false removes the header, so that a push is refused; a path and a ref are honoured."""
    world.push({"a.txt": "one\n"})
    world.push({"a.txt": "two\n"}, branch="side")
    world.git("reset", "--quiet", "--hard", "HEAD~1")
    steps = f"""
      - uses: {CHECKOUT}
        with: {{persist-credentials: false, path: quiet, ref: side, fetch-depth: 0}}
      - run: |
          cat quiet/a.txt && git -C quiet rev-list --count HEAD && git -C quiet branch --show-current
          ! grep -ri authorization quiet/.git
          ! git -C quiet push -q origin HEAD:refs/heads/new 2> error.txt && grep -qiE 'auth|username|403|401' error.txt
      - uses: {CHECKOUT}
        with: {{path: loud}}
      - run: cat loud/a.txt && git -C loud rev-list --count HEAD && git -C loud push -q origin HEAD:refs/heads/new
"""
    world.workflow(
        "name: x\non: workflow_dispatch\npermissions: {contents: write}\n"
        f"jobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:{steps}"
    )
    dispatch(world)
    run = world.last()
    assert run.conclusion == "success", run.log
    assert "two\n2\nside\n" in run.log
    assert "one\n1\n" in run.log
    assert world.git("ls-remote", "origin", "refs/heads/new")


def test_only_a_job_with_id_token_write_gets_an_identity_and_only_its_own(world: World) -> None:
    """The subject names the environment where the job has one; the other job finds nothing to ask with."""
    world.workflow(
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
    run = dispatch(world)
    world.settle()
    assert run.conclusion == "success", run.log
    key = jwt.PyJWK(world.actions.issuer.jwks()["keys"][0])

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


def test_subjects_carry_ids_where_the_setting_says_so(make_world: MakeWorld) -> None:
    """The form of repositories made since July 2026."""
    world = make_world(with_ids=True)
    world.workflow(one_job(f"{ASK} | rev", job="    permissions: {id-token: write}"))
    run = dispatch(world)
    world.settle()
    line = next(line for line in run.job("one").log.splitlines() if line.startswith("}"))
    token = line[::-1].partition('"value":"')[2].partition('"')[0]
    record = world.github.state.named(REPOSITORY)
    expected = f"repo:acme@{record.owner_id}/model@{record.id}:ref:refs/heads/main"
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == expected


def test_a_pull_request_runs_on_the_merge_of_both_sides(world: World) -> None:
    """Opened and pushed to again; its identity says pull_request; closing starts nothing."""
    world.push({"a": "1"})
    world.workflow(
        one_job(
            f"git rev-list --count HEAD || true\n{ASK} | rev\nls",
            on="pull_request",
            job="    permissions: {id-token: write}",
        )
    )
    world.push({"b": "2"}, "Side", branch="side")
    pull = world.open_pull("side", "Bring b")
    run = world.last()
    assert (run.conclusion, run.title, run.branch, run.event) == ("success", "Bring b", "side", "pull_request"), run.log
    assert run.sha == world.git("rev-parse", "HEAD")
    assert run.commit != run.sha
    line = next(line for line in run.job("one").log.splitlines() if line.startswith("}"))
    token = line[::-1].partition('"value":"')[2].partition('"')[0]
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == f"repo:{REPOSITORY}:pull_request"
    world.push({"b": "3"}, "More", branch="side")
    assert len(world.settle()) == 2
    world.api("PATCH", f"/repos/{REPOSITORY}/pulls/{pull['number']}", {"state": "closed"})
    assert len(world.settle()) == 2


def test_a_forks_pull_request_reads_and_no_more(make_world: MakeWorld) -> None:
    """No secrets, no variables of the repository, no identity, a token that may read, whatever the workflow grants."""
    world = make_world(secrets={"APP_KEY": "sesame"}, variables={"HERE": "yes"})
    world.github.state.named(REPOSITORY).variables["ROLE"] = "arn"
    text = one_job(
        'echo "[${{ secrets.APP_KEY }}][${{ vars.ROLE }}][$ACTIONS_ID_TOKEN_REQUEST_TOKEN][${{ vars.HERE }}]"\n'
        'curl -s -o /dev/null -w "%{http_code}\\n" -X POST -H "Authorization: Bearer ${{ github.token }}" '
        '"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues" -d \'{"title":"t"}\'',
        on="pull_request",
        top="permissions: {issues: write, id-token: write}",
    )
    world.workflow(text)
    status, fork = world.api("POST", f"/repos/{REPOSITORY}/forks", {}, token=world.github.token("mallory"))
    assert status == 202
    mallory = world.github.token("mallory")
    world.write({"evil": "1"})
    world.git("add", "--all")
    world.git("commit", "--quiet", "--message", "Evil")
    address = f"{world.github.url}/{fork['full_name']}.git".replace("://", f"://x:{mallory}@")
    world.git("-c", "http.extraHeader=", "push", "--quiet", address, "HEAD:refs/heads/evil")
    status, pull = world.api(
        "POST", f"/repos/{REPOSITORY}/pulls", {"title": "t", "head": "mallory:evil", "base": "main"}, token=mallory
    )
    assert status == 201, pull
    run = world.last()
    assert run.fork
    assert run.conclusion == "success", run.log
    assert "[][][][yes]" in run.job("one").log
    assert "403" in run.job("one").log


def test_an_app_token_starts_workflows_which_a_workflows_own_does_not(make_world: MakeWorld) -> None:
    """For Apps that are installed, whose key is theirs."""
    world = make_world(secrets={"KEY": "-----BEGIN-----\nxyz\n-----END-----", "WRONG": "other"})
    world.actions.install_app("42", slug="fraudops-bot", private_key="-----BEGIN-----\nxyz\n-----END-----\n")
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
    world.push(
        {
            ".github/workflows/other.yml": one_job("true", on="{push: {branches: [bot]}}").replace(
                "name: x", "name: other"
            )
        },
        "Add [skip ci]",
    )
    world.workflow(f"name: x\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:{steps}")
    dispatch(world)
    runs = {run.workflow: run for run in world.settle()}
    assert runs["other"].actor == "fraudops-bot[bot]"
    assert [step.conclusion for step in runs["x"].jobs[0].steps[1:5]] == ["success", "success", "success", "failure"]


# --- groups, cancellation, timeouts, attempts


def test_a_group_lets_one_go_and_cancels_older_waiting_runs(world: World) -> None:
    """What goes is left alone; of three that wait only the newest is left."""
    world.workflow(
        one_job(
            "until test -e go; do sleep 0.05; done".replace("go", str(world.folder / "go")),
            top="concurrency: {group: deploy}",
        )
    )
    first, second, third = dispatch(world), dispatch(world), dispatch(world)
    until(lambda: first.status == "in_progress")
    assert (second.status, second.conclusion, third.status) == ("completed", "cancelled", "pending")
    assert str(third.id) in second.message
    (world.folder / "go").touch()
    world.settle()
    assert [run.conclusion for run in (first, second, third)] == ["success", "cancelled", "success"]


def test_cancel_in_progress_ends_the_run_that_goes(world: World) -> None:
    """And its clean-up runs before the next begins."""
    top = "concurrency: {group: 'ci-${{ github.ref }}', cancel-in-progress: true}"
    text = one_job("echo started\nif [ $GITHUB_RUN_NUMBER = 1 ]; then sleep 60; fi", top=top)
    world.workflow(text + "      - if: always()\n        run: echo cleaned\n")
    first = dispatch(world)
    until(lambda: bool(first.jobs) and "started" in first.jobs[0].log)
    second = dispatch(world)
    world.settle()
    assert (first.conclusion, second.conclusion) == ("cancelled", "success")
    assert "cleaned" in first.job("one").log
    assert first.results == {"one": "cancelled"}


def test_a_cancelled_run_cleans_up_starts_no_other_job_and_leaves_no_process(world: World) -> None:
    """if: always() and cancelled() run; jobs that wait for it do not, even with always()."""
    text = one_job("sleep 300 & echo started; wait") + (
        "      - if: always()\n        run: echo always\n      - if: cancelled()\n        run: echo cancelled\n"
        "      - run: echo unreached\n"
        "  two: {needs: one, if: always(), runs-on: ubuntu-latest, steps: [{run: echo two}]}\n"
    )
    world.workflow(text)
    run = dispatch(world)
    until(lambda: bool(run.jobs) and "\nstarted" in run.jobs[0].log)
    assert world.actions.cancel(run.id)
    world.settle()
    assert (run.conclusion, run.results) == ("cancelled", {"one": "cancelled", "two": "cancelled"}), run.log
    log = run.job("one").log
    assert "\nalways\n" in log
    assert "\ncancelled\n" in log
    assert "\nunreached\n" not in log
    assert leftovers(run) == []
    assert not world.actions.cancel(run.id)


def test_cancelling_twice_kills_even_the_clean_up(world: World) -> None:
    """As force-cancel does."""
    world.workflow(one_job("echo started; sleep 60") + "      - if: always()\n        run: echo cleaning; sleep 60\n")
    run = dispatch(world)
    until(lambda: bool(run.jobs) and "started" in run.jobs[0].log)
    world.actions.cancel(run.id)
    until(lambda: "cleaning" in run.jobs[0].log)
    world.actions.cancel(run.id)
    world.settle(10)
    assert run.conclusion == "cancelled"
    assert leftovers(run) == []


def test_a_job_that_takes_longer_than_it_may_is_ended(world: World) -> None:
    """act ignores timeout-minutes; here the step is killed, clean-up runs, and the run does not end green."""
    text = one_job("echo started; sleep 60", job="    timeout-minutes: 0.02")
    world.workflow(text + "      - if: always()\n        run: echo cleaned\n      - run: echo unreached\n")
    run = dispatch(world)
    world.settle()
    assert (run.conclusion, run.results) == ("cancelled", {"one": "cancelled"}), run.log
    assert "exceeded the maximum execution time" in run.job("one").annotations[0].message
    assert "\ncleaned\n" in run.job("one").log
    assert "\nunreached\n" not in run.job("one").log


def test_a_rerun_is_another_attempt_of_the_same_run(world: World) -> None:
    """Same id, number and commit, though main has moved; the former attempt's jobs stay to be read."""
    world.workflow(one_job('echo "attempt $GITHUB_RUN_ATTEMPT of $GITHUB_SHA"\ntest $GITHUB_RUN_ATTEMPT = 2'))
    run = dispatch(world)
    world.settle()
    assert run.conclusion == "failure"
    commit = run.sha
    world.push({"a": "1"})
    assert world.actions.rerun(run.id, actor="bob") is run
    world.settle()
    assert (run.attempt, run.conclusion, run.sha, run.triggered_by) == (2, "success", commit, "bob")
    assert f"attempt 2 of {commit}" in run.job("one").log
    assert run.former[1][0].conclusion == "failure"
    assert len(world.actions.runs()) == 1


def test_no_more_runs_go_than_there_are_places(make_world: MakeWorld) -> None:
    """Others are queued and begin in order."""
    world = make_world(concurrent_runs=1)
    world.workflow(one_job("sleep 0.2; date +%s%N"))
    runs = [dispatch(world) for _ in range(3)]
    until(lambda: runs[0].status == "in_progress")
    assert [run.status for run in runs[1:]] == ["queued", "queued"]
    world.settle()
    ends = [int(next(line for line in run.log.splitlines() if line.isdigit())) for run in runs]
    assert ends == sorted(ends)


def test_waiting_has_an_end_and_says_what_still_goes(world: World) -> None:
    """TimeoutError names the run."""
    world.workflow(one_job("sleep 60"))
    dispatch(world)
    with pytest.raises(TimeoutError, match=r"x #1 \("):
        world.actions.wait(0.1)


def test_stopping_ends_runs_and_leaves_no_process(make_world: MakeWorld) -> None:
    """What goes is killed, what waits is cancelled."""
    world = make_world(concurrent_runs=1)
    world.workflow(one_job("echo started; sleep 300"))
    first, second = dispatch(world), dispatch(world)
    until(lambda: bool(first.jobs) and "started" in first.jobs[0].log)
    world.actions.close()
    assert (first.conclusion, second.conclusion) == ("cancelled", "cancelled")
    assert leftovers(first) == []


# --- time, chains and switches


def test_schedules_fire_by_their_line_or_when_their_minute_comes(world: World) -> None:
    """On the default branch, with the line in the event."""
    world.workflow(one_job('echo "line=${{ github.event.schedule }}"', on="{schedule: [{cron: '17 4 * * *'}]}"))
    assert world.actions.fire_schedule("0 0 * * *") == []
    assert [run.event for run in world.actions.fire_schedule("17 4 * * *")] == ["schedule"]
    assert world.actions.tick(datetime(2026, 3, 1, 4, 16, tzinfo=UTC)) == []
    assert len(world.actions.tick(datetime(2026, 3, 1, 4, 17, tzinfo=UTC))) == 1
    assert "line=17 4 * * *" in world.last().job("one").log


def test_a_run_may_follow_on_another(world: World) -> None:
    """workflow_run, with what the other's conclusion was."""
    world.push(
        {
            ".github/workflows/after.yml": one_job(
                'echo "after ${{ github.event.workflow_run.conclusion }}"',
                on="{workflow_run: {workflows: [x], types: [completed]}}",
            ).replace("name: x", "name: after")
        },
        "Add [skip ci]",
    )
    world.workflow(one_job("exit 1"))
    dispatch(world)
    runs = world.settle()
    assert [(run.workflow, run.conclusion) for run in runs] == [("after", "success"), ("x", "failure")]
    assert "after failure" in runs[0].log


def test_a_disabled_workflow_starts_no_more(world: World) -> None:
    """Until it is enabled again."""
    world.workflow(one_job("true", on="push"))
    world.actions.enable(REPOSITORY, ".github/workflows/x.yml", on=False)
    world.push({"a": "1"})
    assert world.settle() == []
    world.actions.enable(REPOSITORY, ".github/workflows/x.yml", on=True)
    world.push({"a": "2"})
    assert len(world.settle()) == 1


def test_events_of_many_pushes_at_once_are_all_taken(world: World) -> None:
    """Pushes from several threads, each to its own branch: a run for each."""
    world.workflow(one_job("true", on="{push: {branches: ['b*']}}"))
    names = [f"b{number}" for number in range(4)]
    threads = [
        threading.Thread(target=world.git, args=("push", "--quiet", "origin", f"HEAD:refs/heads/{name}"))
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.branch for run in world.settle()) == []  # the head commit says [skip ci]
    world.push({"a": "1"}, "Go", branch="b9")
    assert [run.branch for run in world.settle()] == ["b9"]


def test_caches_come_back_by_key_and_prefix_and_tools_stay_where_they_are(world: World) -> None:
    """Saved paths return in another run's workspace; what lies in the tool cache needs no saving."""
    cache = "27d5ce7f107fe9357f9df03efb73ab90386fccae"
    steps = f"""
      - id: tools
        uses: actions/cache@{cache}
        with: {{path: "${{{{ runner.tool_cache }}}}/fraudops/k1", key: env-k1}}
      - id: data
        uses: actions/cache/restore@{cache}
        with: {{path: data, key: "data-${{{{ github.run_number }}}}", restore-keys: data-}}
      - run: |
          echo "tools=[${{{{ steps.tools.outputs.cache-hit }}}}]"
          echo "data=[${{{{ steps.data.outputs.cache-matched-key }}}}] $(cat data/a.txt 2>/dev/null)"
          mkdir -p "$RUNNER_TOOL_CACHE/fraudops/k1" data
          touch "$RUNNER_TOOL_CACHE/fraudops/k1/python"
          echo $GITHUB_RUN_NUMBER > data/a.txt
      - uses: actions/cache/save@{cache}
        with: {{path: data, key: "data-${{{{ github.run_number }}}}"}}
"""
    world.workflow(f"name: x\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:{steps}")
    for expected in ("tools=[]\ndata=[] ", "tools=[true]\ndata=[data-1] 1"):
        run = dispatch(world)
        world.settle()
        assert run.conclusion == "success", run.log
        assert expected in run.log, run.log
    assert (world.actions.tool_cache / "fraudops" / "k1" / "python").exists()


def test_the_python_that_is_asked_for_is_first_on_path_or_the_step_fails(world: World) -> None:
    """By version, or by a file; one that this machine lacks is an error."""
    world.push({".python-version": "3.11\n"})
    action = "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97"
    steps = f"""
      - uses: {CHECKOUT}
      - uses: {action}
        with: {{python-version-file: .python-version}}
      - run: python -c 'import sys; print(sys.version_info[:2], sys.prefix == sys.base_prefix)'
      - uses: {action}
        with: {{python-version: "2.6"}}
"""
    world.workflow(f"name: x\non: workflow_dispatch\njobs:\n  one:\n    runs-on: ubuntu-latest\n    steps:{steps}")
    run = dispatch(world)
    world.settle()
    assert "(3, 11) True" in run.log
    assert run.conclusion == "failure"
    assert "'2.6' of Python was not found" in run.job("one").annotations[0].message


@pytest.mark.parametrize(
    ("version", "wanted", "fits"),
    [
        ("3.11.7", "3.11", True),
        ("3.11.7", "3.11.7", True),
        ("3.11.7", "3.1", False),
        ("3.12.0", ">=3.11,<3.14", True),
        ("3.14.0", ">=3.11,<3.14", False),
        ("3.10.9", ">=3.11", False),
        ("3.13.5", "", True),
    ],
)
def test_a_python_fits_a_version_or_bounds(version: str, wanted: str, fits: bool) -> None:
    """As python-version and requires-python write them."""
    assert override_program._fits(version, wanted) is fits


def test_inputs_have_their_types_in_names_and_groups_as_well(world: World) -> None:
    """`false` is not true before the run, nor in it."""
    on = "{workflow_dispatch: {inputs: {dry: {type: boolean, default: false}}}}"
    top = "run-name: \"${{ inputs.dry && 'dry' || 'wet' }}\""
    world.workflow(one_job("echo \"${{ inputs.dry && 'dry' || 'wet' }}\"", on=on, top=top))
    for given, expected in (("true", "dry"), ("false", "wet")):
        run = dispatch(world, dry=given)
        world.settle()
        assert run.title == expected
        assert f"\n{expected}\n" in run.log


def test_a_workflows_login_is_githubs(world: World) -> None:
    """Whoever acts by GITHUB_TOKEN is github-actions[bot]."""
    assert WORKFLOW_LOGIN == "github-actions[bot]"
    text = one_job(
        'curl -s -X POST -H "Authorization: Bearer ${{ github.token }}" '
        '"$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues" -d \'{"title":"t"}\'',
        top="permissions: {issues: write}",
    )
    world.workflow(text)
    dispatch(world)
    world.settle()
    assert world.api("GET", f"/repos/{REPOSITORY}/issues")[1][0]["user"]["login"] == WORKFLOW_LOGIN
