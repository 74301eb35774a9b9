"""What durable=True promises while the disk does not sync: that nothing is confirmed before it is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers import ROOT, Raised, eventually, lock_holder, open_leader, open_member, root_only

FAULTYDISK = ROOT / "tests" / "scenarios" / "workers" / "faultydisk"


class Fault:
    """Processes that were opened with `env` cannot sync between `begin` and `end`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.env = {"FAULTY_DISK": str(path), "PYTHONPATH": f"{FAULTYDISK}:{ROOT}"}

    def begin(self) -> None:
        self._path.touch()

    def end(self) -> None:
        self._path.unlink()

    def wait_for(self, failures: int) -> None:
        """So many syncs have failed since it began."""
        eventually(lambda: self._path.stat().st_size >= failures, what=f"{failures} failed syncs")


@pytest.fixture
def fault(tmp_path):
    return Fault(tmp_path / "fault")


def nothing_comes(consumer):
    with pytest.raises(Raised, match="Empty"):
        consumer.do("q.get(timeout=0.3)")


@pytest.mark.parametrize("who", ["leader", "follower"])
def test_nothing_is_confirmed_or_delivered_before_it_is_on_the_disk(group, fault, who):
    leader = open_leader(group, durable=True, env=fault.env)
    follower = open_member(group, durable=True, mode="client", env=fault.env)
    consumer = open_member(group, mode="client", env=fault.env)
    producer = leader if who == "leader" else follower
    producer.do("q.put_many(range(10)); q.flush(timeout=10)")
    fault.begin()
    producer.do("q.put_many(range(10, 60))")
    fault.wait_for(3)
    with pytest.raises(Raised, match="TimeoutError"):
        producer.do("q.flush(timeout=0.5)")
    nothing_comes(consumer)
    assert "cannot sync the journal: [Errno 5] Input/output error" in leader.stderr
    assert not leader.do("q.is_leader")
    fault.end()
    producer.do("q.flush(timeout=10)")
    assert leader.do("q.is_leader")
    assert consumer.do("[q.get(timeout=10) for _ in range(60)]") == list(range(60))
    nothing_comes(consumer)
    producer.do("q.put('again'); q.flush(timeout=10)")
    assert consumer.do("q.get(timeout=10)") == "again"


def test_leaders_that_die_while_the_disk_does_not_sync_confirm_nothing(directory, group, fault):
    members = [open_member(group, durable=True, env=fault.env) for _ in range(4)]
    producer = open_member(group, durable=True, mode="client", env=fault.env)
    consumer = open_member(group, mode="client", env=fault.env)
    producer.do("q.put_many(range(100)); q.flush(timeout=10)")
    fault.begin()
    producer.do("q.put_many(range(100, 200))")
    for number in range(1, 4):
        fault.wait_for(3 * number)
        pid = eventually(lambda: lock_holder(directory, group), what="somebody to lead")
        next(member for member in members if member.pid == pid).kill()
    with pytest.raises(Raised, match="TimeoutError"):
        producer.do("q.flush(timeout=0.3)")
    fault.end()
    producer.do("q.flush(timeout=10)")
    assert consumer.do("[q.get(timeout=10) for _ in range(200)]") == list(range(200))
    nothing_comes(consumer)


def test_a_reply_waits_for_the_disk_too(group, fault):
    open_leader(group, durable=True, env=fault.env)
    asker = open_member(group, durable=True, mode="client", env=fault.env)
    answerer = open_member(group, mode="client", env=fault.env)
    asker.begin("q.put_wait('question', timeout=20)")
    answerer.do("m = q.get_message(timeout=10)")
    fault.begin()
    answerer.do("m.reply('answer')")
    fault.wait_for(3)
    fault.end()
    assert asker.result() == "answer"
    nothing_comes(answerer)


def test_what_is_not_durable_does_not_care(group, fault):
    leader = open_leader(group, env=fault.env)
    fault.begin()
    leader.do("q.put_many(range(100)); q.flush(timeout=10)")
    assert leader.do("[q.get(timeout=10) for _ in range(100)]") == list(range(100))


# A kernel that forgets


class Disk:
    """A file system on a disk that grows as it is written to, and so fails to write when there is no room for that."""

    def __init__(self, path: str) -> None:
        self.path = os.path.join(path, "mounted")
        self._ballast = Path(path, "backing", "ballast")
        self._image = os.path.join(path, "backing", "image")
        self._mounted: list[str] = []
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("there is no mkfs.ext4 here")
        os.mkdir(self.path, 0o700)
        os.mkdir(os.path.dirname(self._image))
        self._mount("-t", "tmpfs", "-o", "size=24m", "tmpfs", os.path.dirname(self._image))
        with open(self._image, "wb") as image:
            image.truncate(1 << 28)
        # Without a journal of its own the file system goes on after an error. Its tables have all their room from the
        # beginning, so that data is all that is lost.
        how = ["-q", "-b", "4096", "-N", "256", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard"]
        subprocess.run(["mkfs.ext4", *how, self._image], check=True, capture_output=True)
        self._mount("-o", "loop", self._image, self.path)
        os.chmod(self.path, 0o700)

    def _mount(self, *how: str) -> None:
        done = subprocess.run(["mount", *how], capture_output=True, text=True)
        if done.returncode != 0:
            self.close()
            pytest.skip(f"cannot mount here: {done.stderr.strip()}")
        self._mounted.append(how[-1])

    def fail(self) -> None:
        os.sync()
        with open(self._ballast, "wb", buffering=0) as file:
            for size in (65536, 4096):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass

    def work(self) -> None:
        self._ballast.unlink()

    def forget(self) -> None:
        """What is clean in the page cache goes, as it may at any time; what is not on the disk then is nowhere."""
        for folder, _, names in os.walk(self.path):
            for name in names:
                if name.startswith(("items-", "ledger-")):
                    fd = os.open(os.path.join(folder, name), os.O_RDONLY)
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                    os.close(fd)

    def close(self) -> None:
        while self._mounted:
            subprocess.run(["umount", "--lazy", self._mounted.pop()], check=True)


@pytest.fixture
def failing_disk(directory):
    disk = Disk(directory)
    yield disk
    disk.close()


@root_only
def test_a_kernel_that_takes_lost_pages_for_clean_loses_nothing_that_was_confirmed(failing_disk, group):
    where = failing_disk.path
    leader = open_leader(group, durable=True, directory=where)
    producer = open_member(group, durable=True, mode="client", directory=where)
    producer.do("q.put_many(range(10)); q.flush(timeout=10)")
    failing_disk.fail()
    producer.do("q.put_many([b'%d' % n + bytes(5000) for n in range(500)])")
    eventually(lambda: "cannot sync the journal: [Errno" in leader.stderr, what="the leader to say so")
    with pytest.raises(Raised, match="TimeoutError"):
        producer.do("q.flush(timeout=1)")
    failing_disk.work()
    producer.do("q.flush(timeout=10)")
    leader.kill()
    producer.kill()
    failing_disk.forget()
    heir = open_member(group, durable=True, directory=where)
    assert heir.do("[q.get(timeout=10) for _ in range(10)]") == list(range(10))
    assert heir.do("[int(q.get(timeout=10)[:-5000]) for _ in range(500)]") == list(range(500))
