"""The tick: gather what is so, decide purely, perform, record, and again."""
