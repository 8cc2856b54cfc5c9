/**
 * What proxies say of the client. Input: `X-Forwarded-Proto`, a line end, and the text that a client puts into the other
 * headers, to which its proxy adds the client's address.
 */
import { clientOf, limitKey, trustedProxies } from "../../../src/gateway/client-address.ts";
import { isIP } from "node:net";
import type { Target } from "../engine.ts";

const proxy = "10.0.0.1";
const client = "192.0.2.9";
const trusted = trustedProxies(["10.0.0.0/8"]);

export const clientAddressTarget: Target = {
  name: "client-address",
  bytesMax: 4000,
  words: [
    "for=",
    "proto=https",
    "by=",
    ";",
    ",",
    '"',
    "\\",
    "[::1]",
    ":80",
    "unknown",
    "_a",
    "10.0.0.2",
    "6.6.6.6",
    "::ffff:",
    "https",
  ],
  seeds: () =>
    [
      "https\nfor=6.6.6.6;proto=https",
      'http\nfor="[2001:db8::17]:4711", for=10.0.0.3',
      'https, http\nfor=_hidden, for="\\1"',
      "\n6.6.6.6, [::1]:80, 10.0.0.2",
    ].map((text) => new TextEncoder().encode(text)),
  open: () => ({ run }),
};

function run(input: Uint8Array): string {
  const [scheme = "", text = ""] = Buffer.from(input)
    .toString("latin1")
    .replaceAll(/[^\x20-\x7e\n]/g, "?")
    .split("\n", 2);
  const standard = { forwarded: `${text}, for=${client};proto=http` };
  const listed = { "x-forwarded-for": `${text}, ${client}`, "x-forwarded-proto": scheme };
  const raw = { forwarded: text, "x-forwarded-for": text, "x-forwarded-proto": scheme };
  const outcomes = [standard, listed, raw, { forwarded: text }, { "x-forwarded-for": text }].map(of);
  const [byStandard, byList] = outcomes;
  if (byStandard?.secure === true || ![proxy, client].includes(byStandard?.address ?? ""))
    throw new Error("Forged by Forwarded");
  if (byList?.address !== client) throw new Error("Forged by X-Forwarded-For");
  return outcomes.map(({ address, secure }) => `${isIP(address)}${address === proxy}${secure}`).join(" ");
}

function of(headers: Readonly<Record<string, string>>): { address: string; secure: boolean | null } {
  const seen = clientOf(new Headers(headers), proxy, trusted);
  if (isIP(seen.address) === 0) throw new Error(`${seen.address} is no address`);
  limitKey(seen.address, 64);
  if (clientOf(new Headers(headers), "192.0.2.1", trusted).address !== "192.0.2.1")
    throw new Error("A stranger is believed");
  return seen;
}
