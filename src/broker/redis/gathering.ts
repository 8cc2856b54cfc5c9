/** Requests that are made one by one and go to Redis together: those of one turn of a script share its calls. */
import { ByteWriter } from "../../lib/byte-writer.ts";
import { callBytesMax, callPartsMax, type Calls } from "./calls.ts";
import type { Script } from "./scripts.ts";

interface Request {
  readonly slot: number;
  readonly write: (writer: ByteWriter) => void;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

export class Gathering {
  readonly #calls: Calls;
  readonly #script: Script;
  readonly #writer = new ByteWriter();
  readonly #part = new ByteWriter();
  #requests: Request[] = [];

  /** `script` takes the number of its parts as uint16, and then each; it answers with a list of as many replies. */
  constructor(calls: Calls, script: Script) {
    this.#calls = calls;
    this.#script = script;
  }

  /** Adds a part about a slot key; the answer is its reply. */
  ask(slot: number, write: (writer: ByteWriter) => void): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (this.#requests.push({ slot, write, resolve, reject }) === 1) queueMicrotask(() => this.#flush());
    return promise;
  }

  #flush(): void {
    const groups = new Map<number, Request[]>();
    for (const request of this.#requests) {
      const group = this.#calls.groupOf(request.slot);
      const known = groups.get(group);
      if (known === undefined) groups.set(group, [request]);
      else known.push(request);
    }
    this.#requests = [];
    for (const requests of groups.values()) this.#flushGroup(requests);
  }

  #flushGroup(requests: readonly Request[]): void {
    const part = this.#part;
    let gathered: Request[] = [];
    const blocks = new ByteWriter();
    for (const request of requests) {
      part.reset();
      request.write(part);
      if (gathered.length === callPartsMax || (gathered.length > 0 && blocks.length + part.length > callBytesMax)) {
        this.#send(gathered, blocks);
        gathered = [];
        blocks.reset();
      }
      gathered.push(request);
      blocks.append(part.bytes, 0, part.length);
    }
    this.#send(gathered, blocks);
  }

  #send(requests: readonly Request[], blocks: ByteWriter): void {
    const writer = this.#writer;
    this.#calls.begin(writer);
    writer.u16(requests.length);
    writer.append(blocks.bytes, 0, blocks.length);
    this.#calls.send(this.#script, (requests[0] as Request).slot, writer).then(
      (replies) => {
        for (const [i, { resolve }] of requests.entries()) resolve((replies as unknown[])[i]);
      },
      (reason: unknown) => {
        for (const { reject } of requests) reject(reason);
      },
    );
  }
}
