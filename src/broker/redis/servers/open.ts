/** Connecting to what an address names, whichever of the three it is. */
import type { RedisAddress } from "../../../core/redis-address.ts";
import { type Link, openLink, UnusableError } from "../connect.ts";
import { ClusterConnection, type ClusterParts } from "./cluster.ts";
import type { Connection } from "./connection.ts";
import { Sentinels } from "./sentinel.ts";
import { SingleServer, type Watch } from "./single.ts";

export class Servers {
  readonly #parts: ClusterParts;
  readonly #sentinels: Sentinels | null;
  /** Those that could not be used last go behind the others. */
  #urls: readonly string[];

  constructor({ urls, sentinel }: RedisAddress, parts: ClusterParts) {
    this.#parts = parts;
    this.#urls = urls;
    this.#sentinels = sentinel === null ? null : new Sentinels({ urls, sentinel });
  }

  /** @throws UnusableError where what is there cannot serve as it is; any Error where it cannot be reached */
  async connect(): Promise<Connection> {
    if (this.#sentinels !== null) return await this.#connectByName(this.#sentinels);
    let problem: unknown = null;
    for (const url of [...this.#urls]) {
      try {
        const link = await openLink(url);
        return await this.#use(link);
      } catch (error) {
        if (error instanceof UnusableError) throw error;
        problem = error;
        this.#urls = [...this.#urls.filter((other) => other !== url), url];
      }
    }
    throw problem;
  }

  async #use(link: Link): Promise<Connection> {
    if (link.identity.isClustered) return await ClusterConnection.open(link, this.#parts);
    return await single(link);
  }

  async #connectByName(sentinels: Sentinels): Promise<Connection> {
    const { url, watch } = await sentinels.find();
    try {
      const link = await openLink(url);
      if (link.identity.isClustered) {
        link.destroy();
        throw new UnusableError("The master that the Sentinels name is part of a Redis Cluster");
      }
      return await single(link, watch);
    } catch (error) {
      watch[Symbol.dispose]();
      throw error;
    }
  }
}

async function single(link: Link, watch: Watch | null = null): Promise<Connection> {
  try {
    return await SingleServer.open(link, watch);
  } catch (error) {
    link.destroy();
    throw error;
  }
}
