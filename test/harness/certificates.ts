/** An authority for one test, and what it signs: by OpenSSL, so that what the server reads owes nothing to its own code. */
import { join } from "node:path";

/** Paths of PEM files. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export class Authority {
  readonly ca: string;
  readonly #directory: string;
  readonly #key: string;

  private constructor(directory: string, name: string) {
    this.#directory = directory;
    this.ca = join(directory, `${name}.pem`);
    this.#key = join(directory, `${name}.key`);
  }

  /** Its files are in `directory`. */
  static async create(directory: string, name = "ca"): Promise<Authority> {
    const authority = new Authority(directory, name);
    const subject = ["-subj", `/CN=${name}`, "-days", "400"];
    await openssl(["req", "-x509", ...newKey(authority.#key), ...subject, "-out", authority.ca]);
    return authority;
  }

  /** A certificate for these names (DNS names and addresses) in files of this name, over what was there. */
  async issue(file: string, names: readonly string[], days = 90): Promise<Pair> {
    const pair = { cert: join(this.#directory, `${file}.pem`), key: join(this.#directory, `${file}.key`) };
    const request = join(this.#directory, `${file}.csr`);
    const extensions = join(this.#directory, `${file}.ext`);
    const alternatives = names.map((name) => `${/^[\d.]+$|:/.test(name) ? "IP" : "DNS"}:${name}`);
    await Bun.write(extensions, `basicConstraints=CA:FALSE\nsubjectAltName=${alternatives.join(",")}\n`);
    await openssl(["req", ...newKey(pair.key), "-subj", `/CN=${file}`, "-out", request]);
    const signed = ["-CA", this.ca, "-CAkey", this.#key, "-CAcreateserial", "-extfile", extensions];
    await openssl(["x509", "-req", "-in", request, ...signed, "-days", String(days), "-out", pair.cert]);
    return pair;
  }

  /** The text of its own certificate. */
  text(): Promise<string> {
    return Bun.file(this.ca).text();
  }
}

function newKey(path: string): readonly string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", path];
}

/** What a run of OpenSSL printed. @throws Error (rejects) where it fails */
async function openssl(args: readonly string[]): Promise<string> {
  const { code, output } = await runOpenssl(args);
  if (code !== 0) throw new Error(`openssl ${args.join(" ")}: ${output}`);
  return output;
}

/** Runs it with `input`; both its streams as one text. */
export async function runOpenssl(
  args: readonly string[],
  input = "",
): Promise<{ readonly code: number; readonly output: string }> {
  const child = Bun.spawn(["openssl", ...args], { stdin: new Blob([input]), stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, output: `${out}\n${err}` };
}

export interface Handshake {
  readonly succeeded: boolean;
  /** Common name of what the server presented, or null. */
  readonly subject: string | null;
  readonly version: string | null;
  readonly output: string;
}

/** A handshake of OpenSSL's client, and a request for health behind it: with TLS 1.3 a client learns only then that it is refused. */
export async function shakeHands(port: number, ca: string, args: readonly string[] = []): Promise<Handshake> {
  const request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const place = ["-connect", `127.0.0.1:${port}`, "-CAfile", ca, "-ign_eof"];
  const { output } = await runOpenssl(["s_client", ...place, ...args], request);
  return {
    // Printed as it comes, also in the middle of a line about the session.
    succeeded: output.includes("HTTP/1.1 200 OK"),
    subject: /^subject=CN = (.+)$/m.exec(output)?.[1] ?? null,
    version: /^New, (TLSv[\d.]+),/m.exec(output)?.[1] ?? null,
    output,
  };
}
