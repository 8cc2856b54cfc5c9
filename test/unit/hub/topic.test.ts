import { describe, expect, test } from "bun:test";
import { Topic } from "../../../src/hub/topic.ts";
import { FakeConnection, FakeNativeServer } from "../../harness/native.ts";

const outlet = { publish() {} };

function connectionOf(server: FakeNativeServer): FakeConnection {
  return new FakeConnection({ server, lane: "msgpack", client: { frame() {}, closed() {} } });
}

describe("A topic", () => {
  test("has a native topic per lane while somebody is in it, apart for each application and pattern", () => {
    const server = new FakeNativeServer();
    const topic = new Topic("main", "a/#");
    const [one, two, three] = [connectionOf(server), connectionOf(server), connectionOf(server)];
    topic.join(one, "msgpack", outlet);
    topic.join(two, "msgpack", outlet);
    topic.join(three, "json", outlet);
    expect([topic.msgpack?.members, topic.json?.members]).toEqual([2, 1]);
    const names = [...one.topics, ...three.topics, ...namesOf("main", "a/+"), ...namesOf("other", "a/#")];
    expect(new Set(names).size).toBe(4);
    expect(two.topics).toEqual(one.topics);
    for (const connection of [one, two]) topic.leave(connection, "msgpack");
    topic.leave(three, "json");
    expect([topic.msgpack, topic.json, one.topics.size]).toEqual([null, null, 0]);
  });

  test("keeps presence apart from messages", () => {
    const server = new FakeNativeServer();
    const topic = new Topic("main", "a");
    const connection = connectionOf(server);
    topic.join(connection, "json", outlet);
    topic.joinPresence(connection, "json", outlet);
    expect([connection.topics.size, topic.presenceJson?.members, topic.json?.members]).toEqual([2, 1, 1]);
    topic.leavePresence(connection, "json");
    expect([connection.topics.size, topic.presenceJson, topic.json?.members]).toEqual([1, null, 1]);
  });

  test("names its pattern to subscribers only where it has wildcards", () => {
    expect([new Topic("main", "a").name, new Topic("main", "+").name?.pattern]).toEqual([null, "+"]);
  });

  test("takes a leave for granted where nobody is", () => {
    const server = new FakeNativeServer();
    const topic = new Topic("main", "a");
    topic.leave(connectionOf(server), "msgpack");
    topic.leavePresence(connectionOf(server), "msgpack");
    expect(topic.msgpack).toBeNull();
  });
});

function namesOf(app: string, pattern: string): Iterable<string> {
  const connection = connectionOf(new FakeNativeServer());
  new Topic(app, pattern).join(connection, "msgpack", outlet);
  return connection.topics;
}
