"""Many devices in one process, for trials of a server: what ../c/device.c is for the C client, with the same lines.

    python3 device.py ws://127.0.0.1:8080/ws <token> <prefix> <count> <readings a second, of each> [<seconds>]

Ended by SIGINT, SIGTERM or the time, it waits up to 90 seconds for what is not answered; the status is 0 if all is.
For CPython: MicroPython has no signals.
"""

import json
import select
import signal
import sys

import tagcast

GRACE_MS = 90000


class Device:
    def __init__(self, url, token, tag, number, run):
        self.client = tagcast.Client(url, token, receive=512, outbox=2048)
        self.tag, self.number, self.run, self.count = tag, number, run, 0
        self.stopped = False

    def publish(self, counts):
        id = "%s-%d-%d" % (self.run, self.number, self.count)
        if self.client.publish(self.tag, {"id": id, "n": self.count}) is None:
            return  # The outbox is full: later.
        self.count += 1
        counts["published"] += 1
        tell(event="published", id=id, tag=self.tag)

    def poll(self, counts):
        for event in self.client.poll():
            if event.kind == "acknowledged":
                tell(event=event.kind, id=event.payload["id"], tag=self.tag, epoch=event.epoch or 0,
                     offset=event.offset or 0, repeated=event.repeated)
            elif event.kind == "refused":
                tell(event=event.kind, id=event.payload["id"], tag=self.tag, code=event.code)
            elif event.kind in ("disconnected", "stopped"):
                self.stopped = event.kind == "stopped"
                print("%s: %r" % (self.tag, event), file=sys.stderr)
            if event.kind in counts:
                counts[event.kind] += 1


def tell(**line):
    print(json.dumps(line), flush=True)


def main(url, token, prefix, count, rate, seconds=None):
    run = tagcast.random_bytes(4).hex()
    interval = int(1000 / float(rate))
    devices = [Device(url, token, "%s/%d" % (prefix, i), i, run) for i in range(int(count))]
    begun = tagcast.ticks_ms()
    # So that they do not all speak at the same moment.
    due = [begun + i * interval // len(devices) for i in range(len(devices))]
    counts = {"published": 0, "acknowledged": 0, "refused": 0}
    leaving = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leaving.append(number))
    left = None
    while not all([device.stopped for device in devices]):
        now = tagcast.ticks_ms()
        if left is None and (leaving or (seconds and now - begun >= float(seconds) * 1000)):
            left = now
        if left is not None:
            waiting = sum([device.client.unanswered() for device in devices])
            if waiting == 0 or now - left >= GRACE_MS:
                break
        for i, device in enumerate(devices):
            if left is None and now >= due[i]:
                due[i] += interval
                device.publish(counts)
            device.poll(counts)
        descriptors = [device.client.fileno() for device in devices]
        select.select([fd for fd in descriptors if fd >= 0], [], [], min(interval, 20) / 1000)
    unanswered = counts["published"] - counts["acknowledged"] - counts["refused"]
    tell(event="end", unanswered=unanswered, **counts)
    return 1 if unanswered else 0


sys.exit(main(*sys.argv[1:]))
