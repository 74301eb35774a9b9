"""
`producer.py GROUP MODE SOURCE LOG STOP [OPTIONS]`: puts (SOURCE, 0), (SOURCE, 1), ... until the file STOP exists.

After each flush LOG gets a line: how many items are flushed by then. Whatever kills this process, they must come out.
"""

import ast
import os
import random
import sys

from groupqueue import GroupQueue
from tests.talk import say

if __name__ == "__main__":
    group, mode, source, log, stop = sys.argv[1:6]
    options = ast.literal_eval(sys.argv[6]) if len(sys.argv) > 6 else {}
    queue: GroupQueue = GroupQueue(group, mode=mode, **options)
    flushed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    dice = random.Random(source)
    count = 0
    say("ready")
    while not os.path.exists(stop):
        for _ in range(dice.randint(1, 200)):
            queue.put((source, count))
            count += 1
        queue.flush()
        os.write(flushed, b"%d\n" % count)
    queue.close()
    queue.join_thread()
    say("done", count)
