/** `gateway/client-address.ts`: whose word counts about who the client is, and whose does not. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { clientOf, isLoopbackAddress, limitKey, trustedProxies } from "../../../src/gateway/client-address.ts";

const proxies = trustedProxies(["10.0.0.0/8", "127.0.0.1", "fd00::/8"]);
const peer = "10.0.0.1";

function seen(headers: Record<string, string>, from = peer, trusted = proxies) {
  return clientOf(new Headers(headers), from, trusted);
}

describe("without a trusted proxy", () => {
  test("headers count for nothing", () => {
    const headers = {
      forwarded: "for=192.0.2.1;proto=https",
      "x-forwarded-for": "192.0.2.1",
      "x-forwarded-proto": "https",
    };
    expect(seen(headers, peer, [])).toEqual({ address: peer, secure: null });
    expect(seen(headers, "203.0.113.5")).toEqual({ address: "203.0.113.5", secure: null });
  });

  test("the peer's address is canonical, without the zone, and empty where there is none", () => {
    expect(seen({}, "::ffff:203.0.113.5").address).toBe("203.0.113.5");
    expect(seen({}, "fe80::1%eth0").address).toBe("fe80::1");
    expect(seen({ "x-forwarded-for": "192.0.2.1" }, "")).toEqual({ address: "", secure: null });
  });
});

const forwarded: readonly (readonly [header: string, address: string, secure: boolean | null])[] = [
  ["for=192.0.2.1", "192.0.2.1", null],
  ["For=192.0.2.1;Proto=HTTPS", "192.0.2.1", true],
  ["proto=http;for=192.0.2.1;by=10.0.0.9", "192.0.2.1", false],
  ['for="192.0.2.1:4711"', "192.0.2.1", null],
  ['for="[2001:db8::17]:4711";proto=wss', "2001:db8::17", true],
  ['for="[2001:db8::17]"', "2001:db8::17", null],
  ["for=192.0.2.1:80", "192.0.2.1", null],
  ['for="\\192.0.2.1"', "192.0.2.1", null],
  ['for="::ffff:192.0.2.1"', "192.0.2.1", null],
  ["for=6.6.6.6, for=192.0.2.1", "192.0.2.1", null],
  ["for=6.6.6.6, for=192.0.2.1;proto=https, for=10.9.9.9;proto=http", "192.0.2.1", true],
  ["for=192.0.2.1, for=10.9.9.9;proto=https", "192.0.2.1", null],
  ["for=10.1.1.1, for=10.9.9.9", "10.1.1.1", null],
  ["for=192.0.2.1, , for=10.9.9.9 ,", "192.0.2.1", null],
  ['for=192.0.2.1;ext="a, for=6.6.6.6", for=10.9.9.9', "192.0.2.1", null],
  // Unknown from here on: the last known hop stands for the client.
  ["for=192.0.2.1, for=unknown", peer, null],
  ["for=192.0.2.1, for=_hidden;proto=https, for=10.9.9.9", "10.9.9.9", true],
  ['for="_a:_b"', peer, null],
  ["proto=https", peer, true],
  // Not well-formed: nobody knows whose words it holds.
  ['for=6.6.6.6;x=", for=192.0.2.1', peer, null],
  ["for=192.0.2.1;", "192.0.2.1", null],
  ["for=[2001:db8::1]", "2001:db8::1", null],
  ["for", peer, null],
  ["for=", peer, null],
  ["for=192.0.2.1 for=6.6.6.6", peer, null],
  ["", peer, null],
];

test.each(forwarded)("Forwarded: %s is %s, secure %p", (header, address, secure) => {
  expect(seen({ forwarded: header })).toEqual({ address, secure });
});

const listed: readonly (readonly [list: string, scheme: string | null, address: string, secure: boolean | null])[] = [
  ["192.0.2.1", null, "192.0.2.1", null],
  ["192.0.2.1", "https", "192.0.2.1", true],
  ["192.0.2.1:5000", "wss", "192.0.2.1", true],
  ["[2001:db8::17]:4711", "http", "2001:db8::17", false],
  ["2001:db8::17", "ftp", "2001:db8::17", false],
  ["6.6.6.6, 192.0.2.1, 10.9.9.9", "https", "192.0.2.1", true],
  // One a hop: the client's own counts.
  ["6.6.6.6, 192.0.2.1, 10.9.9.9", "http, https, http", "192.0.2.1", true],
  // Not one a hop: all must be secure.
  ["6.6.6.6, 192.0.2.1, 10.9.9.9", "https, http", "192.0.2.1", false],
  ["6.6.6.6, nonsense", null, peer, null],
  ["6.6.6.6,", null, peer, null],
  ["", null, peer, null],
  ["[192.0.2.1]", null, peer, null],
];

test.each(listed)("X-Forwarded-For: %s with the scheme %p is %s, secure %p", (list, scheme, address, secure) => {
  const headers = { "x-forwarded-for": list, ...(scheme !== null && { "x-forwarded-proto": scheme }) };
  expect(seen(headers)).toEqual({ address, secure });
});

test("the scheme counts without an address", () => {
  expect(seen({ "x-forwarded-proto": "https" })).toEqual({ address: peer, secure: true });
});

describe("both headers", () => {
  test("count where they name the same client", () => {
    const headers = { forwarded: "for=192.0.2.1;proto=https", "x-forwarded-for": "192.0.2.1" };
    expect(seen(headers)).toEqual({ address: "192.0.2.1", secure: true });
    expect(seen({ ...headers, "x-forwarded-proto": "http" }).secure).toBe(false);
  });

  // A proxy that writes one of them may pass on the other as the client wrote it.
  test("count for nothing where they do not, except that it is not secure", () => {
    const headers = { forwarded: "for=6.6.6.6;proto=https", "x-forwarded-for": "192.0.2.1" };
    expect(seen(headers)).toEqual({ address: peer, secure: null });
    expect(seen({ ...headers, "x-forwarded-proto": "http" })).toEqual({ address: peer, secure: false });
  });
});

// What the nearest proxy appends decides, whatever stands before it.
test("no text that a client puts before it hides the address that the proxy appends", () => {
  const hostile = fc.oneof(
    fc.string({ maxLength: 60 }).map((text) => text.replaceAll(/[^\x20-\x7e]/g, "x")),
    fc
      .array(fc.constantFrom("for=", "6.6.6.6", '"', "\\", ",", ";", " ", "proto=https", "x=", "[::1]", "10.0.0.2"), {
        maxLength: 12,
      })
      .map((parts) => parts.join("")),
  );
  const appended = fc.constantFrom<readonly [string, string]>(
    ["for=192.0.2.9;proto=http", "192.0.2.9"],
    ['for="[2001:db8::9]:1";proto=http', "2001:db8::9"],
  );
  fc.assert(
    fc.property(hostile, appended, (text, [element, address]) => {
      const { address: known, secure } = seen({ forwarded: `${text}, ${element}` });
      expect([address, peer]).toContain(known);
      expect(secure).not.toBe(true);
      expect(seen({ "x-forwarded-for": `${text}, ${address}` }).address).toBe(address);
    }),
    { numRuns: 1000 },
  );
});

test("long headers are read in time that grows with their length alone", () => {
  for (const text of [" ".repeat(60_000), "for=1,".repeat(10_000), '"'.repeat(60_000), `x="${"\\a".repeat(30_000)}`]) {
    const began = performance.now();
    seen({ forwarded: `x${text}!`, "x-forwarded-for": text });
    expect(performance.now() - began).toBeLessThan(1000);
  }
});

describe("limits count", () => {
  test("an IPv4 address by itself, and one of IPv6 by its prefix", () => {
    expect(limitKey("192.0.2.1", 64)).toBe("192.0.2.1");
    expect(limitKey("2001:db8:1:2:3:4:5:6", 64)).toBe("2001:db8:1:2::/64");
    expect(limitKey("2001:db8:1:2:ffff::1", 64)).toBe(limitKey("2001:db8:1:2::", 64));
    expect(limitKey("2001:db8:1:2::1", 48)).toBe("2001:db8:1::/48");
    expect(limitKey("", 64)).toBe("");
  });

  test("loopback as this machine's own", () => {
    expect(["127.0.0.1", "127.8.0.1", "::1"].every(isLoopbackAddress)).toBe(true);
    expect(["128.0.0.1", "::", "::2", ""].some(isLoopbackAddress)).toBe(false);
  });
});
