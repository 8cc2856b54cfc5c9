/** Publishing to several tags at once, where fewer of them may be remembered. */
import { expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import { app, roomy, settle, TestHub } from "./support.ts";

// What stood for a tag in the frame was gone with its state: everybody got frames that were no messages.
test("each of them gets its message, though no more than one is remembered", async () => {
  const hub = new TestHub({ rules: [roomy], tagsMax: 1 });
  const subscriber = hub.open();
  subscriber.subscribe("#");
  await settle(hub);
  subscriber.take();
  const frame = encode("x");
  const what = { frame, payloadStart: 0, payloadEnd: frame.length, meta: null, id: null, except: null };
  const tags = ["live/a", "log/b", "live/c", "log/d"];
  const states = tags.map((tag) => hub.hub.tag(app, tag));
  expect(states.some(({ forgotten }) => forgotten)).toBe(true);
  hub.hub.publishToSeveral(states, what, subscriber, 7);
  await settle(hub);
  const messages = subscriber.take();
  const got = new Map(messages.filter(([op]) => op === 18).map(([, tag, , payload]) => [tag, payload]));
  expect(got).toEqual(new Map(tags.map((tag) => [tag, "x"])));
  expect(messages.filter(([op]) => op === 16)).toHaveLength(1);
});
