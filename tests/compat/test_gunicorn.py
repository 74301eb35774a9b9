"""A web server whose workers share one queue, with each other and with a process that the server does not know."""

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

pytest.importorskip("gunicorn", reason="gunicorn is not installed")

APP = """
import os
from groupqueue import GroupQueue

q = GroupQueue("web")

def app(environ, start_response):
    answer = q.put_wait((os.getpid(), environ["PATH_INFO"]), timeout=20)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [answer.encode()]
"""


@pytest.fixture(params=[(), ("--preload",)], ids=["opened in each worker", "opened before the fork"])
def server(request, directory, tmp_path):
    (tmp_path / "web.py").write_text(textwrap.dedent(APP))
    path = os.path.join(directory, "http")
    command = [sys.executable, "-m", "gunicorn", "--bind", f"unix:{path}", "--workers", "2", *request.param, "web:app"]
    script = Script(
        [*command, "--no-control-socket"] if has_control_socket() else command, label="gunicorn", cwd=tmp_path
    )
    eventually(lambda: script.stderr.count("Booting worker") == 2, what="two workers")
    script.path = path
    return script


def has_control_socket():
    from gunicorn import config

    return any(setting.name == "control_socket_disable" for setting in config.KNOWN_SETTINGS)


def test_workers_of_a_server_share_a_queue(server, open_queue):
    q = open_queue("web", mode="client")
    with ThreadPoolExecutor(2) as browsers:
        pages = [browsers.submit(fetch, server.path, page) for page in ("/a", "/b")]
        # Each worker does one page at a time, so while neither is answered both wait.
        asked = [q.get_message(timeout=20) for _ in range(2)]
        assert sorted(message.obj[1] for message in asked) == ["/a", "/b"]
        assert len({message.obj[0] for message in asked}) == 2
        for message in asked:
            message.reply(f"page {message.obj[1]} from {message.obj[0]}")
        told = {message.obj[1]: f"page {message.obj[1]} from {message.obj[0]}" for message in asked}
        assert [page.result(20) for page in pages] == [told["/a"], told["/b"]]
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "Traceback" not in server.stderr


def test_a_worker_that_is_killed_is_replaced_and_nobody_else_notices(server, open_queue):
    q = open_queue("web", mode="client")
    with ThreadPoolExecutor(2) as browsers:
        first = browsers.submit(fetch, server.path, "/first")
        message = q.get_message(timeout=20)
        os.kill(message.obj[0], signal.SIGKILL)
        message.done()
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            first.result(20)
        second = browsers.submit(fetch, server.path, "/second")
        message = q.get_message(timeout=20)
        message.reply("still here")
        assert second.result(20) == "still here"
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
