"""Each wait ends, counted from its beginning. The tests also show which connection is closed if there is no room."""

import socket
from collections.abc import Callable, Iterator

import pytest

from governance.web.worker.connection import MOST_PIECES, Connection
from governance.web.worker.waits import ROOM, Timeouts, WaitQueues, leave


@pytest.fixture
def connect() -> Iterator[Callable[[], Connection]]:
    """Yield a function that makes connections. Their peers neither send nor read; `peers` has the other ends."""
    ends: list[socket.socket] = []

    def make() -> Connection:
        one, other = socket.socketpair()
        ends.extend([one, other])
        other.settimeout(5)
        make.peers.append(other)  # type: ignore[attr-defined]
        return Connection(one, ("127.0.0.1", 1), ("127.0.0.1", 2))

    make.peers = []  # type: ignore[attr-defined]
    yield make
    for end in ends:
        end.close()


@pytest.fixture
def waits() -> WaitQueues:
    return WaitQueues(Timeouts(header=10, body=30, send=30, idle=75))


def test_a_wait_is_over_when_its_time_is_and_not_before(connect, waits):
    first, second = connect(), connect()
    waits.head.begin(first, 100)
    waits.head.begin(second, 101)
    assert next(waits.head.over(109.9), None) is None
    assert next(waits.head.over(110), None) is first
    leave(first)
    assert next(waits.head.over(110), None) is None
    assert next(waits.head.over(111), None) is second


def test_a_connection_is_in_one_wait(connect, waits):
    connection = connect()
    waits.head.begin(connection, 0)
    waits.body.begin(connection, 5)
    assert (len(waits.head), len(waits.body), connection.wait) == (0, 1, waits.body)
    leave(connection)
    leave(connection)
    assert (len(waits.body), connection.wait) == (0, None)


def test_a_wait_can_be_shortened_but_not_made_longer(connect, waits):
    first, second = connect(), connect()
    waits.idle.begin(first, 0)
    waits.idle.begin(second, 50)
    waits.idle.shorten(80)
    assert next(waits.idle.over(75), None) is first
    leave(first)
    assert next(waits.idle.over(80), None) is second


def test_for_a_new_peer_goes_who_hangs_up_late_then_who_has_not_asked_then_who_idles(connect, waits):
    in_order = []
    for wait in (waits.linger, waits.head, waits.idle, waits.body, waits.send):
        for began in range(2):
            in_order.append(connect())
            wait.begin(in_order[-1], began)
    for expected in in_order:
        assert waits.least_missed() is expected
        leave(expected)
    assert waits.least_missed() is None


def test_where_there_is_no_room_goes_who_takes_longest_whether_it_sends_or_reads(connect, waits):
    reader, sender, small = connect(), connect(), connect()
    waits.send.begin(reader, 2)
    waits.body.begin(sender, 1)
    waits.body.begin(small, 3)
    waits.weigh(reader, ROOM)
    assert waits.largest_debtor() is None
    waits.weigh(small, 1)
    assert waits.largest_debtor() is sender
    leave(sender)
    assert waits.largest_debtor() is reader
    leave(reader)
    waits.weigh(reader, 0)
    assert (waits.largest_debtor(), waits.held) == (None, 1)


def test_an_answer_in_many_pieces_is_sent_as_far_as_the_peer_takes_it(connect):
    connection = connect()
    pieces = [bytes([number % 256]) * (number * 7 % 5000) for number in range(2 * MOST_PIECES)]
    for piece in pieces:
        connection.sock.sendall(piece)
    connection.answer()
    assert 0 < connection.weigh() < sum(map(len, pieces))
    came = b""
    while connection.unsent or len(came) < sum(map(len, pieces)):
        came += connect.peers[0].recv(65536)
        connection.flush()
    assert came == b"".join(pieces)
