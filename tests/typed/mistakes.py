"""What a type checker must not let pass: each line that is wrong says so."""

from __future__ import annotations

from groupqueue import GroupQueue, JoinableGroupQueue, Message

numbers: GroupQueue[int] = GroupQueue("numbers")
numbers.put("one")  # wrong
text: str = numbers.get()  # wrong
names: list[str] = numbers.get_many(2)  # wrong
message: Message[str] = numbers.get_message()  # wrong
numbers.put_many(["one"])  # wrong
numbers.join()  # wrong
GroupQueue[int](5)  # wrong
GroupQueue[int]("numbers", modes="dual")  # wrong
tasks: JoinableGroupQueue[int] = GroupQueue("numbers")  # wrong
