#!/usr/bin/env bun
/** The console to the devices: which are there, what each reported last, and commands with their answers. */
import { parseArgs } from "node:util";
import type { Client, TagcastError } from "tagcast/client";
import { connectToServer, harmless } from "../target.ts";
import { commandsTag, presentTag, stateTag, type Command, type Outcome, type State } from "./tags.ts";

const help = `Usage: bun examples/devices/console.ts list
       bun examples/devices/console.ts send <id> on|off
       bun examples/devices/console.ts send <id> brightness <percent>`;

async function list(client: Client): Promise<void> {
  const { members } = await client.presence(presentTag);
  const present = new Set(members?.map(({ info }) => (info as { device?: string } | null)?.device));
  // Every device that ever reported is among the tags that the server knows.
  const states = client.subscribe(stateTag("+"), () => {});
  await states.ready;
  const known = [...states.positions.keys()].map((tag) => tag.split("/")[1]);
  await states.unsubscribe();
  const ids = [...new Set([...known, ...present])].filter((id) => id !== undefined);
  for (const id of ids.sort((a, b) => a.localeCompare(b))) {
    const [last] = (await client.history<State>(stateTag(id), { last: 1 })).messages;
    const reported = last ? `${JSON.stringify(last.payload)} since ${new Date(last.timeMs).toISOString()}` : "no state";
    console.log(harmless(`${id}  ${present.has(id) ? "present" : "away"}  ${reported}`));
  }
}

async function send(client: Client, id: string, command: Command): Promise<boolean> {
  const { payload } = await client.request<Outcome>(commandsTag(id), command, { timeoutMs: 3000 });
  if ("error" in payload) console.error(harmless(`${id}: ${payload.error}`));
  else console.log(harmless(`${id}: ${JSON.stringify(payload.state)}`));
  return "state" in payload;
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { help: { type: "boolean", short: "h", default: false } },
});
const [verb, id, name, value] = positionals;
const wrong =
  verb === "send" ? id === undefined || name === undefined || Number.isNaN(Number(value ?? 0)) : verb !== "list";
if (wrong || values.help) {
  console.log(help);
  process.exit(values.help ? 0 : 2);
}
const client = connectToServer();
try {
  if (id === undefined || name === undefined) await list(client);
  else if (!(await send(client, id, { name, ...(value !== undefined && { value: Number(value) }) })))
    process.exitCode = 1;
} catch (error) {
  console.error((error as TagcastError).message);
  process.exitCode = 1;
}
client.close();
