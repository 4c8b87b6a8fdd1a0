"""What we need from others, as Protocols and nothing else.

Two kinds: those inside a unit of work (`Work`: registry, studies, ledger, identity, audit, documents), which commit or
vanish together, and those outside it (archive, objects, peers, policy, clock, compute), reached before or after.
"""
