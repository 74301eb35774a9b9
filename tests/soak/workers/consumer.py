"""
`consumer.py GROUP MODE LOG DRAIN [OPTIONS]`: writes each item to LOG after `get` returned it, and answers questions.

It ends when the file DRAIN exists and the queue has been empty for a moment, and then says what it left behind.
"""

import ast
import os
import sys

from groupqueue import Empty, GroupQueue
from tests.soak.workers.leftovers import Leftovers
from tests.talk import say

if __name__ == "__main__":
    group, mode, log, drain = sys.argv[1:5]
    options = ast.literal_eval(sys.argv[5]) if len(sys.argv) > 5 else {}
    leftovers = Leftovers()
    queue: GroupQueue = GroupQueue(group, mode=mode, **options)
    got = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    say("ready")
    while True:
        try:
            item = queue.get(timeout=0.1)
        except Empty:
            if os.path.exists(drain):
                break
            continue
        if item[0] == "question":
            queue.reply(("answer", *item[1:]))
        else:
            os.write(got, b"%s %d\n" % (item[0].encode(), item[1]))
    queue.close()
    queue.join_thread()
    os.close(got)
    say("done", leftovers.found())
