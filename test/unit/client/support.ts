/** What tests of the client share: a client on a fake server and clock, and waiting for events. */
import {
  type Client,
  type ClientEvents,
  type ConnectOptions,
  connect,
  type Message,
  type Subscription,
} from "../../../src/client/client.ts";
import { FakeClock } from "../../harness/clock.ts";
import { type FakeConnection, type FakeServer, startFakeServer } from "../../harness/fake-server.ts";

export interface Setup extends AsyncDisposable {
  readonly server: FakeServer;
  readonly clock: FakeClock;
  readonly client: Client;
}

/** A client whose time stands still and whose back-off takes no jitter, unless `options` say otherwise. */
export function setUp(options: ConnectOptions = {}): Setup {
  const server = startFakeServer();
  const clock = new FakeClock();
  const client = connect(server.url, { timers: clock, random: () => 0, ...options });
  return {
    server,
    clock,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Resolves with the next event that `wanted` accepts. */
export function event<Name extends keyof ClientEvents>(
  client: Client,
  name: Name,
  wanted: (event: ClientEvents[Name]) => boolean = () => true,
): Promise<ClientEvents[Name]> {
  return new Promise((resolve) => {
    const off = client.on(name, (value) => {
      if (!wanted(value)) return;
      off();
      resolve(value);
    });
  });
}

/** Cuts the connection and waits until the client has noticed; then lets it connect again. */
export async function reconnect(
  { server, clock, client }: Setup,
  connection: FakeConnection,
  result?: object,
): Promise<FakeConnection> {
  const waiting = event(client, "state", (state) => state === "waiting");
  connection.cut();
  await waiting;
  clock.advance(0);
  return server.welcome(result);
}

/** The next `count` messages of the iterator. */
export async function take<T>(subscription: Subscription<T>, count: number): Promise<Message<T>[]> {
  const iterator = subscription[Symbol.asyncIterator]();
  const messages: Message<T>[] = [];
  while (messages.length < count) {
    const { done, value } = await iterator.next();
    if (done) break;
    messages.push(value);
  }
  return messages;
}
