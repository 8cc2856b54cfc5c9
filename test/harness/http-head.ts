/** What a server answers to an upgrade it refuses: the standard WebSocket hides it. */
import { RawSocket, type RawOptions, upgradeRequest } from "./raw-socket.ts";

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends an upgrade by hand; the answer, whatever it is. */
export async function tryUpgrade(url: string, options: RawOptions = {}): Promise<HttpAnswer> {
  await using raw = await RawSocket.connect(url, options);
  raw.send(upgradeRequest(options.path ?? "/ws", options.headers));
  await raw.until(() => parse(raw.response) !== null, "the answer to the upgrade");
  return parse(raw.response)!;
}

/** Null until it is complete. */
function parse(text: string): HttpAnswer | null {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const body = text.slice(end + 4);
  const status = Number(first.split(" ")[1]);
  return status === 101 || body.length >= Number(headers["content-length"] ?? 0) ? { status, headers, body } : null;
}
