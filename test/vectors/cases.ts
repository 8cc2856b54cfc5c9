/** What the vectors cover, as values in JSON form. Payload forms (`$bin`, `$int`, …) stand for themselves. */
import { disconnects, errors, gaps, unsubscribes } from "../../src/core/codes.ts";

/** A piece of a long text: what to repeat, and how often. */
export type Piece = string | readonly [text: string, times: number];

/** A message by its value, or in parts where it is long. `msgpack` and `json` are given where they do not follow from the value. */
export interface Case {
  readonly name: string;
  readonly value?: readonly unknown[];
  readonly msgpack?: string | readonly Piece[];
  readonly json?: string | readonly Piece[];
}

const uintSteps = [0, 1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
const uint32Steps = uintSteps.filter((n) => n < 2 ** 32);
const tagLengths = [1, 31, 32, 254, 255];
const epoch = 0xdead_beef;
const token = "secret-of-a-token";

const each = <T>(list: readonly T[], make: (item: T) => Case): Case[] => list.map(make);
const letters = (count: number): string => "a".repeat(count);
/** `count` different short strings. */
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `n${i}`);

const connects: Case[] = [
  { name: "connect without options", value: [1, 1] },
  { name: "connect with nil options", value: [1, 1, null] },
  { name: "connect with empty options", value: [1, 1, {}] },
  { name: "connect with every option", value: [1, 1, { token, client: "pump-7", echo: false, ping: 30 }] },
  { name: "connect asking for aliases", value: [1, 1, { token, alias: true }] },
  { name: "connect with nil for every option", value: [1, 1, { token: null, client: null, echo: null, ping: null }] },
  {
    name: "connect with options of a newer version",
    value: [1, 1, { token, color: [1, { deep: "x" }], 日本: 3 }, "more"],
  },
  ...each([0, 1, 31, 32, 255, 256, 8192], (n) => ({
    name: `connect with a token of ${n} bytes`,
    value: [1, 1, { token: letters(n) }],
  })),
  ...each([1, 31, 32, 64], (n) => ({
    name: `connect as a client of ${n} bytes`,
    value: [1, 1, { client: letters(n) }],
  })),
  ...each([10, 127, 128, 255, 256, 900], (n) => ({ name: `connect asking for ${n} s`, value: [1, 1, { ping: n }] })),
];

const subscribes: Case[] = [
  { name: "subscribe", value: [2, 2, "plant/7/temp"] },
  { name: "subscribe to a pattern", value: [2, 2, "plant/+/#"] },
  { name: "subscribe with nil options", value: [2, 2, "t", null] },
  { name: "subscribe to a system tag", value: [2, 2, "$reply/0123456789abcdef0123456789abcdef/#"] },
  {
    name: "subscribe with every option",
    value: [2, 2, "t", { since: [epoch, 41], last: 10, presence: true, info: { name: "Ann" } }],
  },
  { name: "subscribe without presence", value: [2, 2, "t", { presence: false, info: null, since: null, last: null }] },
  { name: "subscribe with binary info", value: [2, 2, "t", { presence: true, info: { $bin: "AAEC/w==" } }] },
  { name: "subscribe with a list as info", value: [2, 2, "t", { presence: true, info: ["ü", -1, 0.5, false] }] },
  { name: "subscribe with info of 256 bytes", value: [2, 2, "t", { presence: true, info: letters(254) }] },
  { name: "subscribe to a pattern since nothing", value: [2, 2, "#", { since: {} }] },
  { name: "subscribe to a pattern since a system tag", value: [2, 2, "$x/#", { since: { "$x/y": [1, 0] } }] },
  ...each([1, 15, 16, 256], (n) => ({
    name: `subscribe to a pattern since ${n} positions`,
    value: [2, 2, "+", { since: Object.fromEntries(names(n).map((name, i) => [name, [epoch, i]])) }],
  })),
  ...each(
    uint32Steps.filter((n) => n > 0),
    (n) => ({ name: `subscribe with the last ${n}`, value: [2, 2, "t", { last: n }] }),
  ),
  ...each(tagLengths, (n) => ({ name: `subscribe to a tag of ${n} bytes`, value: [2, 2, letters(n)] })),
  { name: "unsubscribe", value: [3, 3, "plant/+/temp"] },
  ...each(tagLengths, (n) => ({ name: `unsubscribe from a tag of ${n} bytes`, value: [3, 3, letters(n)] })),
];

const publishes: Case[] = [
  { name: "publish", value: [4, 4, "plant/7/temp", 21.5] },
  { name: "publish without an answer", value: [4, 0, "plant/7/temp", { $bin: "AAEC/w==" }] },
  { name: "publish nothing", value: [4, 4, "t", null] },
  { name: "publish with nil options", value: [4, 4, "t", 1, null] },
  { name: "publish with empty options", value: [4, 4, "t", 1, {}] },
  { name: "publish with every option", value: [4, 4, "t", "x", { id: "m-1", echo: false, reply: "$reply/abc/1" }] },
  { name: "publish with nil for every option", value: [4, 4, "t", "x", { id: null, echo: null, reply: null }] },
  { name: "publish with echo", value: [4, 4, "t", "x", { echo: true }] },
  { name: "publish with a binary id", value: [4, 4, "t", "x", { id: { $bin: "AP+A" } }] },
  { name: "publish with options of a newer version", value: [4, 4, "t", "x", { ids: 1, id: "m", i: {} }, "more", [2]] },
  ...each(uint32Steps, (n) => ({ name: `publish to alias ${n}`, value: [4, 4, n, 21.5, { echo: false }] })),
  { name: "publish to a tag beyond ASCII", value: [4, 4, "werk/7/öl/温度/🌡", 1] },
  ...each([1, 31, 32], (n) => ({
    name: `publish with an id of ${n} bytes`,
    value: [4, 4, "t", 1, { id: letters(n) }],
  })),
  ...each(tagLengths, (n) => ({ name: `publish to a tag of ${n} bytes`, value: [4, 4, letters(n), 1] })),
  ...each([1, 2, 15, 16], (n) => ({ name: `publish to a list of ${n}`, value: [4, 4, names(n), [1, "x"]] })),
];

const queries: Case[] = [
  { name: "history", value: [5, 5, "t"] },
  { name: "history with nil options", value: [5, 5, "t", null] },
  { name: "history with every option", value: [5, 5, "t", { since: [epoch, 7], last: 3, limit: 1000 }] },
  ...each(uintSteps, (n) => ({ name: `history since offset ${n}`, value: [5, 5, "t", { since: [1, n] }] })),
  ...each([1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1], (n) => ({
    name: `history since epoch ${n}`,
    value: [5, 5, "t", { since: [n, 1] }],
  })),
  ...each([1, 100, 1000], (n) => ({ name: `history of at most ${n}`, value: [5, 5, "t", { limit: n }] })),
  { name: "presence", value: [6, 6, "room/1"] },
  { name: "refresh", value: [7, 7, token] },
  ...each([0, 31, 32, 255, 256, 8192], (n) => ({ name: `refresh with ${n} bytes`, value: [7, 7, letters(n)] })),
  ...each(uint32Steps, (n) => ({ name: `ping with ref ${n}`, value: [9, n] })),
];

/** Client → server. */
export const clientCases: readonly Case[] = [...connects, ...subscribes, ...publishes, ...queries];

const session = "0123456789abcdef0123456789abcdef";
const members = (count: number): unknown[] => names(count).map((name, i) => [name, i + 1, null]);

const answers: Case[] = [
  { name: "ok", value: [16, 3, {}] },
  {
    name: "ok to connect",
    value: [
      16,
      1,
      {
        version: 1,
        session,
        server: "tagcast/0.1.0",
        client: "pump-7",
        ping: 25,
        reply: `$reply/${session}`,
        payloadMax: 1_048_576,
        expires: 1_900_000_000,
      },
    ],
  },
  { name: "ok to subscribe", value: [16, 2, { position: [epoch, 41] }] },
  { name: "ok to connect, with aliases", value: [16, 1, { version: 1, alias: true }] },
  { name: "ok to subscribe with an alias", value: [16, 2, { position: [epoch, 41], alias: 300 }] },
  { name: "ok to subscribe, recovered", value: [16, 2, { position: [epoch, 0], recovered: true }] },
  { name: "ok to subscribe, messages first", value: [16, 2, { position: [epoch, 41], start: 36, recovered: true }] },
  { name: "ok to subscribe, not recovered", value: [16, 2, { position: [epoch, 41], recovered: false }] },
  {
    name: "ok to subscribe with presence",
    value: [
      16,
      2,
      {
        presence: {
          version: 9,
          count: 2,
          members: [
            ["ann", 1, { away: true }],
            ["bob", 2 ** 40, null],
          ],
        },
      },
    ],
  },
  {
    name: "ok to subscribe with many members",
    value: [16, 2, { presence: { version: 9, count: 201, members: null } }],
  },
  {
    name: "ok to subscribe to a pattern",
    value: [
      16,
      2,
      {
        positions: { "p/1": [epoch, 41], $x: [1, 2] },
        lost: ["p/2"],
        unseen: [
          ["p/3", 7, 1],
          ["p/4", 7, 9, 8],
        ],
        more: true,
      },
    ],
  },
  {
    name: "ok to subscribe to a pattern with one system tag",
    value: [16, 2, { positions: { "$x/y": [1, 2] }, unseen: [] }],
  },
  { name: "ok to a publish with an alias", value: [16, 4, { alias: 300 }] },
  { name: "ok to a publish with a position and an alias", value: [16, 4, { position: [epoch, 42], alias: 1 }] },
  { name: "ok to a repeated publish", value: [16, 4, { position: [epoch, 42], repeated: true }] },
  ...each(
    uintSteps.filter((n) => n > 0),
    (n) => ({ name: `ok to publish at offset ${n}`, value: [16, 4, { position: [epoch, n] }] }),
  ),
  ...each(
    uint32Steps.filter((n) => n > 0),
    (n) => ({ name: `ok with ref and epoch ${n}`, value: [16, n, { position: [n, 1] }] }),
  ),
  { name: "ok to publish to several tags", value: [16, 4, { results: [[epoch, 1], null, 103] }] },
  {
    name: "ok to history",
    value: [
      16,
      5,
      {
        position: [epoch, 9],
        messages: [
          [8, { $bin: "AAEC/w==" }, null, 1_760_000_000_000],
          [9, { t: 21.5 }, { reply: "$reply/a/1", id: "m" }, 1_760_000_000_001],
        ],
        more: false,
        recovered: true,
      },
    ],
  },
  { name: "ok to history with nothing", value: [16, 5, { position: [epoch, 0], messages: [], more: false }] },
  { name: "ok to presence", value: [16, 6, { version: 3, count: 16, members: members(16) }] },
  { name: "ok to refresh", value: [16, 7, { expires: 2 ** 32 }] },
];

const deliveries: Case[] = [
  { name: "message", value: [18, "t", null, "x"] },
  { name: "message with meta", value: [18, "t", null, "x", { reply: "$reply/a/1", id: "m-1" }] },
  { name: "message with one field of meta", value: [18, "t", 5, "x", { id: "m-1" }] },
  ...each(
    uint32Steps.filter((n) => n > 0),
    (n) => ({ name: `message by alias ${n}`, value: [18, n, 5, "x"] }),
  ),
  { name: "message through a pattern", value: [18, "a/b", null, "x", null, "a/+"] },
  { name: "message with meta through a pattern", value: [18, "a/b", null, "x", { id: "m-1" }, "#"] },
  { name: "message of a log through a pattern", value: [18, "a/b", 5, "x", null, "a/+", epoch] },
  { name: "message of a log with meta through a pattern", value: [18, "a/b", 5, "x", { id: "m" }, "a/+", 1] },
  ...each(
    uintSteps.filter((n) => n > 0),
    (n) => ({ name: `message at offset ${n}`, value: [18, "t", n, "x"] }),
  ),
  ...each(tagLengths, (n) => ({ name: `message to a tag of ${n} bytes`, value: [18, letters(n), null, "x"] })),
  ...each(tagLengths, (n) => ({
    name: `message through a pattern of ${n} bytes`,
    value: [18, "t", null, "x", null, `${letters(n - 1)}#`],
  })),
];

const notices: Case[] = [
  { name: "error for several", value: [17, 0, 103, "The token does not grant this", 7] },
  { name: "presence: joined", value: [19, "room/1", 4, [["ann", 1, { away: true }]], [], 3] },
  { name: "presence: left", value: [19, "room/1", 5, [], [["ann", 1]], 2] },
  { name: "presence: both", value: [19, "room/1", 6, [["ann", 2 ** 33, null]], [["bob", 2 ** 53 - 1]], 2] },
  { name: "presence: only the count", value: [19, "room/1", 7, null, null, 201] },
  ...each([15, 16, 200], (n) => ({ name: `presence: a list of ${n}`, value: [19, "room/1", 8, members(n), null, n] })),
  { name: "gap without a log", value: [20, "a/+", null, null, { code: 200, count: 12 }] },
  { name: "gap of unknown size without a log", value: [20, "a/+", null, null, { code: 204 }] },
  { name: "gap in a log", value: [20, "t", 4, 9, { code: 202, count: 6 }] },
  { name: "gap of one subscription of several", value: [20, "a/b", 4, 9, { code: 202, pattern: "a/+" }] },
  { name: "gap with a new epoch", value: [20, "t", null, 0, { code: 203, epoch }] },
  { name: "gap with a large offset", value: [20, "t", 2 ** 32, 2 ** 53 - 1, { code: 202, count: 2 ** 32, epoch: 1 }] },
  { name: "disconnect with a delay", value: [22, 3000, "The server is shutting down", 86_400_000] },
];

/** Server → client. */
export const serverCases: readonly Case[] = [...answers, ...deliveries, ...notices];

/** Every code in the message that carries it. */
export const codeCases: readonly Case[] = [
  ...each(Object.values(errors), ({ code, name, text }) => ({ name: `error ${name}`, value: [17, 7, code, text] })),
  ...each(Object.values(gaps), ({ code, name }) => ({
    name: `gap ${name}`,
    value: [20, "t", 3, 5, { code, count: 3 }],
  })),
  ...each(Object.values(unsubscribes), ({ code, name, text }) => ({
    name: `unsubscribed ${name}`,
    value: [21, "plant/#", code, text],
  })),
  ...each(Object.values(disconnects), ({ code, name, text, retry }) => ({
    name: `disconnect ${name}`,
    value: [22, code, text, retry ? 1500 : 0],
  })),
];
