import { expect, test } from "bun:test";
import { showJson, showText } from "../../../src/config/show.ts";
import { resolve } from "../../harness/config.ts";

const secrets = {
  admin: "the-admin-token-1",
  key: "a-secret-of-at-least-32-characters",
  jwk: "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy",
};
const toml = `
log-level = "warn"
[[tags]]
pattern = "log/#"
history = { size = 10, ttl = "1h", bytes = "2MiB" }
retain = true
[[keys]]
algorithm = "HS256"
secret = "${secrets.key}"
issuer = "me"
[applications.b]
[[applications.b.keys]]
algorithm = "HS256"
jwk = { kty = "oct", k = "${secrets.jwk}" }
`;
const given = { toml, env: { TAGCAST_ADMIN_TOKEN: secrets.admin }, argv: ["--port", "9"] };

test("showText() tells each value, where it came from, rules and keys", async () => {
  const lines = showText(await resolve(given)).split("\n");
  const line = (key: string) => lines.find((text) => text.startsWith(`${key} `))?.split(/ {2,}/);
  expect(line("port")).toEqual(["port", "9", "--port"]);
  expect(line("log-level")).toEqual(["log-level", "warn", "/etc/tagcast.toml"]);
  expect(line("payload-max")).toEqual(["payload-max", "1MiB", "default"]);
  expect(line("tokens")).toEqual(["tokens", "(none)", "default"]);
  expect(line("admin-token")).toEqual(["admin-token", "(hidden)", "TAGCAST_ADMIN_TOKEN"]);
  expect(lines.slice(-6)).toEqual([
    "application main: 1 tag rule, 1 key",
    "  tag log/#  history 10  ttl 1h  bytes 2MiB  retain  delivery reliable",
    "  key HS256  secret (hidden)  issuer me",
    "",
    "application b: 0 tag rules, 1 key",
    "  key HS256  jwk (hidden)",
  ]);
});

test("showJson() tells the same to programs", async () => {
  const shown = JSON.parse(JSON.stringify(showJson(await resolve(given))));
  expect(shown.file).toBe("/etc/tagcast.toml");
  expect(shown.options["port"]).toEqual({ value: 9, source: "--port" });
  expect(shown.options["payload-max"]).toEqual({ value: 1024 ** 2, source: "default" });
  expect(shown.options["admin-token"]).toEqual({ value: "(hidden)", source: "TAGCAST_ADMIN_TOKEN" });
  expect(shown.options["tokens"]).toEqual({ value: null, source: "default" });
  expect(shown.applications.main.tags[0]).toMatchObject({ pattern: "log/#", history: { size: 10, ttlMs: 3_600_000 } });
  expect(shown.applications.main.keys).toEqual([{ algorithm: "HS256", secret: "(hidden)", issuer: "me" }]);
});

test("neither shows a secret", async () => {
  const resolved = await resolve(given);
  for (const text of [showText(resolved), JSON.stringify(showJson(resolved))]) {
    for (const secret of Object.values(secrets)) expect(text).not.toContain(secret);
  }
});
