"""The pages: what they show, what they escape, how they merge, and their export."""

from __future__ import annotations

import base64
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from local_github.web import diff_parser
from pages import EVIL, Runs, Tags
from rest_calls import request

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def get(emulator: Any, path: str, data: dict[str, str] | None = None, **headers: str) -> tuple[int, str, Any]:
    """Requests a page and follows redirects; returns status, text and headers."""
    body = urllib.parse.urlencode(data).encode() if data is not None else None
    request = urllib.request.Request(emulator.github.url + path, body, headers)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers


def test_pull_request_page_is_complete(emulator: Any, clone: Any, branch: Any) -> None:
    """It shows the body as Markdown, commits, diff, comments, statuses and the merge button."""
    clone.git("checkout", "--quiet", "--orphan", "evidence")
    (clone.root / "curve.png").write_bytes(PIXEL)
    sha = clone.commit({})
    clone.push("evidence")
    clone.git("checkout", "--quiet", "main")
    head = branch("topic", {"model-config/gate.yaml": "min_recall: 0.7\n"}, "Raise the gate")
    picture = f"{emulator.github.url}/acme/fraud/raw/{sha}/curve.png"
    body = f"| recall | alerts |\n|---|--:|\n| 0.95 | 12 |\n\n- [x] gate\n\n<details><summary>More</summary>\n\n*hidden*\n\n</details>\n\n![curve]({picture})\n\nSee #1."  # noqa: E501
    api = emulator.api()
    pull = api.create_pull(base="main", head="topic", title="Raise", body=body)
    pull.create_issue_comment("**Fine**")
    api.get_commit(head).create_status("success", context="acme/ci", description="All passed")
    status, page, headers = get(emulator, "/acme/fraud/pull/1")
    assert status == 200
    assert '<td align="right">12</td>' in page
    assert "<details><summary>More</summary>" in page
    assert re.search(r"<input[^>]*checked", page)
    assert f'src="/acme/fraud/raw/{sha}/curve.png"' in page
    assert 'href="/acme/fraud/issues/1"' in page
    assert "<strong>Fine</strong>" in page
    assert "acme/ci" in page
    assert "All passed" in page
    assert re.search(r'class="removed">.*-min_recall: 0.6', page)
    assert re.search(r'class="added">.*\+min_recall: 0.7', page)
    assert "Merge pull request" in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    with urllib.request.urlopen(picture, timeout=30) as answer:  # noqa: S310 - loopback
        assert answer.read() == PIXEL
        assert answer.headers["Content-Type"] == "image/png"


def test_diff_lines_are_numbered(emulator: Any, clone: Any) -> None:
    """Every line has its old and new number; renamed and binary files are marked."""
    text = "".join(f"line {number}\n" for number in range(30))
    before = clone.commit({"a.txt": "one\ntwo\nthree\n", "b.txt": text, "z.txt": "1\n"})
    (clone.root / "picture.bin").write_bytes(b"\0\1")
    clone.git("mv", "b.txt", "c.txt")
    after = clone.commit({"a.txt": "one\n2\nthree", "z.txt": "1\n2\n"})
    clone.push("main")
    found = {
        file.change.path: file
        for file in diff_parser.diff_files(emulator.github.state.find("acme", "fraud").git, before, after)
    }
    assert [(line.kind, line.before, line.after, line.text) for line in found["a.txt"].lines[1:]] == [
        ("context", 1, 1, "one"),
        ("removed", 2, None, "two"),
        ("removed", 3, None, "three"),
        ("added", None, 2, "2"),
        ("added", None, 3, "three"),
        ("note", None, None, "No newline at end of file"),
    ]
    assert [line.text for line in found["z.txt"].lines[1:]] == ["1", "2"]
    assert (found["c.txt"].change.previous, found["c.txt"].change.status, found["c.txt"].lines) == (
        "b.txt",
        "renamed",
        [],
    )
    assert (found["picture.bin"].change.additions, found["picture.bin"].lines) == (None, [])


def test_user_text_is_escaped(emulator: Any, clone: Any, branch: Any) -> None:
    """Titles, bodies, comments, labels, branches, paths, files, messages and statuses are escaped."""
    name = 'x<img/src=x/onerror=alert(1)>&"'
    sha = branch(name, {"<script>a.txt": EVIL + "\n</pre></table><script>alert(2)</script>"}, EVIL)
    api = emulator.api()
    pull = api.create_pull(
        base="main", head=name, title=EVIL, body=EVIL + "\n\n[x](javascript:alert(1)) ![y](data:image/png;base64,AA)"
    )
    pull.create_issue_comment(EVIL + '<a href="javascript:alert(1)" onclick="x">a</a><style>*{}</style>')
    pull.create_review(event="COMMENT", body=EVIL)
    pull.add_to_labels("<script>l")
    api.get_commit(sha).create_status("success", context=EVIL[:60], description=EVIL, target_url="javascript:alert(1)")
    api.create_issue(EVIL, EVIL)
    for path in ("/", "/acme/fraud", "/acme/fraud/pulls", "/acme/fraud/pull/1", "/acme/fraud/issues/2",
                 "/acme/fraud/issues", f"/acme/fraud/commit/{sha}", "/acme/fraud/actions"):  # fmt: skip
        status, page, _ = get(emulator, path)
        assert status == 200, path
        assert Tags(page).dangerous() == [], path
    assert "alert(2)" in get(emulator, f"/acme/fraud/commit/{sha}")[1]


def test_raw_files_are_not_rendered(emulator: Any, clone: Any) -> None:
    """HTML is served as text, SVG in a sandbox, and types are not sniffed."""
    clone.commit({"evil.html": EVIL, "a.svg": "<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>"})
    clone.push("main")
    _, _, headers = get(emulator, "/raw/acme/fraud/main/evil.html")
    assert headers["Content-Type"].startswith("text/plain")
    assert headers["X-Content-Type-Options"] == "nosniff"
    _, _, headers = get(emulator, "/acme/fraud/raw/refs/heads/main/a.svg")
    assert headers["Content-Type"].startswith("image/svg+xml")
    assert "sandbox" in headers["Content-Security-Policy"]


def button(page: str) -> str:
    """The token of a page's merge form."""
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page)
    assert found
    return found[1]


def test_merge_button_merges_as_the_page_user(emulator: Any, branch: Any) -> None:
    """The form redirects to the page, which shows the merger."""
    branch("topic")
    emulator.api().create_pull(base="main", head="topic", title="T")
    token = button(get(emulator, "/acme/fraud/pull/1")[1])
    status, page, _ = get(emulator, "/acme/fraud/pull/1/merge", {"token": token})
    assert status == 200
    assert "<strong>local-user</strong> merged" in page
    assert emulator.api().get_pull(1).merged_by.login == "local-user"
    assert emulator.events[-1].actor == "local-user"


def test_merge_button_adds_to_a_merge_queue(emulator: Any, branch: Any) -> None:
    """The page then shows that the pull request waits; a second click is refused."""
    branch("topic")
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    checks = {"required_status_checks": [{"context": "acme/ci"}]}
    ruleset = {
        "name": "queue",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"]}},
        "rules": [{"type": "merge_queue"}, {"type": "required_status_checks", "parameters": checks}],
    }
    assert request(emulator, "POST", "/rulesets", ruleset, emulator.token())[0] == 201
    emulator.api().get_commit(pull.head.sha).create_status("success", context="acme/ci")
    token = button(get(emulator, "/acme/fraud/pull/1")[1])
    status, page, _ = get(emulator, "/acme/fraud/pull/1/merge", {"token": token})
    assert status == 200
    assert "waits in the merge queue of <code>main</code>" in page
    assert "Merge pull request</button>" not in page
    (entry,) = emulator.github.state.find("acme", "fraud").merge_queues["main"]
    assert entry.by == "local-user"
    assert get(emulator, "/acme/fraud/pull/1/merge", {"token": token})[0] == 405


def test_merge_form_needs_a_valid_token(emulator: Any, branch: Any) -> None:
    """A missing, wrong or outdated token and another origin are refused."""
    branch("topic")
    branch("other")
    api = emulator.api()
    api.create_pull(base="main", head="topic", title="T")
    api.create_pull(base="main", head="other", title="O")
    token = button(get(emulator, "/acme/fraud/pull/1")[1])
    assert get(emulator, "/acme/fraud/pull/1/merge", {})[0] == 409
    assert get(emulator, "/acme/fraud/pull/1/merge", {"token": "é" * 64})[0] == 409
    assert get(emulator, "/acme/fraud/pull/2/merge", {"token": token})[0] == 409
    assert get(emulator, "/acme/fraud/pull/1/merge", {"token": token}, Origin="http://evil.invalid")[0] == 403
    branch("topic", {"later.txt": "1"})
    status, page, _ = get(emulator, "/acme/fraud/pull/1/merge", {"token": token})
    assert status == 409
    assert "has changed since this page was loaded" in page
    assert not api.get_pull(1).merged


def test_conflict_has_no_merge_button(emulator: Any, clone: Any, branch: Any) -> None:
    """The page shows the conflict."""
    branch("topic", {"README.md": "one\n"})
    emulator.api().create_pull(base="main", head="topic", title="T")
    clone.commit({"README.md": "two\n"})
    clone.push("main")
    page = get(emulator, "/acme/fraud/pull/1")[1]
    assert "has conflicts" in page
    assert "<form" not in page


def test_numbers_redirect_to_the_right_page(emulator: Any, branch: Any) -> None:
    """/issues/N of a pull request redirects to /pull/N and vice versa; an unknown number is 404."""
    branch("topic")
    emulator.api().create_pull(base="main", head="topic", title="Pull")
    emulator.api().create_issue("Issue")
    assert "Files changed" in get(emulator, "/acme/fraud/issues/1")[1]
    assert "Files changed" not in get(emulator, "/acme/fraud/pull/2")[1]
    assert get(emulator, "/acme/fraud/pull/9")[0] == 404
    assert get(emulator, "/acme/absent")[0] == 404


def test_run_pages_show_summary_and_logs(emulator: Any, clone: Any) -> None:
    """All values are escaped."""
    emulator.github.backend.run_source = Runs(clone.git("rev-parse", "main").stdout.strip())
    assert "train #1" in get(emulator, "/acme/fraud/actions")[1]
    status, page, _ = get(emulator, "/acme/fraud/actions/runs/41")
    assert status == 200
    assert "Gate failed</h1>" in page
    assert "&lt;train&gt;" in page
    assert "attempt 2" in page
    assert Tags(page).dangerous() == []
    assert get(emulator, "/acme/fraud/actions/runs/99")[0] == 404
