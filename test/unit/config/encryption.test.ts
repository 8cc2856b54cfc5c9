import { describe, expect, test } from "bun:test";
import { problemsOf, resolve } from "../../harness/config.ts";

const told = async (...argv: string[]) => (await problemsOf({ argv })).map(({ key, message }) => [key, message]);

describe("options of TLS", () => {
  test("certificates and keys come in pairs", async () => {
    const { config } = await resolve({
      argv: ["--tls-cert", "a.pem,b.pem", "--tls-key", "a.key", "--tls-key", "b.key"],
    });
    expect([config.tlsCert, config.tlsKey]).toEqual([
      ["a.pem", "b.pem"],
      ["a.key", "b.key"],
    ]);
    expect(await told("--tls-cert", "a.pem,b.pem", "--tls-key", "a.key")).toEqual([
      ["tls-cert", "each certificate needs its key: there are 2 in tls-cert, 1 in tls-key"],
    ]);
    expect(await told("--tls-key", "a.key")).toEqual([
      ["tls-key", "each certificate needs its key: there are 0 in tls-cert, 1 in tls-key"],
    ]);
  });

  test("paths in the file are relative to it", async () => {
    const toml = 'tls-cert = ["a.pem", "/b.pem"]\ntls-key = ["a.key", "/b.key"]\ntls-client-ca = "ca.pem"';
    const { config } = await resolve({ toml });
    expect([config.tlsCert, config.tlsClientCa]).toEqual([["/etc/a.pem", "/b.pem"], "/etc/ca.pem"]);
  });

  test("what means nothing without certificates is told", async () => {
    expect(await told("--tls-client-ca", "ca.pem", "--tls-min", "1.3")).toEqual([
      ["tls-client-ca", "means nothing without tls-cert and tls-key"],
      ["tls-min", "means nothing without tls-cert and tls-key"],
    ]);
  });

  test("TLS is not required where nobody could speak it", async () => {
    expect(await told("--require-tls")).toEqual([["require-tls", expect.stringContaining("nobody could connect")]]);
    expect(await told("--require-tls", "--trusted-proxies", "10.0.0.0/8")).toEqual([]);
    expect(await told("--require-tls", "--tls-cert", "a.pem", "--tls-key", "a.key")).toEqual([]);
  });

  test("a host beyond loopback needs a credential, with TLS too", async () => {
    const tls = ["--tls-cert", "a.pem", "--tls-key", "a.key", "--tls-client-ca", "ca.pem"];
    expect(await told("--host", "0.0.0.0", ...tls)).toEqual([
      ["host", expect.stringContaining("no credential is configured")],
    ]);
    expect(await told("--host", "0.0.0.0", "--tokens", "tokens.json", ...tls)).toEqual([]);
  });
});
