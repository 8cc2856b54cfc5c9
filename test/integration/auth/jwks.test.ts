/** A key set over a real HTTP server: rotation, cooldowns, bounds of time and size, and what an outage means. */
import { afterEach, describe, expect, test } from "bun:test";
import { openAuthenticator } from "../../../src/auth/authenticator.ts";
import {
  failureCooldownMs,
  fetchTimeoutMs,
  refreshMs,
  setBytesMax,
  staleMaxMs,
  unknownCooldownMs,
} from "../../../src/auth/jwks.ts";
import { MemoryTokens } from "../../../src/auth/memory-tokens.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { FakeClock } from "../../harness/clock.ts";
import { jwkOf, mint, outcome, pairs } from "../../unit/auth/mint.ts";

type Kid = "RS256" | "ES256";
const claims = { sub: "s", exp: 9_000_000_000 };
const token = (kid: Kid, header = {}) => mint(claims, { alg: kid, kid, ...header }, pairs[kid].privateKey);
const setOf = (...kids: Kid[]) => Response.json({ keys: kids.map((kid) => ({ ...jwkOf(kid), kid, use: "sig" })) });

const opened: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

async function open(answer: () => Response | Promise<Response>, isListening = true) {
  const state = { answer, fetches: 0 };
  const arrivals: (() => void)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      state.fetches++;
      for (const arrived of arrivals.splice(0)) arrived();
      return state.answer();
    },
  });
  const clock = new FakeClock();
  const jwksUrl = `http://127.0.0.1:${server.port}/keys`;
  if (!isListening) await server.stop(true);
  const auth = await openAuthenticator({
    applications: [{ name: "main", keys: (["RS256", "ES256"] as const).map((algorithm) => ({ algorithm, jwksUrl })) }],
    store: new MemoryTokens(clock),
    adminToken: null,
    clock,
    logger: silentLogger,
  });
  opened.push(
    () => auth.close(),
    () => server.stop(true),
  );
  const enter = async (credential: string) => {
    const result = await outcome(() => auth.authenticate(credential));
    return typeof result === "string" ? result : "in";
  };
  return { state, clock, enter, auth, arrival: () => new Promise<void>((resolve) => arrivals.push(resolve)) };
}

describe("a key set", () => {
  test("is fetched once for every key and token that uses it", async () => {
    const { state, enter } = await open(() => setOf("RS256", "ES256"));
    expect(await Promise.all([enter(await token("RS256")), enter(await token("ES256"))])).toEqual(["in", "in"]);
    expect(await enter(await token("RS256", { typ: "JWT" }))).toBe("in");
    expect(state.fetches).toBe(1);
  });

  test("gives the keys that fit to a token that names none", async () => {
    const { enter } = await open(() =>
      Response.json({ keys: [{ ...jwkOf("ES256"), x: jwkOf("ES256")["y"] }, jwkOf("ES256"), { kty: "odd" }] }),
    );
    expect(await enter(await token("ES256", { kid: undefined }))).toBe("in");
  });

  test("is fetched again for an unknown key id, though not more often than the cooldown allows", async () => {
    const { state, clock, enter } = await open(() => setOf("RS256"));
    expect(await enter(await token("RS256"))).toBe("in");
    state.answer = () => setOf("ES256");
    expect(await enter(await token("ES256"))).toBe("invalid-token");
    expect(state.fetches).toBe(1);
    clock.advance(unknownCooldownMs);
    expect(await enter(await token("ES256"))).toBe("in");
    for (const kid of ["x1", "x2", "x3"]) expect(await enter(await token("ES256", { kid }))).toBe("invalid-token");
    expect(state.fetches).toBe(2);
  });

  test("is refreshed by itself, and a key that was withdrawn ends", async () => {
    const { state, clock, enter, arrival } = await open(() => setOf("RS256"));
    expect(await enter(await token("RS256"))).toBe("in");
    state.answer = () => setOf("ES256");
    const arrived = arrival();
    clock.advance(refreshMs);
    await arrived;
    expect(await enter(await token("ES256"))).toBe("in");
    expect(await enter(await token("RS256"))).toBe("invalid-token");
    expect(state.fetches).toBe(2);
  });
});

describe("a key set that cannot be had", () => {
  const failures: [name: string, answer: () => Response][] = [
    ["answers with an error", () => new Response("no", { status: 503 })],
    ["is larger than its bound", () => Response.json({ keys: [], pad: "x".repeat(setBytesMax) })],
    ["redirects", () => new Response(null, { status: 302, headers: { location: "/other" } })],
    ["is not JSON", () => new Response("<html>")],
    ["is not a key set", () => Response.json({ keys: "none" })],
  ];
  for (const [name, answer] of failures) {
    test(`because it ${name} is unavailable, retryable, and tried again after a cooldown`, async () => {
      const { state, clock, enter } = await open(answer);
      expect(await enter(await token("RS256"))).toBe("unavailable");
      expect(await enter(await token("RS256"))).toBe("unavailable");
      expect(state.fetches).toBe(1);
      state.answer = () => setOf("RS256");
      clock.advance(failureCooldownMs);
      expect(await enter(await token("RS256"))).toBe("in");
    });
  }

  test("because nobody listens is unavailable", async () => {
    const { enter } = await open(() => setOf("RS256"), false);
    expect(await enter(await token("RS256"))).toBe("unavailable");
  });

  test("because it does not answer is given up after its time", async () => {
    const silence = Promise.withResolvers<Response>();
    const { clock, enter, arrival, state } = await open(() => silence.promise);
    if (state.fetches === 0) await arrival();
    const attempt = enter(await token("RS256"));
    clock.advance(fetchTimeoutMs);
    expect(await attempt).toBe("unavailable");
    expect(state.fetches).toBe(1);
    silence.resolve(new Response());
  });

  test("leaves the keys that are known good for a while, and no longer", async () => {
    const { state, clock, enter } = await open(() => setOf("RS256"));
    expect(await enter(await token("RS256"))).toBe("in");
    state.answer = () => new Response("no", { status: 500 });
    clock.advance(unknownCooldownMs);
    expect(await enter(await token("ES256"))).toBe("unavailable");
    expect(await enter(await token("RS256", { typ: "JWT" }))).toBe("in");
    clock.advance(staleMaxMs);
    expect(await enter(await token("RS256", { typ: "other" }))).toBe("unavailable");
  });

  test("does not keep a timer once the authenticator is closed", async () => {
    const { auth, clock, enter } = await open(() => setOf("RS256"));
    expect(await enter(await token("RS256"))).toBe("in");
    auth.close();
    expect(clock.timers).toBe(0);
  });
});
