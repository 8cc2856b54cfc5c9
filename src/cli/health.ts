/** `tagcast health`: whether a server on this machine answers, for health checks of containers, which bring no `curl`. */
import { printable } from "../lib/printable.ts";
import { exitCodes, renderHelp, UsageError, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { parseArguments } from "./token-arguments.ts";

const help = renderHelp({
  usage: ["health [--url <url>] [--ready]"],
  about:
    "Asks a server how it is, and prints its answer. Without options: whether the process on this machine lives. An instance " +
    "that waits for Redis lives, and is not ready.",
  options: [
    [
      "--url <url>",
      "The server. Default: 127.0.0.1 with the port of TAGCAST_PORT, or 8080; by https where TAGCAST_TLS_CERT is set.",
    ],
    ["--ready", "Whether it serves requests, in place of whether it lives."],
    ["--wait <seconds>", "Longest time to wait for the answer, 1 to 60. Default: 3."],
  ],
});

const argumentsTaken = { url: { type: "string" }, ready: { type: "boolean" }, wait: { type: "string" } } as const;

export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  if (wantsHelp(argv)) {
    io.out(help);
    return exitCodes.ok;
  }
  const { values } = parseArguments(argv, argumentsTaken, [0, 0]);
  const seconds = Number(values.wait ?? "3");
  if (!(seconds >= 1 && seconds <= 60)) throw new UsageError("--wait takes a number of seconds, 1 to 60");
  const base = values.url ?? ownUrl(io.env);
  const url = URL.parse(values.ready === true ? "/readyz" : "/healthz", base);
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new UsageError("--url takes a URL, such as http://host:8080");
  try {
    const signal = AbortSignal.any([io.signal, AbortSignal.timeout(seconds * 1000)]);
    // A certificate names the server for others; on this machine there is nobody in between.
    const response = await fetch(url, {
      signal,
      redirect: "error",
      tls: { rejectUnauthorized: values.url !== undefined },
    });
    io.out(printable((await response.text()).trim()));
    return response.ok ? exitCodes.ok : exitCodes.failed;
  } catch (error) {
    io.signal.throwIfAborted();
    io.err(`tagcast health: ${url.origin} does not answer: ${error instanceof Error ? error.message : String(error)}`);
    return exitCodes.failed;
  }
}

/** The server that the same variables would start. */
function ownUrl(env: CliIo["env"]): string {
  const scheme = (env["TAGCAST_TLS_CERT"] ?? "") === "" ? "http" : "https";
  return `${scheme}://127.0.0.1:${env["TAGCAST_PORT"] || "8080"}`;
}
