"""What befalls a herd: deaths, stops, cut connections, a disk that fills, descriptors that run out, files that go."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable

from groupqueue.core.recalls import GRACE
from tests.soak.herd import Herd

BALLAST = 65536


class Nemesis:
    """See the module. Seeded: the same dice befall the same herd, though not at the same instruction."""

    def __init__(self, herd: Herd, seed: int) -> None:
        self.herd = herd
        self.done: Counter[str] = Counter()
        self._dice = random.Random(seed)

    def befall(self, *evils: Callable[[], None]) -> None:
        """One of them, and a moment of peace or none."""
        evil = self._dice.choice(evils)
        evil()
        self.done[evil.__name__] += 1
        time.sleep(self._dice.choice((0, 0, 0.005, 0.02, 0.05)))
        self.herd.note_epoch()

    # Evils

    def kill_the_leader(self) -> None:
        self.herd.kill(self.herd.leader())

    def kill_anyone(self) -> None:
        self.herd.kill(self._anyone())

    def kill_two_at_once(self) -> None:
        self.herd.kill(*self._dice.sample(sorted(self.herd.members), 2))

    def kill_the_leader_and_another(self) -> None:
        leader = self.herd.leader()
        other = self._dice.choice([pid for pid in self.herd.members if pid != leader])
        self.herd.kill(leader, other)

    def kill_two_leaders_in_a_row(self) -> None:
        first = self.herd.leader()
        self.herd.kill(first)
        self.herd.kill(self.herd.leader(other_than=first))

    def stop_and_continue(self) -> None:
        """Anyone, the leader too: nobody takes over, and all goes on afterwards."""
        script, kind, _ = self.herd.members[self._anyone()]
        script.stop()
        seconds = self._dice.choice((0.01, 0.1, 0.4))
        self.herd.stalls += kind == "consumer" and seconds > GRACE
        time.sleep(seconds)
        script.cont()

    def stop_and_kill(self) -> None:
        leader = self.herd.leader()
        self.herd.members[leader][0].stop()
        time.sleep(0.05)
        self.herd.kill(leader)

    def take_descriptors(self) -> None:
        """Somebody cannot open anything for a while."""
        pid = self._anyone()
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, before[1]))
        time.sleep(self._dice.choice((0.02, 0.2)))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)

    def remove_the_socket(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.herd.paths.socket)
        self.kill_the_leader()

    def remove_the_lock_file(self) -> None:
        """The leader sees it within seconds and steps down; another may lead at once, never both over one journal."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.herd.paths.lock)
        time.sleep(2.5)

    def fill_the_disk(self) -> None:
        """And somebody dies before there is room again. Requires a file system of the herd's own."""
        ballast = os.path.join(self.herd.directory, "ballast")
        with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * BALLAST)
        time.sleep(self._dice.choice((0.05, 0.3)))

        def make_room() -> None:
            time.sleep(self._dice.choice((0, 0.2)))
            os.unlink(ballast)

        self.herd.kill(self._anyone(), meanwhile=make_room)

    def _anyone(self) -> int:
        return self._dice.choice(sorted(self.herd.members))


def has_room(folder: str) -> bool:
    return shutil.disk_usage(folder).free > 1 << 20
