"""Studies: several arms trained with several seeds, compared by statistics and diagnostics, and reported."""
