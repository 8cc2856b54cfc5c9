/** Certificates of the port: read from their files, checked as a whole, and made into what the runtime takes. */
import { constants, createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { isIP } from "node:net";
import { createSecureContext } from "node:tls";
import type { TLSOptions } from "bun";

/** As the runtime takes them; the first is for clients that ask for none of the others' names. */
export type TlsOptions = readonly TLSOptions[];

/** Where they are, and what is asked of clients. */
export interface CertificateSources {
  /** At least one. */
  readonly tlsCert: readonly string[];
  /** As many. */
  readonly tlsKey: readonly string[];
  readonly tlsClientCa: string | null;
  readonly tlsMin: "1.2" | "1.3";
}

export interface Certificate {
  readonly path: string;
  /** DNS names and addresses it holds; the first names it in metrics and logs. */
  readonly names: readonly string[];
  /** Milliseconds since 1970. */
  readonly validFromMs: number;
  readonly validToMs: number;
}

export interface Certificates {
  readonly tls: TlsOptions;
  readonly certificates: readonly Certificate[];
  /** What does not hinder, but should be known. */
  readonly warnings: readonly string[];
}

/** Files that cannot be used. The message names the file and says what is to be done; it quotes nothing of a key. */
export class CertificateError extends Error {
  /** Key of the option that names the file. */
  readonly option: "tls-cert" | "tls-key" | "tls-client-ca";

  constructor(option: CertificateError["option"], message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "CertificateError";
    this.option = option;
  }
}

/** What the files hold. */
export interface CertificateTexts {
  readonly pairs: readonly { readonly certificate: string; readonly key: string }[];
  readonly clientCa: string | null;
}

/** @throws CertificateError (rejects) where a file cannot be read */
export async function readCertificateTexts(sources: CertificateSources): Promise<CertificateTexts> {
  const pairs = sources.tlsCert.map(async (path, i) => ({
    certificate: await read("tls-cert", path),
    key: await read("tls-key", sources.tlsKey[i] ?? ""),
  }));
  const clientCa = sources.tlsClientCa === null ? null : await read("tls-client-ca", sources.tlsClientCa);
  return { pairs: await Promise.all(pairs), clientCa };
}

/** Reads and checks them. @throws CertificateError (rejects) */
export async function readCertificates(sources: CertificateSources): Promise<Certificates> {
  return checkCertificates(await readCertificateTexts(sources), sources);
}

/** @throws CertificateError (rejects) where one cannot be used. One that is not valid now can be. */
export async function checkCertificates(texts: CertificateTexts, sources: CertificateSources): Promise<Certificates> {
  const { tlsMin, tlsClientCa } = sources;
  const common: TLSOptions = {
    ...(tlsMin === "1.3" && { secureOptions: olderThan13 }),
    ...(texts.clientCa !== null && { ca: texts.clientCa, requestCert: true, rejectUnauthorized: true }),
  };
  if (texts.clientCa !== null) checkClientCa(texts.clientCa, tlsClientCa ?? "");
  const certificates: Certificate[] = [];
  const warnings: string[] = [];
  const owners = new Map<string, TLSOptions>();
  let fallback: TLSOptions | null = null;
  for (const [i, { certificate, key }] of texts.pairs.entries()) {
    const [path = "", keyPath = ""] = [sources.tlsCert[i], sources.tlsKey[i]];
    const found = checkPair({ path, certificate, keyPath, key });
    certificates.push(found);
    const options = { ...common, cert: certificate, key };
    fallback ??= options;
    // Clients name no address.
    for (const name of found.names.filter((name) => !isIP(name))) {
      if (!owners.has(name)) owners.set(name, options);
      else
        warnings.push(
          `${JSON.stringify(name)} stands in two certificates: that in ${JSON.stringify(path)} is not used`,
        );
    }
    if (await isOpen(keyPath)) {
      warnings.push(`every user of this machine can read the key ${JSON.stringify(keyPath)}: chmod o= takes that away`);
    }
  }
  const tls: TLSOptions[] = fallback === null ? [] : [fallback];
  if (certificates.length > 1) for (const [serverName, options] of owners) tls.push({ ...options, serverName });
  return { tls, certificates, warnings };
}

const olderThan13 = constants.SSL_OP_NO_TLSv1 | constants.SSL_OP_NO_TLSv1_1 | constants.SSL_OP_NO_TLSv1_2;

interface Pair {
  readonly path: string;
  readonly certificate: string;
  readonly keyPath: string;
  readonly key: string;
}

/** @throws CertificateError */
function checkPair({ path, certificate, keyPath, key }: Pair): Certificate {
  const leaf = parse("tls-cert", path, certificate);
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch (error) {
    throw new CertificateError(
      "tls-key",
      `${JSON.stringify(keyPath)} holds no private key in PEM without a passphrase`,
      error,
    );
  }
  if (!leaf.checkPrivateKey(privateKey)) {
    const hint = "the file of a chain begins with the server's own certificate";
    const pair = `${JSON.stringify(keyPath)} is not the key of the first certificate in ${JSON.stringify(path)}`;
    throw new CertificateError("tls-key", `${pair}: give them in the same order; ${hint}`);
  }
  try {
    createSecureContext({ cert: certificate, key });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CertificateError("tls-cert", `${JSON.stringify(path)} cannot be used: ${reason}`, error);
  }
  return {
    path,
    names: namesOf(leaf, path),
    validFromMs: Date.parse(leaf.validFrom),
    validToMs: Date.parse(leaf.validTo),
  };
}

function checkClientCa(text: string, path: string): void {
  const { ca } = parse("tls-client-ca", path, text);
  if (!ca) {
    throw new CertificateError(
      "tls-client-ca",
      `the first certificate in ${JSON.stringify(path)} is that of no authority: name the file of the one that signs clients' certificates`,
    );
  }
}

function parse(option: CertificateError["option"], path: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw new CertificateError(option, `${JSON.stringify(path)} holds no certificate in PEM`, error);
  }
}

/** In lower case, DNS names first; without alternative names the common name, or the path. */
function namesOf(leaf: X509Certificate, path: string): readonly string[] {
  const listed = (kind: RegExp) =>
    [...(leaf.subjectAltName ?? "").matchAll(kind)].map(([, name = ""]) => name.toLowerCase());
  const names = [...listed(/\bDNS:([\w*.-]+)/g), ...listed(/\bIP Address:([\da-fA-F.:]+)/g)];
  if (names.length > 0) return [...new Set(names)];
  const common = /^CN=([\w*.-]+)$/m.exec(leaf.subject)?.[1];
  return [common?.toLowerCase() ?? path];
}

async function read(option: CertificateError["option"], path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const reason = code === "ENOENT" ? "no such file" : code === "EACCES" ? "permission denied" : String(error);
    throw new CertificateError(option, `cannot read ${JSON.stringify(path)}: ${reason}`, error);
  }
}

/** Whether everybody may read it. */
async function isOpen(path: string): Promise<boolean> {
  try {
    return ((await stat(path)).mode & 0o004) !== 0;
  } catch {
    // It was read: whatever is in the way now will be told when it is read again.
    return false;
  }
}
