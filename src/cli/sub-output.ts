/** What `tagcast sub` prints, for people and as JSON lines. Nothing in it can move a terminal's cursor or break the line. */
import { type Gap, type Member, type Members, type Message, Raw } from "../client/client.ts";
import { gaps } from "../core/codes.ts";
import { printable } from "../lib/printable.ts";
import { payloadToJson } from "../wire/json-payload.ts";

/** Presence of a tag: all members, and where it is a change, who came and went. */
export interface PresenceLine extends Members {
  readonly tag: string;
  readonly joined?: readonly Member[];
  readonly left?: readonly Member[];
}

/** `tag payload`: text as it is, everything else as JSON. */
export function messageText({ tag, payload }: Message): string {
  const json = payloadJson(payload);
  return printable(`${tag} ${json.startsWith('"') ? (JSON.parse(json) as string) : json}`);
}

export function messageJson({ tag, offset, position, payload, meta }: Message): string {
  const fields = [`"tag":${JSON.stringify(tag)}`, `"offset":${offset}`];
  if (position) fields.push(`"epoch":${position.epoch}`);
  fields.push(`"payload":${payloadJson(payload)}`);
  if (meta) fields.push(`"meta":${JSON.stringify(meta)}`);
  return printable(`{${fields.join(",")}}`);
}

export function gapText(gap: Gap): string {
  const { tag, from, to, count } = gap;
  let what = "messages may be missing";
  if (to !== null && from !== null)
    what = from === to ? `message ${to} is missing` : `messages ${from} to ${to} are missing`;
  else if (to !== null) what = to > 0 ? `messages up to ${to} are missing` : what;
  else if (count !== null) what = `${count} messages are missing`;
  return printable(`${tag}: ${what} (${whyText(gap)})`);
}

export function gapJson({ tag, pattern, reason, from, to, code, count, epoch }: Gap): string {
  return printable(JSON.stringify({ gap: { tag, pattern, reason, from, to, code, count, epoch } }));
}

export function presenceText({ tag, count, members, joined, left }: PresenceLine): string {
  const changes = [
    ...(joined ?? []).map(({ client }) => `+${client}`),
    ...(left ?? []).map(({ client }) => `-${client}`),
  ];
  const who = joined ? changes : (members ?? []).map(({ client }) => client);
  return printable(`${tag} ${count} present${who.length > 0 ? `: ${who.join(" ")}` : ""}`);
}

export function presenceJson({ tag, version, count, members, joined, left }: PresenceLine): string {
  const change = joined ? { joined, left } : { members };
  return printable(JSON.stringify({ presence: { tag, version, count, ...change } }));
}

/** The client hands payloads on undecoded: what it cannot represent is printed all the same. */
function payloadJson(payload: unknown): string {
  return payload instanceof Raw ? payloadToJson(payload.bytes) : JSON.stringify(payload);
}

const reasons: Readonly<Record<Gap["reason"], string>> = {
  told: "the server could not deliver them",
  jump: "they did not arrive",
  "not-recovered": "the log no longer holds them",
  denied: "the token grants no history",
  away: "the connection was lost and the tag keeps no log, or too many tags match",
  overflow: "they were read too slowly",
};

function whyText({ reason, code }: Gap): string {
  const known = Object.values(gaps).find((gap) => gap.code === code);
  return known ? `${known.text} (${code})` : reasons[reason];
}
