/**
 * The short form of `bun run fuzz`: every target for a moment, the inputs that were found before, and the engine on
 * targets with planted faults. A failure names its seed and how to run it again.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { freshSeed } from "../harness/random.ts";
import { filesIn, root } from "../harness/source-tree.ts";
import { loadCorpus } from "./corpus.ts";
import { check, fuzz, type Target } from "./engine.ts";
import { runGuarded } from "./guard.ts";
import { targets } from "./targets.ts";

/** Beside the seeds of each target: a run is its seed, however fast the machine is. */
const shortRuns = 700;
/** The child has to be up by then. */
const hangMs = 2000;
const seed = freshSeed();

describe("every target", () => {
  test.each(targets.map((target) => [target.name, target] as const))("%s holds for a moment", async (name, target) => {
    const wanted = (await target.seeds()).length + shortRuns;
    const { runs, signatures, finding } = await fuzz(target, { seed, runs: wanted });
    if (finding !== null) {
      const hex = Buffer.from(finding.input).toString("hex");
      throw new Error(`Seed ${seed}: ${finding.problem}\nagain: bun run fuzz --input ${hex} ${name}`);
    }
    expect(runs).toBe(wanted);
    expect(signatures).toBeGreaterThan(2);
  });

  test("is there for all that reads what others send", () => {
    const names = targets.map(({ name }) => name).sort();
    const all = [
      "client",
      "client-address",
      "config",
      "event-id",
      "http",
      "json",
      "jwt",
      "msgpack",
      "pattern",
      "render",
      "token-file",
    ];
    expect(names).toEqual(all);
  });
});

describe("what was found before", () => {
  test("is the corpus of a target that there is", () => {
    const files = filesIn("test/fuzz/corpus", "*.json").map((path) => path.split("/").at(-1)?.replace(".json", ""));
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((name) => !targets.some((target) => target.name === name))).toEqual([]);
  });

  test.each(targets.map((target) => [target.name, target] as const))("%s", async (name, target) => {
    for (const { name: found, hex } of await loadCorpus(name))
      expect({ found, problem: await check(target, Buffer.from(hex, "hex")) }).toEqual({ found, problem: null });
  });
});

/** Fails where the input has `XY` and later `!`, which it comes to by steps that have signatures of their own. */
const planted: Target = {
  name: "planted",
  bytesMax: 100,
  words: [],
  seeds: () => [Buffer.from("XZ, and more text around it?")],
  open: () => ({
    run(input) {
      const text = Buffer.from(input).toString("latin1");
      const at = text.indexOf("XY");
      if (at >= 0 && text.includes("!", at)) throw new Error(`Planted at ${at}`);
      return `${at >= 0} ${text.includes("!")}`;
    },
  }),
};

describe("the engine", () => {
  test("finds a planted fault, makes it small, and finds the same again by its seed", async () => {
    const first = await fuzz(planted, { seed: 7, runs: 200_000 });
    expect(Buffer.from(first.finding?.input ?? []).toString()).toBe("XY!");
    expect(first.finding).toMatchObject({ target: "planted", seed: 7, alone: true });
    expect(first.finding?.problem).toStartWith("Error: Planted at 0");
    const second = await fuzz(planted, { seed: 7, runs: 200_000 });
    expect([second.runs, second.signatures]).toEqual([first.runs, first.signatures]);
    expect(await check(planted, Buffer.from("XY!"))).toStartWith("Error: Planted at 0");
  });

  test("keeps inputs that reach something new: without their signatures the fault is not found", async () => {
    const magic = "[{#";
    const stepped = (told: boolean): Target => ({
      ...planted,
      seeds: () => [Buffer.from("----")],
      open: () => ({
        run(input) {
          const text = Buffer.from(input).toString("latin1");
          const right = magic.split("").findIndex((unit, i) => text[i] !== unit);
          if (right < 0) throw new Error("All of it");
          return told ? String(right) : "";
        },
      }),
    });
    expect((await fuzz(stepped(true), { seed: 1, runs: 30_000 })).finding?.problem).toStartWith("Error: All of it");
    expect((await fuzz(stepped(false), { seed: 1, runs: 30_000 })).finding).toBeNull();
  });

  test("finds what takes too long, and what fails only once", async () => {
    const slow: Target = { ...planted, msMax: 5, open: () => ({ run: (input) => spin(input.length > 20 ? 10 : 0) }) };
    expect((await fuzz(slow, { seed: 1, runs: 50 })).finding?.problem).toMatch(/^Takes \d+ ms for \d+ bytes$/);
    let runs = 0;
    const once: Target = {
      ...planted,
      open: () => ({
        run() {
          if (++runs === 20) throw new Error("The twentieth");
          return "";
        },
      }),
    };
    expect((await fuzz(once, { seed: 1, runs: 50 })).finding).toMatchObject({ alone: false });
  });

  test("finds a target whose memory grows without end", async () => {
    const kept: string[] = [];
    const leaking: Target = {
      ...planted,
      open: () => ({
        run(input) {
          kept.push("x".repeat(200_000) + Buffer.from(input).toString("hex") + kept.length);
          kept.at(-1)?.charCodeAt(0);
          return "";
        },
      }),
    };
    expect((await fuzz(leaking, { seed: 1, runs: 4000 })).finding?.problem).toStartWith("The heap has grown");
  });
});

function spin(ms: number): string {
  for (const end = performance.now() + ms; performance.now() < end;);
  return "";
}

describe("a process that fuzzes", () => {
  const note = join(root, "test/fuzz/guard.ts");
  const noted = (rest: string) => [
    process.execPath,
    "-e",
    `import { Note } from ${JSON.stringify(note)};
     new Note(process.argv.at(-1)).write(Buffer.from("the culprit"));
     ${rest}`,
  ];

  test("is watched: what it was doing when it crashed or hung is known", async () => {
    const crashed = await runGuarded(noted("process.kill(process.pid, 'SIGKILL')"));
    expect(crashed).toMatchObject({ status: 1, death: { problem: "The process ended with SIGKILL" } });
    expect(Buffer.from(crashed.death?.input ?? []).toString()).toBe("the culprit");
    const hung = await runGuarded(noted("for (;;);"), hangMs);
    expect(hung.death?.problem).toBe("Has not ended after 2 s");
    expect(Buffer.from(hung.death?.input ?? []).toString()).toBe("the culprit");
  });

  test("runs one input again, and refuses targets that there are none of", async () => {
    const main = join(root, "test/fuzz/main.ts");
    const run = async (...args: readonly string[]) => {
      const child = Bun.spawn([process.execPath, main, ...args], { stdout: "pipe", stderr: "pipe" });
      return [await child.exited, await child.stdout.text()] as const;
    };
    expect(await run("--input", "930901", "msgpack")).toEqual([0, "Nothing is wrong with this input\n"]);
    expect((await run("nothing"))[0]).toBe(2);
    expect((await run("--seconds", "x"))[0]).toBe(2);
  });
});
