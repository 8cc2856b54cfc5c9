/** What commands that connect to a server share: their flags, and what they say about the connection. */
import { existsSync, readFileSync } from "node:fs";
import type { ParseArgsOptionsConfig } from "node:util";
import type { Client, ConnectOptions, TagcastError, WebSocketConstructor } from "../client/client.ts";
import { printable } from "../lib/printable.ts";
import { UsageError } from "./help.ts";
import type { CliIo } from "./io.ts";

const urlDefault = "ws://127.0.0.1:8080/ws";

export const clientFlags = {
  url: { type: "string" },
  token: { type: "string" },
  "token-file": { type: "string" },
  client: { type: "string" },
  ca: { type: "string" },
  cert: { type: "string" },
  key: { type: "string" },
} as const satisfies ParseArgsOptionsConfig;

export const clientFlagHelp: readonly (readonly [string, string])[] = [
  ["--url <url>", `The server. Default: TAGCAST_URL, or ${urlDefault}.`],
  ["--token <token>", "A managed token or JWT. Default: TAGCAST_TOKEN. Other users of this machine can see arguments."],
  ["--token-file <path>", "Read the token from a file, again whenever it has expired."],
  ["--client <name>", "The client name, where the token leaves the choice."],
  [
    "--ca <path>",
    "PEM file of the authorities to trust with wss://. Default: those of NODE_EXTRA_CA_CERTS and the usual ones.",
  ],
  ["--cert <path>", "PEM file of the certificate to present, where the server asks for one; with --key."],
  ["--key <path>", "PEM file of its private key."],
];

export interface ClientArguments {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  readonly "token-file"?: string | undefined;
  readonly client?: string | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface Target {
  readonly url: string;
  readonly options: ConnectOptions;
}

/** @throws UsageError where they contradict each other or the URL is none. */
export function resolveTarget(given: ClientArguments, env: CliIo["env"]): Target {
  const file = given["token-file"];
  if (given.token !== undefined && file !== undefined)
    throw new UsageError("--token and --token-file exclude each other");
  const url = given.url ?? env["TAGCAST_URL"] ?? urlDefault;
  const parsed = URL.parse(url);
  if (parsed === null || !/^(ws|http)s?:$/.test(parsed.protocol)) {
    throw new UsageError(`not a URL of a server: ${JSON.stringify(url)} (it begins with ws:// or wss://)`);
  }
  if (file !== undefined && !existsSync(file)) throw new UsageError(`there is no token file ${JSON.stringify(file)}`);
  // Without a path it is the endpoint that is meant.
  if (parsed.pathname === "/") parsed.pathname = "/ws";
  const token = file === undefined ? (given.token ?? env["TAGCAST_TOKEN"]) : () => readToken(file);
  const { client } = given;
  const webSocket = withCertificates(given);
  return {
    url: parsed.href,
    options: {
      ...(token !== undefined && { token }),
      ...(client !== undefined && { client }),
      ...(webSocket !== null && { webSocket }),
    },
  };
}

/** Sockets that trust and present what the flags name; null: as the runtime does. @throws UsageError */
function withCertificates({ ca, cert, key }: ClientArguments): WebSocketConstructor | null {
  if ((cert === undefined) !== (key === undefined)) throw new UsageError("--cert and --key belong together");
  if (ca === undefined && cert === undefined) return null;
  const tls = {
    ...(ca !== undefined && { ca: readPem(ca) }),
    ...(cert !== undefined && key !== undefined && { cert: readPem(cert), key: readPem(key) }),
  };
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, { protocols, tls });
    }
  };
}

function readPem(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(
      `cannot read ${JSON.stringify(path)}: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
  if (!text.includes("-----BEGIN")) throw new UsageError(`${JSON.stringify(path)} is not in PEM`);
  return text;
}

async function readToken(path: string): Promise<string> {
  const token = (await Bun.file(path).text()).trim();
  if (token === "") throw new Error(`The token file "${path}" is empty`);
  return token;
}

/** `text (code)`, safe for a terminal. */
export function errorText({ message, code }: TagcastError): string {
  return printable(code === null ? message : `${message} (${code})`);
}

/** Says on standard error when the connection is lost, once an outage, and when it is there again. */
export function tellConnection(name: string, client: Client, url: string, io: CliIo): void {
  let away = false;
  client.on("error", (error) => {
    if (client.state === "waiting" && away) return;
    const what =
      client.state === "waiting" ? `no connection to ${url}: ${errorText(error)}; trying again` : errorText(error);
    away = client.state === "waiting";
    io.err(`tagcast ${name}: ${what}`);
  });
  client.on("state", (state) => {
    if (state !== "active" || !away) return;
    away = false;
    io.err(`tagcast ${name}: connected`);
  });
}
