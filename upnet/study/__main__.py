"""`python -m upnet.study`: the same as `upnet study`."""

import sys

from upnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["study", *sys.argv[1:]]))
