/** Peers that do nothing once the server has closed: only a process's own descriptors show that their sockets are freed. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { opcode, RawSocket } from "../harness/raw-socket.ts";
import { startProcess } from "../harness/server.ts";

test("sockets that were closed are freed within seconds, whatever their peers do", async () => {
  await using server = await startProcess({ args: ["--log-level", "silent"] });
  const sockets = () => readdirSync(`/proc/${server.pid}/fd`).length;
  const authorized = { Authorization: `Bearer ${server.token}` };
  const before = sockets();
  const open = await RawSocket.open(server.url, { headers: authorized });
  const mute: RawSocket[] = [];
  for (let i = 0; i < 50; i++) {
    const raw = await RawSocket.open(server.url);
    raw.sendFrame({ opcode: opcode.text, payload: "the wrong kind of frame" });
    await raw.next(opcode.close);
    mute.push(raw);
  }
  expect(mute.map((raw) => raw.closed)).toEqual(Array(50).fill(false));
  // What the runtime does about them cannot be waited for from here: it is looked at until it is done.
  const deadline = Date.now() + 15_000;
  while (sockets() > before + 1 && Date.now() < deadline) await Bun.sleep(100);
  expect(sockets()).toBe(before + 1);
  expect([open.ended, open.closed]).toEqual([false, false]);
  for (const raw of [open, ...mute]) await raw[Symbol.asyncDispose]();
}, 20_000);
