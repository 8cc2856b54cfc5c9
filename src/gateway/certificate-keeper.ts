/**
 * The certificates of the port over time: follows their files, hands on what can be used, keeps what it has where
 * something else cannot, and says when one is about to expire.
 */
import type { Logger } from "../core/logger.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import {
  type Certificate,
  CertificateError,
  type Certificates,
  type CertificateSources,
  type CertificateTexts,
  checkCertificates,
  readCertificateTexts,
  type TlsOptions,
} from "./certificates.ts";

/** A change is taken up once two looks in a row have seen the same: by then a renewal has written all its files. */
export const lookEveryMs = 10_000;
const dayMs = 24 * 3_600_000;
/** From so long before its end on, a certificate is told of once a day. */
export const expiresSoonMs = 14 * dayMs;

export interface KeeperParts {
  readonly sources: CertificateSources;
  readonly clock: Clock;
  readonly log: Logger;
}

/** @throws CertificateError (rejects). Certificates that are not valid now are used all the same, and told. */
export async function openCertificateKeeper(parts: KeeperParts): Promise<CertificateKeeper> {
  const texts = await readCertificateTexts(parts.sources);
  return new CertificateKeeper(parts, await checkCertificates(texts, parts.sources), digestOf(texts));
}

export class CertificateKeeper {
  /** Changes of the files. */
  readonly counts = { taken: 0, refused: 0 };
  readonly #parts: KeeperParts;
  #current: Certificates;
  /** What was tried last, and what the last look saw. */
  #tried: string;
  #seen: string;
  #use: ((tls: TlsOptions) => void) | null = null;
  #timer: Timer | null = null;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  /** One look after another. */
  #looks: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor(parts: KeeperParts, current: Certificates, digest: string) {
    this.#parts = parts;
    this.#current = current;
    this.#tried = digest;
    this.#seen = digest;
    this.#warn();
    this.#tellExpiry();
  }

  get tls(): TlsOptions {
    return this.#current.tls;
  }

  /** Those that are served. */
  get certificates(): readonly Certificate[] {
    return this.#current.certificates;
  }

  /** Seconds until each is not valid any more, negative from then on. */
  *expiries(): Iterable<readonly [name: string, seconds: number]> {
    const now = this.#parts.clock.wallMs();
    for (const { names, path, validToMs } of this.certificates) yield [names[0] ?? path, (validToMs - now) / 1000];
  }

  /** From now on `use` is handed what the files come to hold; where it throws, what was before stays. */
  follow(use: (tls: TlsOptions) => void): void {
    this.#use = use;
    this.#timer = this.#parts.clock.every(lookEveryMs, () => {
      this.#tellExpiry();
      if (this.#waiting === 0) void this.look();
    });
  }

  /** Takes up what the files hold where the look before saw the same; settles once that is done, or refused and logged. */
  look(): Promise<void> {
    return this.#queue(false);
  }

  /** Takes up what the files hold now, without waiting until they rest. */
  reload(): Promise<void> {
    return this.#queue(true);
  }

  close(): void {
    this.#use = null;
    this.#timer?.cancel();
  }

  #queue(now: boolean): Promise<void> {
    this.#waiting++;
    this.#looks = this.#looks.then(() => this.#lookAt(now)).finally(() => this.#waiting--);
    return this.#looks;
  }

  async #lookAt(now: boolean): Promise<void> {
    const { sources, log } = this.#parts;
    let texts: CertificateTexts | CertificateError;
    try {
      texts = await readCertificateTexts(sources);
    } catch (error) {
      texts = error instanceof CertificateError ? error : new CertificateError("tls-cert", String(error), error);
    }
    const digest = digestOf(texts);
    const rests = digest === this.#seen;
    this.#seen = digest;
    if (digest === this.#tried) {
      if (now) log.info("certificates are as they were", { paths: sources.tlsCert });
      return;
    }
    if (!now && !rests) return;
    this.#tried = digest;
    try {
      if (texts instanceof CertificateError) throw texts;
      this.#take(await checkCertificates(texts, sources));
    } catch (error) {
      this.counts.refused++;
      const reason = error instanceof Error ? error.message : String(error);
      log.error("new certificates refused: those before stay", { reason });
    }
  }

  #take(next: Certificates): void {
    const now = this.#parts.clock.wallMs();
    for (const { path, validFromMs, validToMs } of next.certificates) {
      const dates = { from: new Date(validFromMs).toISOString(), to: new Date(validToMs).toISOString() };
      if (now < validFromMs || now >= validToMs) {
        throw new Error(`${JSON.stringify(path)} is valid from ${dates.from} to ${dates.to}, which is not now`);
      }
    }
    this.#use?.(next.tls);
    this.#current = next;
    this.counts.taken++;
    const names = next.certificates.flatMap((certificate) => certificate.names);
    this.#parts.log.info("new certificates taken up", { names });
    this.#warn();
    this.#toldAtMs = Number.NEGATIVE_INFINITY;
    this.#tellExpiry();
  }

  #warn(): void {
    for (const warning of this.#current.warnings)
      this.#parts.log.warn("certificates are used, but need a look", { warning });
  }

  /** Once a day. */
  #tellExpiry(): void {
    const { clock, log } = this.#parts;
    if (clock.monotonicMs() - this.#toldAtMs < dayMs) return;
    this.#toldAtMs = clock.monotonicMs();
    const now = clock.wallMs();
    for (const { path, names, validFromMs, validToMs } of this.certificates) {
      const fields = { path, names, validTo: new Date(validToMs).toISOString() };
      if (now >= validToMs) log.error("a certificate has expired: clients refuse it", fields);
      else if (now < validFromMs) {
        log.error("a certificate is not valid yet: is the clock right?", {
          ...fields,
          validFrom: new Date(validFromMs).toISOString(),
        });
      } else if (validToMs - now < expiresSoonMs) {
        log.warn("a certificate expires soon", { ...fields, days: Math.floor((validToMs - now) / dayMs) });
      }
    }
  }
}

/** Tells contents apart; a failure to read counts as one. */
function digestOf(texts: CertificateTexts | CertificateError): string {
  const text = texts instanceof CertificateError ? texts.message : JSON.stringify(texts);
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
