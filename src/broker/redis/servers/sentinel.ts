/** Sentinels: which server is the master, asked before connecting and each second after. */
import type { RedisAddress } from "../../../core/redis-address.ts";
import { type Link, openLink, UnusableError } from "../connect.ts";
import type { Watch } from "./single.ts";

type Sentinel = NonNullable<RedisAddress["sentinel"]>;

/** Sentinels that were asked without an answer go behind the others; kept from one connection to the next. */
export class Sentinels {
  readonly #sentinel: Sentinel;
  #urls: readonly string[];

  constructor({ urls, sentinel }: RedisAddress & { readonly sentinel: Sentinel }) {
    this.#urls = urls;
    this.#sentinel = sentinel;
  }

  /** The URL of the master, and a watch on it. @throws Error where no Sentinel says */
  async find(): Promise<{ url: string; watch: Watch }> {
    const { sentinel, url } = await this.#ask();
    let asked: Link | null = sentinel;
    let looking = false;
    const look = async () => {
      if (looking) return;
      looking = true;
      try {
        const { url: now, sentinel: other } = await this.#askAgain(asked);
        asked = other;
        if (now !== url) throw new MovedError("The Sentinels name another master");
      } catch (error) {
        // That none of them answers says nothing of the master.
        if (error instanceof MovedError) throw error;
        asked?.destroy();
        asked = null;
      } finally {
        looking = false;
      }
    };
    let isDisposed = false;
    const watch: Watch = {
      look: async () => {
        try {
          await look();
        } finally {
          if (isDisposed) asked?.destroy();
        }
      },
      [Symbol.dispose]: () => {
        isDisposed = true;
        asked?.destroy();
      },
    };
    return { url, watch };
  }

  async #askAgain(link: Link | null): Promise<{ sentinel: Link; url: string }> {
    if (link === null || link.isEnded) return await this.#ask();
    return { sentinel: link, url: await this.#masterOf(link) };
  }

  async #ask(): Promise<{ sentinel: Link; url: string }> {
    const problems: string[] = [];
    let isUnknown = true;
    for (const at of [...this.#urls]) {
      let sentinel: Link | null = null;
      try {
        sentinel = await openLink(at);
        return { sentinel, url: await this.#masterOf(sentinel) };
      } catch (error) {
        sentinel?.destroy();
        if (error instanceof UnusableError) throw error;
        if (!(error instanceof UnknownError)) isUnknown = false;
        problems.push(`${new URL(at).host}: ${error instanceof Error ? error.message : String(error)}`);
        this.#urls = [...this.#urls.filter((url) => url !== at), at];
      }
    }
    const problem = `No Sentinel names the master (${problems.join("; ")})`;
    throw isUnknown ? new UnusableError(problem) : new Error(problem);
  }

  async #masterOf(link: Link): Promise<string> {
    const { master, urlOf } = this.#sentinel;
    const answer = await link.send(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", master]);
    if (!Array.isArray(answer)) throw new UnknownError(`This Sentinel watches no master "${master}"`);
    return urlOf(String(answer[0]), Number(answer[1]));
  }
}

class UnknownError extends Error {
  override readonly name = "UnknownError";
}

class MovedError extends Error {
  override readonly name = "MovedError";
}
