"""The hash that names definitions. `hashlib` has it from the same module, and loads OpenSSL on the way."""

from __future__ import annotations

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

__all__ = ["blake2b"]
