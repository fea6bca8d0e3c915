"""The loop, event by event."""

import errno
import selectors
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from time import monotonic

import pytest
from gunicorn.config import Config

from governance.domain.deadlines import deadline, note_arrival
from governance.web.worker.connection import Connection
from governance.web.worker.loop import MOST_ACCEPTED
from governance.web.worker.waits import ROOM
from governance.web.worker.worker import Worker


class Threads:
    """A pool that records its tasks and does none of them."""

    def __init__(self) -> None:
        self.asked: list[Connection] = []

    def submit(self, _handle, connection: Connection) -> "Threads":
        self.asked.append(connection)
        return self

    def add_done_callback(self, _callback) -> None:
        pass


class Listener:
    """Accepts the given connections, and after that no other."""

    def __init__(self, *found: socket.socket | OSError) -> None:
        self.found = list(found)

    def accept(self):
        if not self.found:
            raise BlockingIOError(errno.EAGAIN, "nobody is there")
        found = self.found.pop(0)
        if isinstance(found, OSError):
            raise found
        return found, ("127.0.0.1", 1)

    def getsockname(self):
        return ("127.0.0.1", 2)


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(1, 1, [], None, 1, Config(), None)
    made.poller, made.tpool = selectors.DefaultSelector(), Threads()
    yield made
    made.murder_keepalived(force=True)
    made.poller.close()
    made.tmp.close()
    note_arrival(None)
    assert made.nr_conns == len(made.tpool.asked)
    for each in made.tpool.asked:
        each.close()


@pytest.fixture
def peers(worker: Worker) -> Iterator[list[socket.socket]]:
    """Yield the other ends of three connections of the worker."""
    pairs = [socket.socketpair() for _ in range(3)]
    listener = Listener(*(own for own, _ in pairs))
    worker.accept(listener)
    yield [other for _, other in pairs]
    for _, other in pairs:
        other.close()


def turn(worker: Worker) -> None:
    """Run one pass of the loop."""
    worker.wait_for_and_dispatch_events(0)


def test_an_event_of_a_connection_that_another_event_has_closed_does_nothing(worker, peers):
    first, second, _ = list(worker.waits.head)
    for peer in peers[:2]:
        peer.sendall(b"GET")
    real = worker._readable

    def readable(connection: Connection, own: socket.socket) -> None:
        """Close the other connection when the first one is read."""
        if worker.nr_conns == 3:
            worker._drop(second if connection is first else first)
        real(connection, own)

    for connection in (first, second):
        worker.poller.modify(connection.socket, selectors.EVENT_READ, lambda own, each=connection: readable(each, own))
    turn(worker)
    assert worker.nr_conns == 2


def test_what_a_peer_sends_before_it_has_taken_its_answer_is_not_read(worker, peers):
    connection = next(iter(worker.waits.head))
    connection.unsent = [b"x" * 10_000_000]
    worker._await_taking(connection)
    peers[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    worker._readable(connection, connection.socket)
    turn(worker)
    assert (connection.received, worker.tpool.asked) == (b"", [])


def test_answers_that_nobody_takes_keep_no_more_than_their_room(worker, peers):
    for connection in list(worker.waits.head):
        connection.unsent = [b"x" * (ROOM // 2 - 1)]
        worker._await_taking(connection)
    assert (worker.nr_conns, len(worker.waits.send)) == (2, 2)
    assert worker.waits.held <= ROOM
    assert peers[0].recv(1) == b""


def test_a_worker_without_files_for_another_peer_gives_up_a_tenth_of_its_connections(worker, peers):
    worker.accept(Listener(OSError(errno.EMFILE, "Too many open files")))
    assert (worker.nr_conns, worker.worker_connections) == (1, 2)
    worker.accept(Listener(BlockingIOError(errno.EAGAIN, "another worker was faster")))
    assert (worker.nr_conns, worker.worker_connections) == (1, 2)


def test_a_message_goes_to_a_thread_when_it_is_complete_and_not_before(worker, peers):
    first, second, third = list(worker.waits.head)
    peers[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    peers[1].sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{")
    peers[2].sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{")
    turn(worker)
    assert worker.tpool.asked == [first]
    peers[1].sendall(b"}GET ")
    peers[2].shutdown(socket.SHUT_WR)
    turn(worker)
    assert set(worker.tpool.asked) == {first, second, third}
    assert (second.is_whole, second.message[-2:], second.received) == (True, b"{}", b"GET ")
    assert (third.is_whole, third.message[-1:]) == (False, b"{")


def test_a_calls_time_counts_from_when_all_of_it_was_here(worker, peers):
    whole, large, _ = list(worker.waits.head)
    before = monotonic()
    peers[0].sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
    peers[1].sendall(b"POST / HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n{")
    turn(worker)
    assert set(worker.tpool.asked) == {whole, large}
    assert before <= whole.came_at <= monotonic()
    assert large.came_at is None
    whole.came_at = before - 1000
    worker.handle(whole)
    assert deadline(0) == before - 1000
    worker.handle(large)
    assert deadline(0) >= before


def test_a_stop_ends_idle_waits_soon_and_lets_messages_come(worker, peers):
    nothing, half, idle = list(worker.waits.head)
    peers[1].sendall(b"GET /")
    turn(worker)
    worker.waits.idle.begin(idle, monotonic())
    worker.alive = False
    worker.murder_keepalived()
    assert list(worker.waits.head) == [half]
    assert list(worker.waits.idle) == [idle, nothing]
    assert list(worker.waits.idle.over(monotonic() + 1)) == []
    assert next(worker.waits.idle.over(monotonic() + 3)) is idle


def test_a_message_counts_until_it_is_answered_and_is_then_forgotten(worker, peers):
    first = next(iter(worker.waits.head))
    body = b"POST / HTTP/1.1\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000
    peers[0].sendall(body)
    turn(worker)
    assert (worker.tpool.asked, worker.waits.held) == ([first], len(body))
    done = Future()
    done.set_result(True)
    worker.finish_request(first, done)
    assert (first.message, worker.waits.held, first.wait) == (b"", 0, worker.waits.idle)
    worker.tpool.asked.clear()


def test_bodies_go_where_the_messages_that_wait_for_a_thread_fill_the_room(worker, peers):
    first, second, _ = list(worker.waits.head)
    peers[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    turn(worker)
    worker.waits.weigh(first, ROOM)
    peers[1].sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
    turn(worker)
    assert peers[1].recv(1) == b""
    assert (second.wait, worker.nr_conns) == (None, 2)
    worker.waits.weigh(first, 0)
    worker._drop(next(iter(worker.waits.head)))


def test_a_few_peers_are_taken_at_once_and_the_others_left_to_other_workers(worker):
    pairs = [socket.socketpair() for _ in range(MOST_ACCEPTED + 1)]
    listener = Listener(*(own for own, _ in pairs))
    worker.accept(listener)
    assert (worker.nr_conns, len(listener.found)) == (MOST_ACCEPTED, 1)
    worker.accept(listener)
    assert worker.nr_conns == MOST_ACCEPTED + 1
    for _, other in pairs:
        other.close()
