"""`python -m upnet.upsample`: the same as `upnet operators`."""

import sys

from upnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["operators", *sys.argv[1:]]))
