/** Runs scenarios in this runtime when the controller says so, and tells it how they went. */
import { scenarios } from "./scenarios.ts";
import { type Control, Stage } from "./stage.ts";
import type { Down, Up } from "./verbs.ts";

/** Settles when the controller is gone. */
export function serve(controlUrl: string): Promise<void> {
  const over = Promise.withResolvers<void>();
  const socket = new WebSocket(controlUrl);
  const calls = new Map<number, PromiseWithResolvers<unknown>>();
  const send = (message: Up) => socket.send(JSON.stringify(message));
  let count = 0;
  const control = ((verb, ...args) => {
    const call = Promise.withResolvers<unknown>();
    calls.set(++count, call);
    send({ call: count, verb, args });
    return call.promise;
  }) as Control;

  const run = async (name: string) => {
    const stage = new Stage(control);
    let error: string | null = null;
    try {
      const scenario = scenarios.find((candidate) => candidate.name === name);
      if (scenario === undefined) throw new Error(`There is no scenario "${name}"`);
      await scenario.run(stage);
    } catch (thrown) {
      error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      if (thrown instanceof Error && !error.includes(thrown.message)) error = `${thrown.message}\n${error}`;
    }
    stage.close();
    send({ done: name, error });
  };

  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(String(data)) as Down;
    if ("run" in message) return void run(message.run);
    const call = calls.get(message.answer);
    calls.delete(message.answer);
    if (message.error === undefined) call?.resolve(message.result);
    else call?.reject(new Error(message.error));
  });
  socket.addEventListener("close", () => over.resolve());
  return over.promise;
}
