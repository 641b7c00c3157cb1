"""`python -m upnet.data`: the same as `upnet data`."""

import sys

from upnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["data", *sys.argv[1:]]))
