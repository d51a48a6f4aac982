"""Lays graphs out in a process of its own: DOT comes in on standard input, the answers go out on standard output.

pygraphviz holds the interpreter's lock while it works, and Graphviz may end the process: so neither
happens in the user's. Started by path, so that it imports nothing of this package, nor torch.

A request is a line ``<format> <size>`` and that many bytes of DOT; an answer is a line ``<status> <size>`` and
that many bytes: of that format if the status is ``ok``, else what went wrong. It ends when its input does.
"""

import os
import sys


def main() -> None:
    """Answer requests until there are no more."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get in between

    try:
        import pygraphviz  # absent without the extra `pictures`; this process exists for it alone
    except ImportError as error:
        sys.exit(str(error))

    while line := requests.readline():
        form, size = line.decode().split()
        try:
            graph = pygraphviz.AGraph(string=requests.read(int(size)).decode())
            status, answer = "ok", graph.draw(format=form, prog="dot")
            graph.close()
        except Exception as error:  # whatever it is, the next request may do better
            status, answer = "error", f"{type(error).__name__}: {error}".encode()
        answers.write(f"{status} {len(answer)}\n".encode() + answer)
        answers.flush()


if __name__ == "__main__":
    main()
