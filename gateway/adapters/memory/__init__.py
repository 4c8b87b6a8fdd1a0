"""Every row port in memory: for tests, first steps and the self-test. Nothing here outlives the process.

It answers by looking at everything, in the plainest code that is right, so that the databases can be judged by it. A unit
works on a copy of the state and puts it in place when it succeeds; a view keeps the state that it began with.
"""

from gateway.adapters.memory.state import MemoryState
from gateway.adapters.memory.store import MemoryStore

__all__ = ["MemoryState", "MemoryStore"]
