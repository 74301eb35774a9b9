"""The format of a `Result`."""

from __future__ import annotations

from groupqueue.core.results import pack_result, unpack_result


def test_a_result_is_json_and_payloads() -> None:
    value, payloads = unpack_result(pack_result({"a": [1, "ü"]}, [b"12", b"", b"345"]))
    assert (value, bytes(payloads)) == ({"a": [1, "ü"]}, b"12345")
