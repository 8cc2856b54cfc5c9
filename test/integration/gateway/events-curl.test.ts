/** The examples of docs/events.md, run by the real curl. */
import { expect, test } from "bun:test";
import { op } from "../../../src/wire/messages.ts";
import { Conditions } from "../../harness/deadline.ts";
import { adminToken, startServer, type TestServer } from "../../harness/server.ts";
import { read } from "../../harness/source-tree.ts";

const toml = `
[[tags]]
pattern = "plant/#"
history = { size = 1000 }
`;
const commands = [...(await read("docs/events.md")).matchAll(/```sh\n(.*?)\n```/gs)].map(([, command = ""]) => command);

/** A command of the document as it runs. */
class Running implements AsyncDisposable {
  output = "";
  readonly #conditions = new Conditions();
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;

  constructor(server: TestServer, command: string, id = "") {
    const env = {
      PATH: process.env["PATH"] ?? "",
      URL: server.http,
      AUTH: `Authorization: Bearer ${adminToken}`,
      ID: id,
    };
    this.#child = Bun.spawn(["sh", "-c", `exec ${command} -sS`], {
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#keep();
  }

  /** Payloads and the newest id, once so many messages have come. */
  async messages(count: number): Promise<{ payloads: unknown[]; id: string }> {
    const found = () => [...this.output.matchAll(/event: message\n(?:id: .*\n)?data: (.*)\n\n/g)];
    await this.#conditions.until(
      () => found().length >= count || undefined,
      () => `${count} messages; ${this.output}`,
    );
    const payloads = found().map(([, data = ""]) => (JSON.parse(data) as { payload: unknown }).payload);
    return { payloads, id: [...this.output.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] ?? "" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }

  async #keep(): Promise<void> {
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.output += text;
      this.#conditions.check();
    }
  }
}

test("curl follows a stream, and continues it by the id", async () => {
  const [listen = "", goOn = ""] = commands;
  expect(commands).toHaveLength(2);
  await using server = await startServer({ toml });
  await using publisher = await server.connect();
  for (const payload of ["old", 21.5, 21.6]) await publisher.ok(op.publish, "plant/7/temp", payload);
  let id: string;
  {
    await using first = new Running(server, listen);
    await first.messages(2);
    await publisher.ok(op.publish, "plant/8/temp", "live");
    const seen = await first.messages(3);
    expect(seen.payloads).toEqual([21.5, 21.6, "live"]);
    id = seen.id;
  }
  await publisher.ok(op.publish, "plant/7/temp", "missed");
  await using second = new Running(server, goOn, id);
  await second.messages(1);
  await publisher.ok(op.publish, "plant/8/temp", "live again");
  expect((await second.messages(2)).payloads).toEqual(["missed", "live again"]);
});
