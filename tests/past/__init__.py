"""A past of 200 runs: its plan, and the loop that is made to live it."""
