import { describe, expect, test } from "bun:test";
import { Encryption, type EncryptionOptions } from "../../../src/gateway/encryption.ts";
import { FakeClock } from "../../harness/clock.ts";
import { KeptLog } from "../../harness/server.ts";

const outside = { address: "203.0.113.7", secure: null };
const inside = { address: "127.0.0.1", secure: null };
const header = "strict-transport-security";

function stage(options: Partial<EncryptionOptions> = {}) {
  const log = new KeptLog();
  return {
    log,
    encryption: new Encryption({ requireTls: false, hstsMs: null, ...options, clock: new FakeClock(), log }),
  };
}

async function hstsOf(options: Partial<EncryptionOptions>, secure: boolean): Promise<string | null> {
  const sealed = await stage(options).encryption.seal(Promise.resolve(new Response("x")), secure);
  return sealed?.headers.get(header) ?? null;
}

describe("Encryption", () => {
  test("lets everything in where it is not required", () => {
    expect(stage().encryption.refuse(outside, false, false)).toBeNull();
  });

  test("refuses, counts and logs what comes in the clear where it is required", async () => {
    const { encryption, log } = stage({ requireTls: true });
    const refusal = encryption.refuse(outside, false, false);
    expect(refusal?.status).toBe(403);
    expect(await refusal?.json()).toMatchObject({ code: 103, detail: expect.stringContaining("wss://") });
    expect(encryption.counts.plainRefused).toBe(1);
    expect(log.entries).toMatchObject([{ level: "warn", fields: { from: "203.0.113.7" } }]);
    expect(encryption.refuse(outside, true, false)).toBeNull();
  });

  test("tells health to this machine all the same, and nothing else", () => {
    const { encryption } = stage({ requireTls: true });
    expect(encryption.refuse(inside, false, true)).toBeNull();
    expect(encryption.refuse(inside, false, false)?.status).toBe(403);
    expect(encryption.refuse(outside, false, true)?.status).toBe(403);
  });

  test("tells browsers for a year where it is required, else as long as was said", async () => {
    expect(await hstsOf({ requireTls: true }, true)).toBe("max-age=31536000");
    expect(await hstsOf({ requireTls: true, hstsMs: 0 }, true)).toBeNull();
    expect(await hstsOf({ hstsMs: 60_000 }, true)).toBe("max-age=60");
    expect(await hstsOf({}, true)).toBeNull();
  });

  test("says nothing of it in the clear, where anybody could have", async () => {
    expect(await hstsOf({ requireTls: true }, false)).toBeNull();
  });

  test("has nothing to add to what is no answer", () => {
    expect(stage({ requireTls: true }).encryption.seal(undefined, true)).toBeUndefined();
  });
});
