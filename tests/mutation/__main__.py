"""``cd tests && python -m mutation``: the whole matrix, with what survived."""

from mutation.matrix import kill_matrix

if __name__ == "__main__":
    print(kill_matrix())
