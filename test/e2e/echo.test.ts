/** `--echo-for-tests`: what a conformance test sends over /echo comes back as it was. */
import { describe, expect, test } from "bun:test";
import { opcode, RawSocket } from "../harness/raw-socket.ts";
import { Program, startProcess } from "../harness/server.ts";

describe("/echo", () => {
  test("gives back text, bytes, fragments and large frames as they were", async () => {
    await using server = await startProcess({ args: ["--echo-for-tests"] });
    await using raw = await RawSocket.open(server.url, { path: "/echo" });
    const large = Buffer.alloc(2_000_000, "0123456789");
    const sent = [
      { opcode: opcode.text, payload: Buffer.from("grüße 🎈") },
      { opcode: opcode.binary, payload: Buffer.from([0, 255, 0xc1]) },
      { opcode: opcode.text, payload: Buffer.alloc(0) },
      { opcode: opcode.binary, payload: large },
    ];
    for (const frame of sent) {
      raw.sendFrame(frame);
      const back = await raw.next();
      expect([back.opcode, back.fin, back.payload.equals(frame.payload)]).toEqual([frame.opcode, true, true]);
    }
    raw.sendFrame({ opcode: opcode.binary, payload: large.subarray(0, 10), fin: false });
    raw.sendFrame({ opcode: opcode.ping, payload: "between" });
    raw.sendFrame({ opcode: opcode.continuation, payload: large.subarray(10, 20), fin: false });
    raw.sendFrame({ opcode: opcode.continuation, payload: large.subarray(20, 30) });
    const [pong, whole] = [await raw.next(), await raw.next()];
    expect([pong.opcode, pong.payload.toString()]).toEqual([opcode.pong, "between"]);
    expect([whole.opcode, whole.payload.toString()]).toEqual([opcode.binary, large.subarray(0, 30).toString()]);
    raw.sendFrame({ opcode: opcode.close, payload: Buffer.from([0x0f, 0xa0]) });
    expect((await raw.next(opcode.close)).payload.readUInt16BE(0)).toBe(4000);
  });

  test("is nothing where it was not asked for", async () => {
    await using server = await startProcess();
    expect(await RawSocket.open(server.url, { path: "/echo" }).catch(String)).toContain("404");
  });

  test("is refused beyond loopback", async () => {
    const args = ["serve", "--echo-for-tests", "--host", "0.0.0.0", "--port", "0", "--admin-token", "0123456789abcdef"];
    await using program = new Program({ args });
    expect(await program.end()).toBe(2);
    expect(program.stderr).toContain("echo-for-tests (--echo-for-tests)");
  });
});
