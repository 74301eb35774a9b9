"""Redis over a Unix socket, without persistence: RPUSH and BLPOP of pickles."""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import itertools
import os
import pickle
import shutil
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.contestants import module_missing
from benchmarks.contestants.base import Contestant, Plan, Receiver, Sender
from benchmarks.crew import Crew

KEY = "jobs"
CHUNK = 1000


class Redis(Contestant):
    """A server of its own for each trial."""

    pace = 8_000.0

    def missing(self) -> str | None:
        if not shutil.which("redis-server"):
            return "redis-server is not on PATH"
        return module_missing("redis")

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        path = str(crew.directory / "redis")
        options = {
            "--port": "0",
            "--unixsocket": path,
            "--save": "",
            "--appendonly": "no",
            "--dir": str(crew.directory),
        }
        crew.serve(["redis-server", *itertools.chain.from_iterable(options.items()), "--loglevel", "warning"])
        for _ in crew.eventually("redis-server did not listen"):
            if os.path.exists(path):
                break
        return {"path": path}

    def _connect(self, address: dict[str, Any]) -> Any:
        import redis

        client = redis.Redis(unix_socket_path=address["path"])
        client.ping()
        return client

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        client = self._connect(address)

        def put(obj: Any) -> None:
            client.rpush(KEY, pickle.dumps(obj, pickle.HIGHEST_PROTOCOL))

        def put_many(objects: Iterable[Any]) -> None:
            rest = (pickle.dumps(obj, pickle.HIGHEST_PROTOCOL) for obj in objects)
            while chunk := list(itertools.islice(rest, CHUNK)):
                client.rpush(KEY, *chunk)

        return Sender(put, put_many=put_many)

    def receiver(self, address: dict[str, Any], index: int) -> Receiver:
        client = self._connect(address)

        def get() -> Any:
            return pickle.loads(client.blpop(KEY)[1])

        def get_many(most: int) -> Sequence[Any]:
            found = client.lpop(KEY, most) or [client.blpop(KEY)[1]]
            return [pickle.loads(one) for one in found]

        return Receiver(get, get_many=get_many)
