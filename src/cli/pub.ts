/** `tagcast pub`: publishes an argument, a file, or one message a line, and ends when everything is acknowledged. */
import { type Client, connect, Raw, type TagcastError } from "../client/client.ts";
import { errors } from "../core/codes.ts";
import { isTag } from "../core/tag.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { printable } from "../lib/printable.ts";
import { jsonToPayload } from "../wire/json-payload.ts";
import { clientFlagHelp, clientFlags, errorText, resolveTarget, tellConnection } from "./client-arguments.ts";
import { exitCodes, renderHelp, UsageError, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { LineTooLongError, readChunks, readLines } from "./lines.ts";
import { parseArguments } from "./token-arguments.ts";

const help = renderHelp({
  usage: ["pub [options] <tag> <payload>", "pub [options] <tag> --file <path>", "pub [options] <tag> [-]"],
  about:
    "Publishes one message, or without a payload (or with -) one for each line of standard input. Nothing is forgotten over reconnects: it ends when the server has acknowledged everything.",
  options: [
    ["--text", "The payload is text. The default."],
    ["--json", 'The payload is JSON; {"$bin": base64} and the like stand for what JSON lacks.'],
    ["--raw", "The payload is bytes; standard input as a whole is one message."],
    ["--file <path>", "The payload is the content of a file."],
    ["--id <id>", "Idempotency key of one message, 1 to 32 bytes. Default: a random one."],
    ["--no-ack", "Do not wait for acknowledgements: each message is sent at most once."],
    ["--verbose", "Print `tag epoch:offset` for each message (`tag -` where the tag keeps no log)."],
    ...clientFlagHelp,
  ],
  examples: ["tagcast pub plant/7/temp 21.5 --json", "vmstat 1 | tagcast pub host/vmstat"],
});

/** Messages and bytes that may wait for their acknowledgement before reading goes on. */
const windowMessages = 1024;
const windowBytes = 4 * 1024 * 1024;
const lineBytesMax = 16 * 1024 * 1024;
/** After an interrupt, for acknowledgements that are on their way. */
const graceMs = 1000;
/** What is wrong with one message only: the next ones may be right. */
const ownFault: ReadonlySet<number> = new Set([
  errors.payloadTooLarge.code,
  errors.tooDeep.code,
  errors.badRequest.code,
]);

const flags = {
  ...clientFlags,
  text: { type: "boolean" },
  json: { type: "boolean" },
  raw: { type: "boolean" },
  file: { type: "string" },
  id: { type: "string" },
  ack: { type: "boolean" },
  "no-ack": { type: "boolean" },
  verbose: { type: "boolean", short: "v" },
} as const;

type Form = "text" | "json" | "raw";

interface Work {
  readonly tag: string;
  readonly form: Form;
  readonly id: string | undefined;
  readonly ack: boolean;
  readonly verbose: boolean;
}

/** Exit status 0 only if every message was acknowledged. */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  if (wantsHelp(argv)) {
    io.out(help);
    return exitCodes.ok;
  }
  const { values, positionals } = parseArguments(argv, flags, [1, 2]);
  const [tag = "", payload] = positionals;
  if (!isTag(tag)) throw new UsageError(`not a tag to publish to: ${JSON.stringify(tag)}`);
  const form = formOf(values);
  const lines = values.file === undefined && (payload === undefined || payload === "-");
  if (values.file !== undefined && payload !== undefined)
    throw new UsageError("a payload and --file exclude each other");
  if (values.ack && values["no-ack"]) throw new UsageError("--ack and --no-ack exclude each other");
  if (lines && form !== "raw" && values.id !== undefined) throw new UsageError("--id is for one message");
  const ack = !values["no-ack"];
  if (!ack && values.verbose) throw new UsageError("--verbose tells what acknowledgements say: it excludes --no-ack");
  const { url, options } = resolveTarget(values, io.env);

  const single = values.file === undefined ? Buffer.from(payload ?? "") : await readFile(values.file);
  // The window below bounds what waits.
  const client = connect(url, { ...options, queueMaxMessages: Infinity, queueMaxBytes: Infinity });
  tellConnection("pub", client, url, io);
  const publishing = new Publishing(client, io, { tag, form, id: values.id, ack, verbose: values.verbose ?? false });
  try {
    if (!lines) await publishing.add(single);
    else if (form === "raw") await publishing.addWhole();
    else await publishing.addLines();
    return await publishing.finish();
  } finally {
    client.close();
  }
}

/** What is on its way to the server. */
class Publishing {
  /** Aborts when no more input is wanted. */
  readonly stopped: AbortSignal;
  readonly #client: Client;
  readonly #io: CliIo;
  readonly #work: Work;
  readonly #stop = new AbortController();
  #number = 0;
  #waiting = 0;
  #waitingBytes = 0;
  #failed = false;
  #wake: () => void = () => {};

  constructor(client: Client, io: CliIo, work: Work) {
    this.#client = client;
    this.#io = io;
    this.#work = work;
    this.stopped = AbortSignal.any([this.#stop.signal, io.signal]);
    void client.closed.then(() => this.#stop.abort());
    this.stopped.addEventListener("abort", () => this.#wake());
    // Without acknowledgements a refusal has nowhere else to go.
    if (!work.ack) client.on("error", ({ kind }) => void (this.#failed ||= kind === "refused"));
  }

  /** Publishes one message; resolves when there is room for the next, or nothing more is wanted. */
  async add(bytes: Uint8Array): Promise<void> {
    const number = ++this.#number;
    let payload: unknown;
    try {
      payload = parse(bytes, this.#work.form);
    } catch (thrown) {
      this.#complain(number, thrown instanceof Error ? printable(thrown.message) : String(thrown));
      return;
    }
    this.#waiting++;
    this.#waitingBytes += bytes.length;
    void this.#publish(number, payload).finally(() => {
      this.#waiting--;
      this.#waitingBytes -= bytes.length;
      this.#wake();
    });
    const full = () => this.#waiting >= windowMessages || this.#waitingBytes >= windowBytes;
    while (full() && !this.stopped.aborted) await this.#change();
  }

  /** Publishes each line of standard input. */
  async addLines(): Promise<void> {
    try {
      for await (const line of readLines(this.#io.stdin, this.stopped, lineBytesMax)) await this.add(line);
    } catch (thrown) {
      if (!(thrown instanceof LineTooLongError)) throw thrown;
      this.#complain(this.#number + 1, thrown.message);
    }
  }

  /** Publishes standard input as one message, unless it is cut short. */
  async addWhole(): Promise<void> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of readChunks(this.#io.stdin, this.stopped)) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > lineBytesMax) return this.#complain(1, `Standard input is longer than ${lineBytesMax} bytes`);
    }
    if (!this.stopped.aborted) await this.add(Buffer.concat(chunks));
  }

  /** Waits for the acknowledgements and returns the exit status. */
  async finish(): Promise<number> {
    const { signal } = this.#io;
    if (!this.#work.ack) this.#flush();
    while (this.#waiting > 0 && !this.stopped.aborted) await this.#change();
    if (!signal.aborted) {
      const reason = this.#client.state === "closed" ? await this.#client.closed : null;
      if (reason) this.#io.err(`tagcast pub: ${errorText(reason)}`);
      return this.#failed || reason ? exitCodes.failed : exitCodes.ok;
    }
    if (this.#waiting > 0 && this.#client.state === "active") await this.#grace();
    if (this.#waiting > 0) this.#io.err(`tagcast pub: interrupted, ${this.#waiting} messages are not acknowledged`);
    return exitCodes.interrupted;
  }

  /** What was sent without acknowledgement has arrived when an answer to something later has. */
  #flush(): void {
    this.#waiting++;
    const arrived = () => {
      this.#waiting--;
      this.#wake();
    };
    this.#client.flush().then(arrived, arrived);
  }

  async #publish(number: number, payload: unknown): Promise<void> {
    const { tag, id, ack, verbose } = this.#work;
    try {
      const { position, repeated } = await this.#client.publish(tag, payload, {
        ack,
        ...(id === undefined ? {} : { id }),
      });
      if (!verbose) return;
      const place = position ? `${position.epoch}:${position.offset}` : "-";
      this.#io.out(printable(`${tag} ${place}${repeated ? " repeated" : ""}`));
    } catch (thrown) {
      const error = thrown as TagcastError;
      // Said once, for all of them, by `finish`.
      if (error.kind === "closed") return void (this.#failed = true);
      if (this.stopped.aborted && this.#failed) return;
      this.#complain(number, errorText(error));
      if (!ownFault.has(error.code ?? 0)) this.#stop.abort();
    }
  }

  #complain(number: number, text: string): void {
    this.#failed = true;
    this.#io.err(`tagcast pub: message ${number}: ${text}`);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }

  async #grace(): Promise<void> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort();
      this.#wake();
    }, graceMs);
    while (this.#waiting > 0 && !late.signal.aborted) await this.#change();
    clearTimeout(timer);
  }
}

function formOf(values: { readonly text?: boolean; readonly json?: boolean; readonly raw?: boolean }): Form {
  const given = (["text", "json", "raw"] as const).filter((form) => values[form]);
  if (given.length > 1) throw new UsageError("--text, --json and --raw exclude each other");
  return given[0] ?? "text";
}

/** @throws Error where `bytes` are not of `form` */
function parse(bytes: Uint8Array, form: Form): unknown {
  if (form === "raw") return bytes;
  const text = utf8(bytes);
  if (form === "text") return text;
  const writer = new ByteWriter(256);
  jsonToPayload(JSON.parse(text), writer);
  return new Raw(writer.copy());
}

function utf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Error("Not UTF-8 text: use --raw for bytes");
  }
}

async function readFile(path: string): Promise<Uint8Array> {
  try {
    return await Bun.file(path).bytes();
  } catch (thrown) {
    throw new UsageError(
      `cannot read ${JSON.stringify(path)}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    );
  }
}
