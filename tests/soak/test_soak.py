"""
Chaos with real processes, as long as one likes: `GROUPQUEUE_SOAK=20` makes twenty times the evils of the usual slice.

What befell the herd and what came of it is printed (`pytest -s`, or in the report of a failure).
"""

from __future__ import annotations

import os
import statistics
import subprocess
from collections.abc import Iterator

import pytest

from tests.helpers import disk_usage, linux_only, root_only, scaled, within
from tests.soak.herd import Herd
from tests.soak.nemesis import Nemesis
from tests.soak.proxy import Proxy

pytestmark = linux_only
MIB = 1024 * 1024
SEED = int(os.environ.get("GROUPQUEUE_SEED", "1"))


def conclude(herd: Herd, nemesis: Nemesis) -> None:
    herd.finish()
    pauses = sorted(herd.failovers())
    told = f"{dict(nemesis.done)}; killed {dict(herd.killed)}; {len(herd.epochs)} epochs; flushed {herd.flushed}, "
    told += f"received {herd.received}, gone with a killed consumer {herd.lost}"
    if pauses:
        p99 = pauses[min(len(pauses) - 1, int(0.99 * len(pauses)))]
        told += f"; {len(pauses)} failovers: median {statistics.median(pauses) * 1e3:.0f} ms, p99 {p99 * 1e3:.0f} ms"
        told += f", worst {pauses[-1] * 1e3:.0f} ms"
    print(told)
    assert herd.findings == [], told
    assert herd.flushed > 0
    assert disk_usage(herd.directory) < 2 * MIB


@pytest.fixture
def small_disk(directory: str) -> Iterator[str]:
    """A file system of the herd's own, of 48 MiB."""
    path = os.path.join(directory, "small")
    os.mkdir(path, 0o700)
    command = ["mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs", path]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


@within(120)
def test_any_deaths(directory, group, open_queue):
    open_queue(group, mode="client", maxsize=5_000)
    herd = Herd(directory, group)
    herd.start(pulse=2, producer=2, caller=1, consumer=3)
    nemesis = Nemesis(herd, SEED)
    while herd.killed.total() < scaled(10):
        nemesis.befall(
            nemesis.kill_the_leader,
            nemesis.kill_anyone,
            nemesis.kill_two_at_once,
            nemesis.kill_the_leader_and_another,
            nemesis.kill_two_leaders_in_a_row,
        )
    conclude(herd, nemesis)


@within(120)
def test_everything_that_happens_to_processes(directory, group, open_queue):
    open_queue(group, mode="client", maxsize=5_000)
    herd = Herd(directory, group)
    herd.start(pulse=1, producer=2, caller=1, consumer=3)
    nemesis = Nemesis(herd, SEED)
    for _ in range(scaled(6)):
        nemesis.befall(
            nemesis.kill_anyone,
            nemesis.stop_and_continue,
            nemesis.stop_and_kill,
            nemesis.take_descriptors,
            nemesis.remove_the_socket,
            nemesis.remove_the_lock_file,
        )
    conclude(herd, nemesis)


@within(120)
def test_connections_that_are_cut_at_any_byte(directory, group, open_queue):
    open_queue(group, mode="client", maxsize=5_000)
    herd = Herd(directory, group)
    herd.start(pulse=1, producer=2, caller=1, consumer=3)
    proxy = Proxy(herd.paths.folder, SEED)
    nemesis = Nemesis(herd, SEED)
    while proxy.cuts < scaled(15):
        nemesis.befall(nemesis.kill_anyone, nemesis.stop_and_continue, nemesis.stop_and_continue)
    proxy.end()
    print(f"{proxy.cuts} connections cut")
    conclude(herd, nemesis)


@root_only
@within(120)
def test_a_disk_that_fills_again_and_again(small_disk, group, open_queue):
    open_queue(group, mode="client", maxsize=5_000, directory=small_disk)
    herd = Herd(small_disk, group, directory=small_disk)
    herd.start(pulse=1, producer=2, caller=1, consumer=3)
    nemesis = Nemesis(herd, SEED)
    for _ in range(scaled(3)):
        nemesis.befall(nemesis.fill_the_disk, nemesis.kill_the_leader)
    conclude(herd, nemesis)
