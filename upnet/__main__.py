"""`python -m upnet`: the same as the command `upnet`."""

import sys

from upnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
