"""A sensor: publishes a reading every second to `<tag>/reading`, with acknowledgement, and obeys
`<tag>/interval`, a number of seconds that somebody publishes.

On a device it is main.py, with the constants filled in and the network connected before. On a
computer the environment has them: TAGCAST_URL, TAGCAST_TOKEN, and for wss:// TAGCAST_CA, a file.
"""

import time

import tagcast

URL = TOKEN = CA = None
TAG = "plant/7"

if URL is None:
    import os

    URL, TOKEN = os.environ["TAGCAST_URL"], os.environ["TAGCAST_TOKEN"]
    if "TAGCAST_CA" in os.environ:
        with open(os.environ["TAGCAST_CA"]) as file:
            CA = file.read()


def main():
    client = tagcast.Client(URL, TOKEN, ca=CA, echo=False)
    client.subscribe(TAG + "/interval")
    interval_ms, count, last = 1000, 0, tagcast.ticks_ms() - 1000
    while True:
        for event in client.poll():
            print(event)
            if event.kind == "message" and isinstance(event.payload, int) and 0 < event.payload <= 3600:
                interval_ms = event.payload * 1000
            if event.kind == "stopped":
                return
        if tagcast.ticks_diff(tagcast.ticks_ms(), last) >= interval_ms:
            last = tagcast.ticks_ms()
            reading = {"celsius": 20 + count % 10 / 4, "n": count}
            if client.publish(TAG + "/reading", reading) is None:
                print("The outbox is full")
            count += 1
        time.sleep(0.02)


main()
