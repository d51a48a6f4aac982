"""Lays out one graph in a process of its own: DOT on standard input, a picture on standard output.

pygraphviz holds the interpreter's lock while it works, and Graphviz may end the process: so neither
happens in the user's. Started by path, so that it imports nothing of this package, nor torch.
"""

import sys


def main() -> None:
    """Read DOT from standard input and write the picture to standard output."""
    import pygraphviz  # absent without the extra `pictures`; this process exists for it alone

    graph = pygraphviz.AGraph(string=sys.stdin.buffer.read().decode())
    sys.stdout.buffer.write(graph.draw(format=sys.argv[1], prog="dot"))


if __name__ == "__main__":
    main()
