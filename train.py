"""`python train.py …`: the same as `upnet train …`."""

import sys

from upnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
