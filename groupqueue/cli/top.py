"""`groupqueue top`: a group, live, in a terminal. It looks as `stats` does, and is no member while nobody leads."""

from __future__ import annotations

import signal
import sys
import time

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from groupqueue.cli import DONE, USAGE, Problem, parameters
from groupqueue.cli.keys import Keys
from groupqueue.cli.look import find
from groupqueue.cli.series import BLOCKS, PLAIN_BLOCKS, Series, sparkline
from groupqueue.cli.viewer import Sight, Viewer, others
from groupqueue.system import process
from groupqueue.system.holders import are_told, find_holders
from groupqueue.system.paths import GroupPaths


@parameters.command("groupqueue top jobs", "groupqueue top jobs --interval 0.2")
@parameters.on_group
@parameters.interval(1.0)
def top(name: str, directory: str | None, interval: float) -> int:
    """Watch a group live, until q or Ctrl-C.

    Shown are the leader and how often it changed, what is queued, in flight and failed, items put and finished in a
    second, the depth of the queue over time, and the members with the state of their processes.
    """
    console = Console()
    if not sys.stdout.isatty() or console.is_dumb_terminal:
        which = " that can move its cursor" if sys.stdout.isatty() else ""
        raise Problem(f"needs a terminal{which}; for anything else: groupqueue stats {name} --watch", USAGE)
    paths = find(name, directory)
    series = Series()
    # A stopped top would leave the terminal as it is in the midst of a picture.
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    with Viewer(paths) as viewer, Keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            sight = viewer.look()
            series.add(sight, time.monotonic())
            live.update(picture(sight, series, paths, console), refresh=True)
            if "q" in keys.wait(interval).lower():
                return DONE


def picture(sight: Sight, series: Series, paths: GroupPaths, console: Console) -> RenderableType:
    """All of the screen."""
    found = sight.stats
    facts = Table.grid(padding=(0, 2))
    facts.add_row("leader", _leader(sight))
    facts.add_row("epoch", f"{found.epoch}, {_failovers(series)}")
    bound = f" of {found.maxsize:,}" if found.maxsize else ""
    failed = Text(f"{found.failed:,} failed", style="red" if found.failed else "")
    facts.add_row("items", Text(f"{found.ready:,}{bound} ready, {found.in_flight:,} in flight, ") + failed)
    facts.add_row("rates", f"{series.put_rate:,.0f} put/s, {series.finished_rate:,.0f} finished/s")
    facts.add_row("totals", f"{found.total_put:,} put, {found.total_finished:,} finished, {found.bytes:,} bytes kept")
    facts.add_row("waiting", f"{found.waiting_getters} in get, {found.waiting_putters} in put")
    blocks = BLOCKS if console.encoding.startswith("utf") else PLAIN_BLOCKS
    width = max(console.width - 40, 10)
    facts.add_row(
        "depth", Text(sparkline(series.depths, width, blocks), style="cyan") + Text(f" {max(series.depths):,} at most")
    )
    if found.is_shut_down:
        facts.add_row("", Text("the group is shut down", style="yellow"))
    head = Text(f"{found.name} in {paths.directory}", style="bold", no_wrap=True)
    foot = Text("q ends", style="dim")
    return Group(head, Text(), facts, Text(), _members(sight, paths, max(console.height - 15, 3)), Text(), foot)


def _leader(sight: Sight) -> Text:
    if sight.stats.leader_pid is not None:
        return Text(f"process {sight.stats.leader_pid}", style="green")
    return Text(f"none: {sight.problem}" if sight.problem else "none", style="bold red")


def _failovers(series: Series) -> str:
    if series.failover_at is None:
        return "no failover seen"
    ago = time.monotonic() - series.failover_at
    return f"{series.failovers} failover(s) seen, the last {ago:,.0f} s ago"


def _members(sight: Sight, paths: GroupPaths, room: int) -> Table:
    """A member tells its number in its own container: the state is known of those that hold the group's lock here."""
    seen = {holder.pid for holder in find_holders([paths.group])[paths.group]}
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("pid", "mode", "role", "state"):
        table.add_column(column, justify="right" if column == "pid" else "left", header_style="bold")
    members = others(sight.stats)
    for member in members[:room]:
        state = process.state_of(member["pid"]) if member["pid"] in seen or not are_told() else "not seen"
        style = "green" if member["role"] == "leader" else "yellow" if state.startswith("stopped") else ""
        table.add_row(str(member["pid"]), Text(member["mode"]), Text(member["role"]), Text(state), style=style)
    if len(members) > room:
        table.add_row("", f"and {len(members) - room} more", "", "")
    return table
