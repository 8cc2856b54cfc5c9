#!/usr/bin/env bun
/**
 * A device, here a lamp: it reports its state whenever that changes, is present while it is connected, and answers
 * commands. The server keeps the last state for whoever asks, also when the device is gone.
 */
import { parseArgs } from "node:util";
import type { TagcastError } from "tagcast/client";
import { connectToServer, harmless } from "../target.ts";
import { commandsTag, presentTag, stateTag, type Command, type Outcome, type State } from "./tags.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { help: { type: "boolean", short: "h", default: false } },
});
const [id] = positionals;
if (id === undefined || values.help) {
  console.log("Usage: bun examples/devices/device.ts <id>");
  process.exit(values.help ? 0 : 2);
}

let state: State = { on: false, brightness: 50 };
const client = connectToServer();

function report(): void {
  console.log(`State: ${JSON.stringify(state)}`);
  client.publish(stateTag(id ?? ""), state).catch((error: TagcastError) => console.error(error.message));
}

/** Anybody who may publish commands can publish anything. */
function obey({ name, value }: Partial<Command>): Outcome {
  switch (name) {
    case "on":
    case "off":
      state = { ...state, on: name === "on" };
      break;
    case "brightness":
      if (typeof value !== "number" || !(value >= 0 && value <= 100)) return { error: "brightness goes from 0 to 100" };
      state = { ...state, brightness: value };
      break;
    default:
      return { error: `there is no command ${JSON.stringify(name)}: there are on, off and brightness` };
  }
  report();
  return { state };
}

// Whoever is subscribed to this tag is present; nothing is published to it.
client.subscribe(presentTag, { info: { device: id } }, () => {});
const commands = client.subscribe<Partial<Command> | null>(commandsTag(id), (message) => {
  console.log(harmless(`Command: ${JSON.stringify(message.payload)}`));
  client.reply(message, obey(message.payload ?? {})).catch((error: TagcastError) => console.error(error.message));
});
await commands.ready;
report();
