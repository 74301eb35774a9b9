"""
Between the members and their leader: a proxy that cuts connections, at any byte.

It takes the place of the leader's socket, passes on what both sides say in pieces of any size, holds some of it back
for a moment, and ends a connection in the middle of a frame as readily as between two. A new leader renames its own
socket over the proxy's; the proxy sees that and steps in again.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import threading
import time

LOOK = 0.005


class Proxy:
    """See the module. `cuts` counts the connections that were cut; `most`: after how many bytes at the latest."""

    def __init__(self, folder: str, seed: int, most: int = 200_000) -> None:
        self.cuts = 0
        self._path = os.path.join(folder, "socket")
        self._real = os.path.join(folder, "socket-of-the-leader")
        self._dice = random.Random(seed)
        self._most = most
        self._ended = False
        self._listener: socket.socket | None = None
        self._inode = 0
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Members reach their leader by themselves from here on."""
        self._ended = True
        self._thread.join(10)

    def _run(self) -> None:
        pairs: list[threading.Thread] = []
        while not self._ended:
            self._step_in()
            listener = self._listener
            if listener is not None and select.select([listener], [], [], LOOK)[0]:
                with contextlib.suppress(OSError):
                    guest, _ = listener.accept()
                    thread = threading.Thread(target=self._pass_on, args=(guest,), name="proxy pair", daemon=True)
                    thread.start()
                    pairs.append(thread)
            elif listener is None:
                time.sleep(LOOK)
        self._step_out()
        for thread in pairs:
            thread.join(10)

    def _step_in(self) -> None:
        """If the socket is somebody else's, a leader's, ours takes its place."""
        try:
            inode = os.stat(self._path).st_ino
        except FileNotFoundError:
            return
        if inode == self._inode:
            return
        mine = self._path + "-of-the-proxy"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(mine)
        if self._listener is not None:
            self._listener.close()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(mine)
        os.chmod(mine, 0o600)
        self._listener.listen(1024)
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._path, self._real)
            os.rename(mine, self._path)
            self._inode = os.stat(self._path).st_ino

    def _step_out(self) -> None:
        if self._listener is not None:
            self._listener.close()
            with contextlib.suppress(FileNotFoundError):
                if os.stat(self._path).st_ino == self._inode:
                    os.rename(self._real, self._path)

    def _pass_on(self, guest: socket.socket) -> None:
        left = self._dice.randrange(1, self._most)
        with guest, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as leader:
            try:
                leader.connect(self._real)
                while not self._ended:
                    for ready in select.select([guest, leader], [], [], 0.05)[0]:
                        data = ready.recv(min(self._dice.randrange(1, 65536), left))
                        if not data:
                            return
                        if self._dice.random() < 0.01:
                            time.sleep(0.003)
                        (leader if ready is guest else guest).sendall(data)
                        left -= len(data)
                        if left <= 0:
                            self.cuts += 1
                            return
            except OSError:
                return
