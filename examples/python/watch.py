"""Print what arrives, and what does not: watch.py [pattern]"""

import asyncio
import os
import sys

import tagcast


def harmless(value):
    """As text for a terminal: nothing in it moves the cursor or breaks the line."""
    return "".join(unit if unit.isprintable() else " " for unit in str(value))


async def main():
    """Print until interrupted."""
    pattern = sys.argv[1] if len(sys.argv) > 1 else "#"
    client = await tagcast.connect(os.environ["TAGCAST_URL"], os.environ["TAGCAST_TOKEN"])
    async for message in await client.subscribe(pattern, on_gap=lambda gap: print(harmless(gap))):
        print(harmless(message.tag), harmless(message.payload), flush=True)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
except tagcast.TagcastError as error:
    sys.exit(str(error))
