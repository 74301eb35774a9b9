"""A browser that speaks HTTP over a Unix socket."""

from __future__ import annotations

import http.client
import socket


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def fetch(path, page):
    connection = Connection(path)
    connection.request("GET", page)
    text = connection.getresponse().read().decode()
    connection.close()
    return text
