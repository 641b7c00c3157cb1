"""`python -m upnet.upsample`: meet the operators."""

import sys

from upnet.cli.operators import main
from upnet.cli.startup import run_program

if __name__ == "__main__":
    sys.exit(run_program(main))
