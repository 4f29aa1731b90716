"""A process that has everything imported and forks a writer for each line it reads: a start takes milliseconds.

Each line is a JSON list of a writer's arguments; the answer is the process id. It ends when its input closes; its
writers end at their next line to a pipe that nobody reads.
"""

import os
import signal
import sys

import orjson

from tests.faults import writer


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead leave nothing behind
    for line in sys.stdin.buffer:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                writer.run(orjson.loads(line))
                code = 0
            finally:
                os._exit(code)
        os.write(1, b"%d\n" % pid)


if __name__ == "__main__":
    main()
