/** Programs that are many devices each, and what they say of their readings, a line of JSON for each event. */
import { Program } from "../harness/server.ts";

/** A reading as its device numbered it, and where it was told that it stands; null: it was not answered. */
export interface Reading {
  readonly id: string;
  place: { readonly epoch: number; readonly offset: number } | null;
}

export class Devices implements AsyncDisposable {
  readonly name: string;
  readonly #program: Program;

  /** `command` is a program with the arguments that `examples/firmware/c/device.c` describes. */
  constructor(name: string, command: readonly string[]) {
    this.name = name;
    this.#program = new Program({ args: [], wrapper: () => command });
  }

  /** They publish no more, and wait for the answers that are missing. Their readings by tag, in order. */
  async finish(ms: number): Promise<ReadonlyMap<string, readonly Reading[]>> {
    this.#program.signal("SIGTERM");
    const status = await this.#program.end(ms);
    const byTag = new Map<string, Reading[]>();
    const byId = new Map<string, Reading>();
    for (const line of this.#program.stdout.split("\n")) {
      if (line === "") continue;
      const { event, id, tag, epoch, offset, code } = JSON.parse(line) as Line;
      if (event === "published") {
        const reading = { id, place: null };
        byId.set(id, reading);
        const readings = byTag.get(tag);
        if (readings === undefined) byTag.set(tag, [reading]);
        else readings.push(reading);
      } else if (event === "acknowledged") {
        const reading = byId.get(id);
        if (reading === undefined) throw new Error(`${this.name}: ${id} was acknowledged and never published`);
        reading.place = { epoch, offset };
      } else if (event === "refused") throw new Error(`${this.name}: ${id} was refused with ${code}`);
    }
    const { stdout, stderr } = this.#program;
    if (status !== 0)
      throw new Error(`${this.name} ended with status ${status}: ${stdout.slice(-200)}${stderr.slice(-1500)}`);
    return byTag;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
  }
}

interface Line {
  readonly event: "published" | "acknowledged" | "refused" | "end";
  readonly id: string;
  readonly tag: string;
  readonly epoch: number;
  readonly offset: number;
  readonly code: number;
}
