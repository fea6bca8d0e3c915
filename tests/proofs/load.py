"""One process of callers. Each thread sends the same request several times over its connection.

Run it as `python -m tests.proofs.load PORT THREADS CALLS BODY`. It prints `ready` when all threads are connected, and
begins after a line on standard input. At the end it prints all responses as one JSON list of [status, body].
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
