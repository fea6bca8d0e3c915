"""One process of callers: so many threads, each of which sends the same request so many times over its connection.

Run as `python -m tests.proofs.load PORT THREADS CALLS BODY`. Says `ready` when all are connected, begins at a line on
standard input, and ends with all answers as one JSON list of [status, body].
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from tests.proofs.serving import Caller


def main(port: int, threads: int, calls: int, body: Any) -> None:
    connected, begin = Barrier(threads + 1), Barrier(threads + 1)

    def call() -> list[tuple[int, str]]:
        with Caller(port) as caller:
            caller.connect()
            connected.wait()
            begin.wait()
            replies = [caller.post("reservations", body) for _ in range(calls)]
        return [(reply.status, reply.body.decode()) for reply in replies]

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(call) for _ in range(threads)]
        connected.wait()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        begin.wait()
        answers = [answer for each in running for answer in each.result()]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))
