/** A bucket of failures for each source: what empties it, what fills it, and how many there are. */
import { describe, expect, test } from "bun:test";
import { AuthenticationError } from "../../../src/core/authenticator.ts";
import { errors } from "../../../src/core/codes.ts";
import type { Identity } from "../../../src/core/identity.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { Credentials } from "../../../src/session/credentials.ts";
import { Guesses } from "../../../src/session/guesses.ts";
import { FakeClock } from "../../harness/clock.ts";
import { identityOf } from "../../harness/sessions.ts";

function open(perMinute: number, sourcesMax = 1000) {
  const clock = new FakeClock();
  const sourceOf = (address: string) => (address === "exempt" ? null : address);
  const guesses = new Guesses({ clock, perMinute, sourcesMax, sourceOf });
  return { clock, guesses };
}

describe("Guesses", () => {
  test("lets a source fail so often, then makes it wait for its next failure, and says when that begins", () => {
    const { clock, guesses } = open(3);
    expect([1, 2, 3].map(() => guesses.failed("a"))).toEqual([false, false, true]);
    expect([guesses.waitMs("a"), guesses.waitMs("b")]).toEqual([20_000, 0]);
    clock.advance(19_000);
    expect(guesses.waitMs("a")).toBe(1000);
    clock.advance(1000);
    expect(guesses.waitMs("a")).toBe(0);
    expect(guesses.failed("a")).toBe(true);
    expect(guesses.waitMs("a")).toBe(20_000);
  });

  test("goes on counting where failures come that were begun before", () => {
    const { guesses } = open(2);
    for (let i = 0; i < 10; i++) guesses.failed("a");
    expect(guesses.waitMs("a")).toBe(30_000);
  });

  test("forgets a source once its failures are forgiven, and not before", () => {
    const { clock, guesses } = open(2);
    guesses.failed("a");
    clock.advance(29_999);
    guesses.failed("b");
    expect(guesses.size).toBe(2);
    clock.advance(1000);
    guesses.failed("b");
    expect(guesses.size).toBe(1);
  });

  test("remembers no more sources than its bound; the one that failed longest ago goes first", () => {
    const { clock, guesses } = open(1, 100);
    for (let i = 0; i < 1000; i++) {
      clock.advance(1);
      guesses.failed(`source ${i}`);
      expect(guesses.size).toBeLessThanOrEqual(100);
    }
    expect([guesses.waitMs("source 899"), guesses.waitMs("source 900") > 0]).toEqual([0, true]);
  });

  test("does nothing for exempt addresses, nor where it is off", () => {
    const { guesses } = open(1);
    const off = open(0).guesses;
    for (let i = 0; i < 5; i++) expect([guesses.failed("exempt"), off.failed("a")]).toEqual([false, false]);
    expect([guesses.waitMs("exempt"), off.waitMs("a"), guesses.size, off.size]).toEqual([0, 0, 0, 0]);
  });
});

describe("credentials that take a while to check, all at once", () => {
  /** Presents so many, of which those of `valid` are; what became of them, and how many were looked at. */
  async function present(count: number, valid: (i: number) => boolean, from = "a") {
    const { guesses } = open(20);
    const credentials = new Credentials(guesses, silentLogger);
    let looked = 0;
    const authenticate = async (i: number): Promise<Identity> => {
      looked++;
      for (let turn = 0; turn < 1 + (i % 7); turn++) await Promise.resolve();
      if (valid(i)) return identityOf();
      throw new AuthenticationError(errors.invalidToken);
    };
    const outcome = async (i: number) => {
      try {
        await credentials.check({ from, entrance: "HTTP API" }, () => authenticate(i));
        return "in";
      } catch (error) {
        return (error as AuthenticationError).code.name;
      }
    };
    const outcomes = await Promise.all(Array.from({ length: count }, (_, i) => outcome(i)));
    const times = (wanted: string) => outcomes.filter((name) => name === wanted).length;
    return { looked, in: times("in"), invalid: times("invalid-token"), throttled: times("too-many-requests") };
  }

  test("are not looked at beyond the failures that are left", async () => {
    expect(await present(400, () => false)).toEqual({ looked: 20, in: 0, invalid: 20, throttled: 380 });
    expect(await present(400, () => false, "exempt")).toMatchObject({ looked: 400 });
  });

  test("get in where they are valid, however many there are", async () => {
    expect(await present(400, () => true)).toEqual({ looked: 400, in: 400, invalid: 0, throttled: 0 });
    expect(await present(400, (i) => i % 21 !== 0)).toEqual({ looked: 400, in: 380, invalid: 20, throttled: 0 });
  });
});
