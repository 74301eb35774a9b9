"""`responder.py GROUP MODE [OPTIONS]`: answers ("answer", *question) after a moment of work, for ever."""

import ast
import random
import sys
import time

from groupqueue import GroupQueue
from tests.talk import say

if __name__ == "__main__":
    group, mode = sys.argv[1:3]
    options = ast.literal_eval(sys.argv[3]) if len(sys.argv) > 3 else {}
    queue: GroupQueue = GroupQueue(group, mode=mode, **options)
    say("ready")
    while True:
        question = queue.get()
        time.sleep(random.random() * 0.06)
        queue.reply(("answer", *question))
