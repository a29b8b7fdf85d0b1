"""Self-improvement: patterns in what happened, proposals that rest on them, and what came of those.

Everything is computed from the chronicle of the ledger and the rules as values. Nothing here
changes anything: a proposal is a question to the CEO, whatever the autonomy, and lands by their
answer alone.
"""
