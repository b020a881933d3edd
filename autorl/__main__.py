"""``python -m autorl`` is ``autorl``."""

from autorl.cli.app import program

if __name__ == "__main__":
    program()
