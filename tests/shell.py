"""
A member that does what the test tells it: `python shell.py KIND NAME OPTIONS`.

It opens `q = KIND(NAME, **OPTIONS)` and then runs one piece of Python after the other, in a `__main__` of its own: each
line of input is a JSON string; the answer is a line `= repr` or `! Type: text`.
"""

import ast
import gc  # noqa: F401  # for the pieces, like everything imported here
import json
import os  # noqa: F401
import signal  # noqa: F401
import sys
import threading  # noqa: F401
import time  # noqa: F401
import traceback

import groupqueue
from groupqueue import *  # noqa: F403
from tests.talk import hear, say

if __name__ == "__main__":
    kind, name, options = sys.argv[1], ast.literal_eval(sys.argv[2]), ast.literal_eval(sys.argv[3])
    q = getattr(groupqueue, kind)(name, **options)
    say("open")
    while True:
        piece = json.loads(hear())
        try:
            try:
                code = compile(piece, "<test>", "eval")
            except SyntaxError:
                exec(compile(piece, "<test>", "exec"), globals())
                value = None
            else:
                value = eval(code, globals())
            say("=", repr(value))
        except Exception as exc:
            traceback.print_exc()
            names = "/".join(cls.__name__ for cls in type(exc).__mro__)
            say("!", f"{names}: {exc}".replace("\n", " | "))
