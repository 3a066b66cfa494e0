"""Analytics: its database is slow to begin and quick to go on, so it wants much at once: up to 500 actions, or what came in 2 s."""

import os
import sqlite3

from weir import batches, say

database = sqlite3.connect(os.environ["ANALYTICS_DB"])
database.execute("CREATE TABLE IF NOT EXISTS facts (action TEXT PRIMARY KEY, event TEXT, price REAL)")
say(ready=True)

for actions in batches("analytics", max=500, linger_ms=2_000):
    rows = [(action["id"], action["event"], action.get("price")) for action in actions]
    with database:
        database.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", rows)
    say(actions=[action["id"] for action in actions])
