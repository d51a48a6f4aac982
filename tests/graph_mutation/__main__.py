"""``cd tests && python -m graph_mutation [models] [--sites 3] [--edits]``: the whole matrix, with what survived."""

from __future__ import annotations

import argparse

from graph_mutation.matrix import SITES
from graph_mutation.models import EDITED, MORE, QUICK
from graph_mutation.runs import edit_matrix, mutation_matrix


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m graph_mutation", description=__doc__)
    parser.add_argument("models", nargs="*", help="default: all")
    parser.add_argument(
        "--sites", type=int, default=SITES, help=f"places tried of each kind (default: {SITES})"
    )
    parser.add_argument(
        "--edits", action="store_true", help="edit the models themselves instead of their graphs"
    )
    options = parser.parse_args()
    if options.edits:
        print(edit_matrix(options.models or EDITED))
    else:
        names = options.models or [*QUICK, *MORE]
        print(mutation_matrix(names, options.sites))


if __name__ == "__main__":
    main()
