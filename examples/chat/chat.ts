#!/usr/bin/env bun
/** A chat in the terminal: rooms with history, who is in them, and who comes and goes. */
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import type { Client, Member, Subscription, TagcastError } from "tagcast/client";
import { connectToServer, harmless } from "../target.ts";

const help = `Usage: bun examples/chat/chat.ts --name <name> [<room>...]

What you type goes to the room joined last. Lines that begin with a slash are commands:
  /join <room>  /leave [<room>]  /who [<room>]  /rooms  /quit

TAGCAST_URL and TAGCAST_TOKEN say where to and as whom.`;

/** Messages of a room that are shown on joining it. */
const lastShown = 20;

interface Said {
  readonly from: string;
  readonly text: string;
}

class Chat {
  readonly #client: Client;
  readonly #name: string;
  /** In the order of joining: the last one is written to. */
  readonly #rooms = new Map<string, Subscription<Said>>();

  constructor(client: Client, name: string) {
    this.#client = client;
    this.#name = name;
  }

  /** False: that was the last line. */
  async take(line: string): Promise<boolean> {
    const [command = "", argument] = line.trim().split(/\s+/, 2);
    const room = argument ?? this.#current();
    if (command === "") return true;
    if (command === "/quit") return false;
    if (command === "/rooms") print(`you are in: ${[...this.#rooms.keys()].join(", ") || "no room"}`);
    else if (room === undefined) print("which room? /join <room>");
    else if (command === "/join") await this.join(room);
    else if (command === "/leave") await this.#leave(room);
    else if (command === "/who") await this.#who(room);
    else if (command.startsWith("/")) print(`no such command: ${command}`);
    else this.#say(line.trim());
    return true;
  }

  async join(room: string): Promise<void> {
    if (this.#rooms.has(room)) return print(`you are in ${room} already`);
    const subscription = this.#client.subscribe<Said>(
      tagOf(room),
      { last: lastShown, presence: true, info: { name: this.#name } },
      ({ payload }) => show(room, payload),
    );
    subscription.on("presence", ({ joined, left }) => {
      for (const name of this.#others(joined)) print(`[${room}] * ${name} has come`);
      for (const name of this.#others(left)) print(`[${room}] * ${name} has gone`);
    });
    subscription.on("gap", () => print(`[${room}] * what was said meanwhile is not known any more`));
    void subscription.ended.then((error) => error && this.#rooms.delete(room) && print(`[${room}] ${error.message}`));
    this.#rooms.set(room, subscription);
    try {
      const { presence } = await subscription.ready;
      print(`[${room}] * here: ${names(presence?.members ?? []).join(", ")}`);
    } catch {
      // `ended` tells why.
    }
  }

  async #leave(room: string): Promise<void> {
    const subscription = this.#rooms.get(room);
    if (subscription === undefined) return print(`you are not in ${room}`);
    this.#rooms.delete(room);
    await subscription.unsubscribe();
    print(`you have left ${room}`);
  }

  async #who(room: string): Promise<void> {
    try {
      const { count, members } = await this.#client.presence(tagOf(room));
      print(`[${room}] * here: ${members ? names(members).join(", ") || "nobody" : `${count} people`}`);
    } catch (error) {
      print(`[${room}] ${(error as TagcastError).message}`);
    }
  }

  /** Without a connection it is said once there is one again. Our own copy comes back in the order in which all see it. */
  #say(text: string): void {
    const room = this.#current();
    if (room === undefined) return;
    this.#client
      .publish(tagOf(room), { from: this.#name, text } satisfies Said)
      .catch((error: TagcastError) => print(`[${room}] not sent: ${error.message}`));
  }

  #current(): string | undefined {
    return [...this.#rooms.keys()].at(-1);
  }

  #others(members: readonly Member[]): string[] {
    return names(members).filter((name) => name !== this.#name);
  }
}

function names(members: readonly Member[]): string[] {
  return members.map(({ client, info }) => (info as { name?: string } | null)?.name ?? client);
}

function tagOf(room: string): string {
  return `chat/${room}`;
}

/** Anybody who may publish to a room can publish anything to it. */
function show(room: string, said: Partial<Said> | null): void {
  if (typeof said?.from === "string" && typeof said.text === "string") print(`[${room}] ${said.from}: ${said.text}`);
}

/** On one line, whatever others wrote. */
function print(text: string): void {
  console.log(harmless(text));
}

const { values, positionals } = parseArgs({
  options: { name: { type: "string" }, help: { type: "boolean" } },
  allowPositionals: true,
});
if (values.help || !values.name) {
  console.log(help);
  process.exit(values.help ? 0 : 2);
}
const client = connectToServer();
const chat = new Chat(client, values.name);
for (const room of positionals) await chat.join(room);
for await (const line of createInterface({ input: process.stdin })) if (!(await chat.take(line))) break;
await client.flush();
client.close();
process.exit();
