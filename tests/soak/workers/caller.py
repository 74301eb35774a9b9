"""
`caller.py GROUP MODE NAME LOG STOP [OPTIONS]`: asks questions until the file STOP exists; each must get its own answer.

LOG gets a line for each that did not.
"""

import ast
import os
import sys

from groupqueue import GroupQueue
from tests.soak.workers.leftovers import Leftovers
from tests.talk import say

if __name__ == "__main__":
    group, mode, name, log, stop = sys.argv[1:6]
    options = ast.literal_eval(sys.argv[6]) if len(sys.argv) > 6 else {}
    leftovers = Leftovers()
    queue: GroupQueue = GroupQueue(group, mode=mode, **{**options, "max_attempts": 65535})
    wrong = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    number = 0
    say("ready")
    while not os.path.exists(stop):
        answer = queue.put_wait(("question", name, number), timeout=120)
        if answer != ("answer", name, number):
            os.write(wrong, f"{number}: {answer!r}\n".encode())
        number += 1
    queue.close()
    queue.join_thread()
    os.close(wrong)
    say("done", leftovers.found())
