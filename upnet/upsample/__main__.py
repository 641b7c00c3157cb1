"""`python -m upnet.upsample`: meet the operators."""

import sys

from upnet.starting import run_program
from upnet.upsample.show.command import main

if __name__ == "__main__":
    sys.exit(run_program(main))
