"""Many devices with the MicroPython client in one process; arguments and output as examples/firmware/c/device.c has them."""

import json
import os
import random
import select
import signal
import sys
import time

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../../examples/firmware/micropython"))
sys.dont_write_bytecode = True

import tagcast  # noqa: E402

GRACE_S = 30
leaving = False


def on_signal(number, frame):
    global leaving
    leaving = True


def say(**line):
    print(json.dumps(line))


class Device:
    def __init__(self, url, token, tag, run, interval):
        self.client = tagcast.Client(url, token)
        self.tag, self.run, self.interval = tag, run, interval
        self.due = time.monotonic() + random.random() * interval
        self.count = 0

    def step(self):
        if not leaving and time.monotonic() >= self.due:
            self.due += self.interval
            identity = "%s-%s-%d" % (self.run, self.tag, self.count)
            # None: the outbox is full. The reading is not taken then, as a small device has nowhere to put it.
            if self.client.publish(self.tag, {"id": identity, "n": self.count}) is not None:
                say(event="published", id=identity, tag=self.tag)
                self.count += 1
        for event in self.client.poll():
            if event.kind == "acknowledged":
                say(event=event.kind, id=event.payload["id"], tag=self.tag, epoch=event.epoch, offset=event.offset)
            elif event.kind == "refused":
                say(event=event.kind, id=event.payload["id"], tag=self.tag, code=event.code)
            elif event.kind == "stopped":
                raise SystemExit("stopped: %d %s" % (event.code, event.text))


def main():
    url, token, prefix, count, rate = sys.argv[1:6]
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    run = os.urandom(4).hex()
    devices = [Device(url, token, "%s/%d" % (prefix, i), run, 1 / float(rate)) for i in range(int(count))]
    deadline = None
    while True:
        for device in devices:
            device.step()
        sys.stdout.flush()
        if leaving:
            deadline = deadline or time.monotonic() + GRACE_S
            if not any(device.client.unanswered() for device in devices) or time.monotonic() > deadline:
                break
        sockets = [fd for fd in (device.client.fileno() for device in devices) if fd >= 0]
        select.select(sockets, [], [], 0.02)
    return 1 if any(device.client.unanswered() for device in devices) else 0


sys.exit(main())
