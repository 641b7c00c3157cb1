"""`python evaluate.py …`: the same as `upnet evaluate …`."""

import sys

from upnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
