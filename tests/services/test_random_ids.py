"""Ids of reservations: ordered by time, unique in all threads and forks, and hard to guess."""

import os
import uuid
from concurrent.futures import ThreadPoolExecutor

from governance.services.random_ids import RandomIds

NOW = 1_790_000_000_123_456


def test_an_id_is_a_uuid_of_version_7_that_begins_with_the_time():
    made = uuid.UUID(RandomIds().new_ordered_id(NOW))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == NOW // 1000


def test_ids_of_many_threads_at_one_instant_differ():
    random_ids = RandomIds()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(random_ids.new_ordered_id, [NOW] * 20_000))
    assert len(set(made)) == len(made)


def test_every_random_bit_of_an_id_takes_both_values():
    random_ids, zeros, ones = RandomIds(), 0, 0
    for _ in range(200):
        tail = uuid.UUID(random_ids.new_ordered_id(NOW)).int & (2**80 - 1)
        ones, zeros = ones | tail, zeros | ~tail
    fixed = 0xF << 76 | 0b11 << 62
    assert ones & zeros & (2**80 - 1) == (2**80 - 1) ^ fixed


def test_a_forked_process_draws_its_own_ids():
    random_ids = RandomIds()
    random_ids.new_ordered_id(NOW)
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, random_ids.new_ordered_id(NOW).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(readable, 36).decode()
    os.close(readable)
    os.close(writable)
    assert theirs != random_ids.new_ordered_id(NOW)
