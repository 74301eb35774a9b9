"""
`producer.py GROUP MODE SOURCE LOG STOP MOST [OPTIONS]`: puts (SOURCE, 0), (SOURCE, 1), ... until the file STOP exists.

At most MOST at a time. After each flush LOG gets a line: how many items are flushed by then, and when (monotonic
seconds). Whatever kills this process, they must come out.
"""

import ast
import os
import random
import sys
import time

from groupqueue import GroupQueue
from tests.soak.workers.leftovers import Leftovers
from tests.talk import say

if __name__ == "__main__":
    group, mode, source, log, stop, most = sys.argv[1:7]
    options = ast.literal_eval(sys.argv[7]) if len(sys.argv) > 7 else {}
    leftovers = Leftovers()
    queue: GroupQueue = GroupQueue(group, mode=mode, **options)
    flushed = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    dice = random.Random(source)
    count = 0
    say("ready")
    while not os.path.exists(stop):
        for _ in range(dice.randint(1, int(most))):
            queue.put((source, count))
            count += 1
        queue.flush()
        os.write(flushed, b"%d %.6f\n" % (count, time.monotonic()))
    queue.close()
    queue.join_thread()
    os.close(flushed)
    say("done", leftovers.found())
