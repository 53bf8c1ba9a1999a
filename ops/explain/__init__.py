"""What became of every intent of a run, and where each cent went: `arb-supervisor explain`."""
