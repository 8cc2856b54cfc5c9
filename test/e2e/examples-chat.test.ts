/** examples/chat: people at terminals, through a server process. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Example } from "../harness/example.ts";
import { type ServerProcess, startProcess } from "../harness/server.ts";

let server: ServerProcess;

beforeAll(async () => {
  server = await startProcess({ args: ["--config", "examples/tagcast.toml"] });
});
afterAll(() => server[Symbol.asyncDispose]());

const sit = (name: string, ...rooms: readonly string[]) =>
  new Example("chat/chat.ts", ["--name", name, ...rooms], { TAGCAST_URL: server.url, TAGCAST_TOKEN: server.token });

test("two people talk, see each other come and go, and the late one reads what was said", async () => {
  await using ann = sit("ann", "kitchen");
  await ann.until(/^\[kitchen\] \* here: ann$/m);
  await ann.type("is anybody here?");
  await ann.until(/^\[kitchen\] ann: is anybody here\?$/m);

  await using bob = sit("bob", "kitchen");
  await bob.until(/^\[kitchen\] ann: is anybody here\?$/m);
  await bob.until(/^\[kitchen\] \* here: (ann, bob|bob, ann)$/m);
  await ann.until(/^\[kitchen\] \* bob has come$/m);

  await bob.type("  I am  ");
  await bob.type("\u0007beep");
  for (const one of [ann, bob]) {
    await one.until(/^\[kitchen\] bob: I am$/m);
    await one.until(/^\[kitchen\] bob: {2}?beep$/m);
  }
  await bob.type("/leave");
  await bob.until(/^you have left kitchen$/m);
  await ann.until(/^\[kitchen\] \* bob has gone$/m);
  await ann.type("/who");
  await ann.until(/here: ann$[\s\S]*here: ann$/m);
  expect(bob.stdout.match(/is anybody here/g)).toHaveLength(1);
});

test("rooms are apart: one says in the room joined last", async () => {
  await using ann = sit("ann", "garden", "roof");
  await ann.until(/^\[roof\] \* here: ann$/m);
  await using bob = sit("bob", "garden");
  await ann.until(/^\[garden\] \* bob has come$/m);
  await ann.type("what a view");
  await ann.until(/^\[roof\] ann: what a view$/m);
  await ann.type("/leave roof");
  await ann.type("/rooms");
  await ann.until(/^you are in: garden$/m);
  await ann.type("back down");
  await bob.until(/^\[garden\] ann: back down$/m);
  expect(bob.stdout).not.toContain("view");
  await ann.type("/quit");
  expect(await ann.end()).toBe(0);
  await bob.until(/^\[garden\] \* ann has gone$/m);
});

test("what cannot be done is said", async () => {
  await using ann = sit("ann");
  await ann.type("hello?");
  await ann.until(/^which room\? \/join <room>$/m);
  await ann.type("/dance");
  await ann.type("/join a/b");
  await ann.until(/^\[a\/b\] .+$/m);
  await ann.type("/leave");
  await ann.until(/^which room\?[\s\S]+^which room\?[\s\S]+^which room\?/m);
  await using refused = new Example("chat/chat.ts", ["--name", "eve", "kitchen"], {
    TAGCAST_URL: server.url,
    TAGCAST_TOKEN: "wrong",
  });
  expect(await refused.end()).toBe(1);
  expect(refused.stderr).toContain("TAGCAST_TOKEN");
});
