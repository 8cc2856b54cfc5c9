import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import {
  CertificateError,
  type CertificateSources,
  readCertificates,
  type TlsOptions,
} from "../../../src/gateway/certificates.ts";
import { Authority, type Pair, runOpenssl } from "../../harness/certificates.ts";
import { scratchDirectory } from "../../harness/server.ts";

const place = scratchDirectory();
let authority: Authority;
let a: Pair;
let b: Pair;

beforeAll(async () => {
  authority = await Authority.create(place.path);
  a = await authority.issue("a", ["A.test", "*.a.test", "127.0.0.1"]);
  b = await authority.issue("b", ["b.test", "a.test"]);
});
afterAll(() => place[Symbol.dispose]());

const sources = (pairs: readonly Pair[], more: Partial<CertificateSources> = {}): CertificateSources => ({
  tlsCert: pairs.map(({ cert }) => cert),
  tlsKey: pairs.map(({ key }) => key),
  tlsClientCa: null,
  tlsMin: "1.2",
  ...more,
});

async function problemOf(wrong: CertificateSources): Promise<readonly [string, string]> {
  try {
    await readCertificates(wrong);
  } catch (error) {
    if (error instanceof CertificateError) return [error.option, error.message.replaceAll(place.path, "")];
    throw error;
  }
  throw new Error("Nothing was wrong");
}

const namesIn = (tls: TlsOptions) => tls.map(({ serverName }) => serverName);

describe("readCertificates()", () => {
  test("one certificate is for whatever name is asked", async () => {
    const { tls, certificates, warnings } = await readCertificates(sources([a]));
    expect(namesIn(tls)).toEqual([undefined]);
    expect(certificates).toMatchObject([{ path: a.cert, names: ["a.test", "*.a.test", "127.0.0.1"] }]);
    expect(warnings).toEqual([]);
  });

  test("of several the first that holds a name is for it, and the first of all for every other", async () => {
    const { tls, warnings } = await readCertificates(sources([a, b]));
    expect(namesIn(tls)).toEqual([undefined, "a.test", "*.a.test", "b.test"]);
    const texts = await Promise.all([a, a, a, b].map(({ cert }) => Bun.file(cert).text()));
    expect(tls.map(({ cert }) => cert)).toEqual(texts);
    expect(warnings).toEqual([`"a.test" stands in two certificates: that in ${JSON.stringify(b.cert)} is not used`]);
  });

  test("tells from when to when one is valid", async () => {
    const [found] = (await readCertificates(sources([a]))).certificates;
    const days = ((found?.validToMs ?? 0) - (found?.validFromMs ?? 0)) / (24 * 3_600_000);
    expect(Math.round(days)).toBe(90);
    expect(Math.abs((found?.validFromMs ?? 0) - Date.now())).toBeLessThan(3_600_000);
  });

  test("every name of the port asks for client certificates where one does", async () => {
    const { tls } = await readCertificates(sources([a, b], { tlsClientCa: authority.ca }));
    const ca = await authority.text();
    expect(tls.length).toBe(4);
    for (const options of tls) expect(options).toMatchObject({ ca, requestCert: true, rejectUnauthorized: true });
  });

  test("a key that every user can read is told, and used", async () => {
    const open = await authority.issue("open", ["open.test"]);
    chmodSync(open.key, 0o644);
    const { warnings } = await readCertificates(sources([open]));
    expect(warnings).toEqual([
      `every user of this machine can read the key ${JSON.stringify(open.key)}: chmod o= takes that away`,
    ]);
  });

  test("a file that is not there, or holds something else, is named with what was expected", async () => {
    const none = join(place.path, "none.pem");
    expect(await problemOf(sources([{ cert: none, key: a.key }]))).toEqual([
      "tls-cert",
      'cannot read "/none.pem": no such file',
    ]);
    expect(await problemOf(sources([{ cert: a.cert, key: place.path }]))).toEqual([
      "tls-key",
      expect.stringContaining("cannot read"),
    ]);
    expect(await problemOf(sources([{ cert: a.key, key: a.key }]))).toEqual([
      "tls-cert",
      '"/a.key" holds no certificate in PEM',
    ]);
    expect(await problemOf(sources([{ cert: a.cert, key: a.cert }]))).toEqual([
      "tls-key",
      '"/a.pem" holds no private key in PEM without a passphrase',
    ]);
  });

  test("a key with a passphrase is refused, and nothing of it told", async () => {
    const locked = join(place.path, "locked.key");
    await runOpenssl(["ec", "-in", a.key, "-aes256", "-passout", "pass:secret", "-out", locked]);
    expect(await problemOf(sources([{ cert: a.cert, key: locked }]))).toEqual([
      "tls-key",
      '"/locked.key" holds no private key in PEM without a passphrase',
    ]);
  });

  test("the key of another certificate is refused, and so is a chain in the wrong order", async () => {
    const [option, message] = await problemOf(sources([{ cert: a.cert, key: b.key }]));
    expect(option).toBe("tls-key");
    expect(message).toStartWith(
      '"/b.key" is not the key of the first certificate in "/a.pem": give them in the same order',
    );
    const chain = join(place.path, "chain.pem");
    await Bun.write(chain, `${await authority.text()}${await Bun.file(a.cert).text()}`);
    expect(await problemOf(sources([{ cert: chain, key: a.key }]))).toEqual([
      "tls-key",
      expect.stringContaining("begins with the server's own"),
    ]);
  });

  test("what signs no certificates is no authority of clients", async () => {
    expect(await problemOf(sources([a], { tlsClientCa: b.cert }))).toEqual([
      "tls-client-ca",
      expect.stringContaining('the first certificate in "/b.pem" is that of no authority'),
    ]);
  });
});
