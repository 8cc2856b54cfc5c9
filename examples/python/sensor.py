"""Publish the load of this machine once a second: sensor.py [tag]"""

import asyncio
import os
import socket
import sys

import tagcast


async def main():
    """Publish until interrupted."""
    tag = sys.argv[1] if len(sys.argv) > 1 else f"log/{socket.gethostname()}/load"
    client = await tagcast.connect(os.environ["TAGCAST_URL"], os.environ["TAGCAST_TOKEN"])
    while True:
        await client.publish(tag, os.getloadavg()[0])
        await asyncio.sleep(1)


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
except tagcast.TagcastError as error:
    sys.exit(str(error))
