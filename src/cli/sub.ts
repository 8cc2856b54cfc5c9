/** `tagcast sub`: subscribes to patterns and prints what arrives, and what does not. */
import { type Client, connect, type Position, type SubscribeOptions } from "../client/client.ts";
import { hasWildcard, isPattern } from "../core/tag.ts";
import { clientFlagHelp, clientFlags, errorText, resolveTarget, tellConnection } from "./client-arguments.ts";
import { exitCodes, renderHelp, UsageError, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { gapJson, gapText, messageJson, messageText, presenceJson, presenceText } from "./sub-output.ts";
import { parseArguments } from "./token-arguments.ts";

const help = renderHelp({
  usage: ["sub [options] <pattern>..."],
  about:
    "Prints the messages of tags and patterns (+ is one level, # the rest), one a line: the tag and the payload. After a lost connection it goes on where it was; what was missed is told on standard error.",
  options: [
    ["--last <n>", "Begin with the newest n messages of each log."],
    ["--since <epoch:offset>", "Begin after this position; for one tag."],
    ["--count <n>", "End after n messages."],
    ["--json", 'Print JSON lines: {"tag", "offset", "epoch", "payload", "meta"}, {"gap"} and {"presence"}.'],
    ["--presence", "Print who is subscribed, too; for tags."],
    ...clientFlagHelp,
  ],
  examples: ["tagcast sub 'plant/#' --last 10", "tagcast sub plant/7/temp --json --since 2837463:1200"],
});

const flags = {
  ...clientFlags,
  since: { type: "string" },
  last: { type: "string" },
  count: { type: "string" },
  json: { type: "boolean" },
  presence: { type: "boolean" },
} as const;

const patternsMax = 1000;
const lastMax = 2 ** 32 - 1;

interface Output {
  readonly json: boolean;
  /** Messages to print before the end, or null: no end. */
  readonly count: number | null;
}

/** Exit status 1 if every pattern was refused or the server ended the connection for good. */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  if (wantsHelp(argv)) {
    io.out(help);
    return exitCodes.ok;
  }
  const { values, positionals } = parseArguments(argv, flags, [1, patternsMax]);
  const patterns = [...new Set(positionals)];
  for (const pattern of patterns) {
    if (!isPattern(pattern)) throw new UsageError(`not a tag or pattern: ${JSON.stringify(pattern)}`);
    if (values.presence && hasWildcard(pattern))
      throw new UsageError(`--presence is for tags, not ${JSON.stringify(pattern)}`);
  }
  const since = values.since === undefined ? undefined : position(values.since);
  if (since && (patterns.length > 1 || hasWildcard(patterns[0] ?? ""))) throw new UsageError("--since is for one tag");
  if (since && values.last !== undefined) throw new UsageError("--since and --last exclude each other");
  const last = values.last === undefined ? undefined : number("--last", values.last, lastMax);
  const count = values.count === undefined ? null : number("--count", values.count, Number.MAX_SAFE_INTEGER);
  const { url, options } = resolveTarget(values, io.env);

  if (io.signal.aborted) return exitCodes.interrupted;
  const client = connect(url, { ...options, raw: true });
  tellConnection("sub", client, url, io);
  const asked: SubscribeOptions = {
    ...(since ? { since } : {}),
    ...(last === undefined ? {} : { last }),
    ...(values.presence ? { presence: true } : {}),
  };
  try {
    return await follow(client, patterns, asked, { output: { json: values.json ?? false, count }, io });
  } finally {
    client.close();
  }
}

async function follow(
  client: Client,
  patterns: readonly string[],
  asked: SubscribeOptions,
  { output: { json, count }, io }: { readonly output: Output; readonly io: CliIo },
): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const interrupt = () => resolve(exitCodes.interrupted);
  io.signal.addEventListener("abort", interrupt, { once: true });
  let printed = 0;
  let open = patterns.length;
  client.on("gap", (gap) => {
    io.err(`tagcast sub: ${gapText(gap)}`);
    if (json) io.out(gapJson(gap));
  });
  void client.closed.then((reason) => {
    if (reason) io.err(`tagcast sub: ${errorText(reason)}`);
    resolve(exitCodes.failed);
  });
  for (const pattern of patterns) {
    const sub = client.subscribe(pattern, asked, (message) => {
      if (io.signal.aborted || (count !== null && printed >= count)) return;
      printed++;
      io.out(json ? messageJson(message) : messageText(message));
      if (printed === count) resolve(exitCodes.ok);
    });
    sub.on("active", ({ presence }) => {
      if (presence)
        io.out(json ? presenceJson({ tag: pattern, ...presence }) : presenceText({ tag: pattern, ...presence }));
    });
    sub.on("presence", (change) => io.out(json ? presenceJson(change) : presenceText(change)));
    void sub.ended.then((error) => {
      // The end of the client is told by itself.
      if (error === null || client.state === "closed") return;
      io.err(`tagcast sub: ${JSON.stringify(pattern)}: ${errorText(error)}`);
      if (--open === 0) resolve(exitCodes.failed);
    });
  }
  const status = await promise;
  io.signal.removeEventListener("abort", interrupt);
  return status;
}

function position(text: string): Position {
  const match = /^(\d{1,10}):(\d{1,16})$/.exec(text);
  const epoch = Number(match?.[1]);
  const offset = Number(match?.[2]);
  if (!(epoch >= 1 && epoch <= 0xffff_ffff) || !Number.isSafeInteger(offset)) {
    throw new UsageError(`--since must be epoch:offset, got ${JSON.stringify(text)}`);
  }
  return { epoch, offset };
}

function number(flag: string, text: string, max: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > max)
    throw new UsageError(`${flag} must be a number from 1 to ${max}, got ${JSON.stringify(text)}`);
  return value;
}
