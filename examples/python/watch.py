"""Print what arrives, and what does not: watch.py [pattern]"""

import asyncio
import os
import sys

import tagcast


async def main():
    """Print until interrupted."""
    pattern = sys.argv[1] if len(sys.argv) > 1 else "#"
    client = await tagcast.connect(os.environ["TAGCAST_URL"], os.environ["TAGCAST_TOKEN"])
    async for message in await client.subscribe(pattern, on_gap=print):
        print(message.tag, message.payload, flush=True)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
except tagcast.TagcastError as error:
    sys.exit(str(error))
