"""A server of event loops, whose workers await one queue, with each other and with a process it does not know."""

from __future__ import annotations

import http.client
import os
import signal
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.compat.browser import fetch
from tests.helpers import Script, eventually

pytest.importorskip("uvicorn", reason="uvicorn is not installed")

APP = """
import os
from groupqueue.aio import GroupQueue

q = GroupQueue("web")

async def app(scope, receive, send):
    if scope["type"] == "http":
        answer = await q.put_wait((os.getpid(), scope["path"]), timeout=20)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": answer.encode()})
"""


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def server(request, directory, tmp_path):
    (tmp_path / "web.py").write_text(textwrap.dedent(APP))
    path = os.path.join(directory, "http")
    command = [sys.executable, "-m", "uvicorn", "--uds", path, "--workers", str(request.param)]
    script = Script([*command, "web:app"], label="uvicorn", cwd=tmp_path)
    eventually(lambda: script.stderr.count("Started server process") == request.param, what="the workers")
    eventually(lambda: "running on" in script.stderr, what="a server")
    script.path = path
    return script


def test_pages_of_a_server_wait_together_and_each_gets_its_own_answer(server, open_queue):
    q = open_queue("web", mode="client")
    names = [f"/{n}" for n in range(8)]
    with ThreadPoolExecutor(8) as browsers:
        pages = [browsers.submit(fetch, server.path, name) for name in names]
        # A worker awaits all of its pages at once: none is answered before the last has come.
        asked = [q.get_message(timeout=20) for _ in names]
        for message in reversed(asked):
            message.reply(f"page {message.obj[1]}")
        assert [page.result(20) for page in pages] == [f"page {name}" for name in names]
    server.signal(signal.SIGTERM)
    assert server.wait() in {0, -signal.SIGTERM}
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("server", [2], indirect=True, ids=["two workers"])
def test_a_worker_that_is_killed_is_replaced_and_nobody_else_notices(server, open_queue):
    q = open_queue("web", mode="client")
    with ThreadPoolExecutor(1) as browser:
        first = browser.submit(fetch, server.path, "/first")
        message = q.get_message(timeout=20)
        os.kill(message.obj[0], signal.SIGKILL)
        message.done()
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            first.result(20)
        eventually(lambda: server.stderr.count("Started server process") == 3, what="another worker")
        second = browser.submit(fetch, server.path, "/second")
        message = q.get_message(timeout=20)
        message.reply("still here")
        assert second.result(20) == "still here"
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "Traceback" not in server.stderr
