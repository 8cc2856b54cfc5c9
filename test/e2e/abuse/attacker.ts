/** A page of somebody else: an origin of its own on this machine, where scripts of the attacker run. */

export interface AttackerPage extends AsyncDisposable {
  readonly origin: string;
}

/** `host` as the browser is to name it: cookies belong to hosts, whatever their port. */
export function openAttackerPage(host = "127.0.0.1"): AttackerPage {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () =>
      new Response("<!doctype html><title>Win a prize</title>", { headers: { "content-type": "text/html" } }),
  });
  return {
    origin: `http://${host}:${server.port}`,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/**
 * Runs in a page: opens a WebSocket, subscribes by the JSON form, and tells what came: messages, or how it closed. What it
 * presents is what the browser adds by itself, unless it has a token.
 */
export function socketScript(url: string, tag: string, token?: string): string {
  const connect = token === undefined ? [] : [JSON.stringify([1, 1, { token }])];
  const first = JSON.stringify([...connect, JSON.stringify([2, 2, tag])].join("\n"));
  return `new Promise((done) => {
    const received = [];
    const socket = new WebSocket(${JSON.stringify(url)}, "tagcast.v1.json");
    socket.onopen = () => socket.send(${first});
    socket.onmessage = ({ data }) => {
      for (const line of data.split("\\n")) received.push(JSON.parse(line));
      if (received.some(([op, ref]) => op === 18 || op === 17)) done(received);
    };
    socket.onclose = ({ code }) => done([...received, ["closed", code]]);
  })`;
}
