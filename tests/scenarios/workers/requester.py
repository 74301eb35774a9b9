"""`requester.py GROUP MODE NAME COUNT [OPTIONS]`: asks COUNT questions; each must get its own answer."""

import ast
import sys

from groupqueue import GroupQueue
from tests.talk import say

if __name__ == "__main__":
    group, mode, name, count = sys.argv[1:5]
    options = ast.literal_eval(sys.argv[5]) if len(sys.argv) > 5 else {}
    queue: GroupQueue = GroupQueue(group, mode=mode, **options)
    say("ready")
    wrong = 0
    for number in range(int(count)):
        answer = queue.put_wait((name, number), timeout=60)
        wrong += answer != ("answer", name, number)
    say("wrong", wrong)
