"""`python -m upnet.upsample`: meet the operators."""

import sys

from upnet.upsample.show.command import main

sys.exit(main())
