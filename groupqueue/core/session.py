"""
A member's half of the conversation with the leader.

Messages go in by `receive` and come out by `collect`; whatever the leader has not confirmed survives a change of
leader, because `hello` begins the conversation anew and `collect` then repeats what is still open. Everything here
requires the member's lock, but for what the outbox and the inbox say of theirs.
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from groupqueue.core import messages as m
from groupqueue.core.calls import Call, Question
from groupqueue.core.inbox import CREDITED, SETTLED, WAITING, Inbox
from groupqueue.core.outbox import Outbox
from groupqueue.core.results import unpack_result

HEARD_LATE = 0.005
"""Seconds that a Heard waits for something to go with. Until it is there the leader keeps the reply, and no more."""
MANY_HEARD = 64


class Session:
    """See the module. `dropped`: the group was shut down at once, with items of ours on their way. `is_bounded`: a put
    needs credit. `due`: when what was heard is confirmed at the latest, if nothing else is said before; None if nothing
    is to be confirmed.

    `getters` and `putters` hold a token for each thread that waits to get, or for room to put. `_withdrawals`: the
    items that nobody shall get, and whether this leader has been told so.
    """

    def __init__(self, member: int, pid: int, mode: str, outbox: Outbox, inbox: Inbox, words: memoryview) -> None:
        self.member = member
        self.outbox = outbox
        self.inbox = inbox
        self.welcome: m.Welcome | None = None
        self.refusal = ""
        self.getters: set[object] = set()
        self.putters: set[object] = set()
        self.shutdown = 0
        self.drained = False
        self.dropped = False
        self.misplaced = False
        self.put_limit = 0
        self.is_bounded = False
        self.was_granted = False
        self.questions: dict[int, Question] = {}
        self.completed: deque[Call] = deque()
        self._pid = pid
        self._mode = mode
        self.words = words
        self.wanted = 1
        self._granted_at = 0.0
        self._returns = 0
        self._want_told = 0
        self._credit_told = 0
        self._want_ticket = 0
        self._credit_ticket = 0
        self._ticket = 0
        self._withdrawals: dict[int, bool] = {}
        self._replies: list[m.Message] = []
        self._heard: list[m.Message] = []
        self.due: float | None = None
        self._sealed = False
        self._sealed_told = False

    # Connecting

    def hello(self) -> m.Hello:
        """Begins a conversation."""
        self.disconnect()
        self.outbox.restart()
        # What a dead leader sent and nobody read is lost: what counts is what is here.
        outstanding = max(self.put_limit - self.outbox.last_seq, 0) + self.outbox.unacked_count
        self.words[SETTLED] = max(self.words[CREDITED] - outstanding, 0)
        about = {
            "mode": self._mode,
            "credit": max(self.put_limit - self.outbox.last_seq, 0),
            "last_seq": self.outbox.last_seq,
        }
        inbox = self.inbox
        return m.Hello(m.VERSION, self.member, self._pid, inbox.received, inbox.taken, json.dumps(about).encode())

    def disconnect(self) -> None:
        """The conversation has ended; what was not confirmed is open again."""
        self.welcome = None
        self.drained = False
        self._returns = 0
        self._want_told = 0
        self._credit_told = 0
        self._replies.clear()
        self._heard.clear()
        self.due = None
        self._withdrawals = dict.fromkeys(self._withdrawals, False)
        self._sealed_told = False
        for question in self.questions.values():
            question.asked = False

    def rename(self, member: int) -> None:
        """The member begins anew under another id, in a group that knows nothing of it."""
        self.member = member
        self.put_limit = self.outbox.last_seq
        self.misplaced = False
        self.shutdown = 0
        self._sealed = False
        self.disconnect()

    @property
    def leader_pid(self) -> int | None:
        """The process that answers, None if none does."""
        return self.welcome.pid if self.welcome is not None else None

    # Asking

    @property
    def is_waiting(self) -> bool:
        """Whether somebody waits for the leader."""
        return bool(self.getters or self.putters or self.questions)

    def ask(self, request: dict[str, Any]) -> Question:
        """A new question to the leader."""
        self._ticket += 1
        question = Question(json.dumps(request).encode())
        self.questions[self._ticket] = question
        return question

    def forget(self, question: Question) -> None:
        """Nobody waits for this question any more."""
        for ticket, found in list(self.questions.items()):
            if found is question:
                del self.questions[ticket]

    def ask_for_item(self) -> int:
        """Asks for an item now or never; returns the ticket."""
        self._ticket += 1
        self._want_ticket = self._ticket
        return self._ticket

    def ask_for_credit(self) -> int:
        """Asks for room now or never; returns the ticket."""
        self._ticket += 1
        self._credit_ticket = self._ticket
        return self._ticket

    def is_answered(self, ticket: int) -> bool:
        """Whether a ticket of `ask_for_item` or `ask_for_credit` has had its answer."""
        return ticket not in (self._want_ticket, self._credit_ticket)

    def withdraw(self, call: Call) -> None:
        """The caller of `put_wait` gives up: nobody shall get the item who has not got it yet."""
        call.withdrawn = True
        if call.seq and call.answer is None:
            self._withdrawals.setdefault(call.seq, False)

    # Talking

    def collect(self, now: float) -> list[m.Message]:
        """What is to be sent now."""
        if self._sealed:
            self.outbox.reject()
        else:
            self.outbox.cut()
            self._sealed = self.shutdown > 0
        self.outbox.cut_verdicts()
        # Who is misplaced begins anew. Whatever it was granted before that would count as taken, by its old cursor.
        if self.welcome is None or self.misplaced:
            return []
        out = self._replies
        self._replies = []
        # Before the items, or somebody may get one in between.
        for seq, told in self._withdrawals.items():
            if not told:
                self._withdrawals[seq] = True
                out.append(m.Withdraw(seq))
        out += self.outbox.unsent()
        if self._sealed and not self._sealed_told:
            self._sealed_told = True
            out.append(m.Sealed())
        for ticket, question in self.questions.items():
            if not question.asked:
                question.asked = True
                out.append(m.Request(ticket, question.request))
        getters = len(self.getters) if not self.inbox.count else 0
        self.words[WAITING] = getters or int(self._want_ticket > 0)
        spent = int(1e6 * (now - self._granted_at))
        if self._want_ticket and self._want_ticket != self._want_told:
            self._want_told = self._want_ticket
            out.append(m.Want(max(getters, self.wanted - 1), self._want_ticket, spent))
        elif getters and not self._want_told and not self.drained:
            self._want_told = -1
            out.append(m.Want(max(getters, self.wanted), 0, spent))
        elif not self.getters and self._want_told == -1:
            self._want_told = 0
            out.append(m.Want(0, 0, spent))
        if self._credit_ticket and self._credit_ticket != self._credit_told:
            self._credit_told = self._credit_ticket
            out.append(m.WantCredit(len(self.putters), self._credit_ticket))
        elif self.putters and not self._credit_told and len(self.putters) > self.credit:
            self._credit_told = -1
            out.append(m.WantCredit(len(self.putters), 0))
        elif not self.putters and self._credit_told == -1:
            self._credit_told = 0
            out.append(m.WantCredit(0, 0))
        if self.due is not None and (out or now >= self.due or len(self._heard) >= MANY_HEARD):
            out += self._heard
            self._heard = []
            self.due = None
        return out

    def receive(self, message: m.Message, now: float) -> None:
        """One message of the leader. Requires the inbox's lock as well, but for an Ack."""
        kind = type(message)
        if kind is m.Grant:
            assert isinstance(message, m.Grant)
            self.was_granted = True
            if message.returns == self._returns:
                self.inbox.add(message)
            self._granted_at = now
            self._want_told = 0
            self._want_ticket = 0
        elif kind is m.Ack:
            assert isinstance(message, m.Ack)
            self._unclaim(self.outbox.ack(message.seq))
        elif kind is m.Settled:
            assert isinstance(message, m.Settled)
            self.outbox.settled(message.number)
        elif kind is m.Reply:
            assert isinstance(message, m.Reply)
            self._on_reply(message, now)
        elif kind is m.Nothing:
            assert isinstance(message, m.Nothing)
            self._on_nothing(message.ticket)
        elif kind is m.Recall:
            assert isinstance(message, m.Recall)
            self._on_recall(message.what)
        elif kind is m.Credit:
            assert isinstance(message, m.Credit)
            self.put_limit += message.count
            self._credit_told = 0
            self._credit_ticket = 0
        elif kind is m.Result:
            assert isinstance(message, m.Result)
            answer = unpack_result(bytes(message.body))
            question = self.questions.get(message.ticket)
            if question is not None:
                del self.questions[message.ticket]
                question.answer = answer
        elif kind is m.Withdrawn:
            assert isinstance(message, m.Withdrawn)
            call = self.outbox.calls.get(message.seq)
            gone = bool(message.gone)
            if call is not None:
                call.gone = gone
                if gone:
                    del self.outbox.calls[message.seq]
            self._withdrawals.pop(message.seq, None)
        elif kind is m.Shutdown:
            assert isinstance(message, m.Shutdown)
            self._on_shutdown(message.state)
        elif kind is m.Welcome:
            assert isinstance(message, m.Welcome)
            self._on_welcome(message)
        elif kind is m.Refused:
            assert isinstance(message, m.Refused)
            self.refusal = bytes(message.body).decode("utf-8", "replace")

    def answer_attention(self, state: int) -> m.Message:
        """What the leader asked for through the mapped word: 1, the cursor; 2, the rest. Requires the inbox's lock."""
        return self._give_back() if state == 2 else m.Taken(self.inbox.taken)

    def _give_back(self) -> m.Return:
        self._returns += 1
        return m.Return(self.inbox.give_back())

    def _on_welcome(self, welcome: m.Welcome) -> None:
        self.welcome = welcome
        self._unclaim(self.outbox.ack(welcome.last_seq))
        self._on_shutdown(welcome.shutdown)
        self.misplaced = welcome.position < self.inbox.received

    def _on_shutdown(self, state: int) -> None:
        self.shutdown = state
        self.drained = False
        if not state:
            self._sealed = False
        if state == 2 and self.outbox.waiting:
            self.dropped = True

    def _on_reply(self, reply: m.Reply, now: float) -> None:
        seq = reply.seq
        # Who has a reply has been heard, and so is everything before.
        self._unclaim(self.outbox.ack(seq))
        answer = (reply.status, bytes(reply.body))
        heard = (m.Heard(seq),)
        self._withdrawals.pop(seq, None)
        call = self.outbox.calls.get(seq)
        due = now + HEARD_LATE if self.due is None else self.due
        # Together, without a call in between (outbox.py): who is interrupted has answered the call, or hears it again.
        if call is not None:
            del self.outbox.calls[seq]
            call.answer = answer
            if call.callback is not None:
                self.completed += (call,)
        self._heard += heard
        self.due = due

    def _on_nothing(self, ticket: int) -> None:
        if ticket and ticket == self._credit_ticket:
            self._credit_ticket = 0
            self._credit_told = 0
            return
        if ticket == self._want_ticket:
            self._want_ticket = 0
        self._want_told = 0
        # What is still under way from here is not drained.
        self.drained = self.shutdown > 0 and not self.outbox.waiting

    @property
    def credit(self) -> int:
        """How many items may be put in a bounded group before the leader gives more room."""
        return self.put_limit - self.outbox.put_count

    def _on_recall(self, what: int) -> None:
        if what & m.RECALL_ITEMS:
            self._replies.append(self._give_back())
        if what & m.RECALL_CREDIT:
            used = self.outbox.put_count
            count = max(self.put_limit - used, 0)
            self.put_limit -= count
            self.words[SETTLED] += count
            self._replies.append(m.ReturnCredit(count))

    def _unclaim(self, count: int) -> None:
        if count and self.words[CREDITED]:
            self.words[SETTLED] += min(count, self.words[CREDITED] - self.words[SETTLED])
