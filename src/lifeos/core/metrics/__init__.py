"""The numbers by which the operator steers: few, each exact, each with the runs behind it."""
