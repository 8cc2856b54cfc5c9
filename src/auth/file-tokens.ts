/**
 * Managed tokens in a JSON file that several processes may edit: the server notices what others wrote and tells its
 * listener. Reads are answered from memory; edits take the file's lock, read it, and replace it.
 */
import { type FSWatcher, watch } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { Logger } from "../core/logger.ts";
import type {
  CreatedToken,
  Issued,
  ListedRevocation,
  ManagedToken,
  RevocationDraft,
  StoreChange,
  TokenDraft,
  TokenPatch,
  TokenStore,
} from "../core/token-store.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { withFileLock } from "./file-lock.ts";
import { makeDirectoryOf, readTokenFile, signatureOf, writeTokenFile } from "./token-file.ts";
import {
  creation,
  edition,
  listedRevocations,
  removal,
  revocationOf,
  type TokenEdit,
  withdrawal,
} from "./token-edits.ts";
import type { TokenState } from "./token-state.ts";
import { TokenTable } from "./token-table.ts";

/** The file is looked at this often, for file systems that send no events. */
export const pollIntervalMs = 2_000;

export interface FileTokensOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether to follow what others write; default true. A command that ends at once does not. */
  readonly follow?: boolean;
  /** Called with what other processes wrote: the state before, and the one that holds now. */
  readonly onForeignEdit?: (before: TokenState, after: TokenState) => void;
  /** How long an edit waits for others; milliseconds, default 5,000. */
  readonly lockWaitMs?: number;
}

/** The file of managed tokens that belongs to a store of logs: apart from it, so that damage to logs neither locks out nor lets in. */
export function tokensBeside(store: string): string {
  return `${store}.tokens`;
}

/**
 * Loads the file; a missing one is an empty store and is created at the first edit.
 * @throws (rejects with) TokenStoreError `unavailable` where the file cannot be read or is not a token file
 */
export async function openFileTokens(options: FileTokensOptions): Promise<FileTokens> {
  const store = new FileTokens(options);
  await store.load();
  if (options.follow ?? true) store.follow();
  return store;
}

/** Close it to stop following the file. */
export class FileTokens implements TokenStore {
  readonly #options: FileTokensOptions;
  readonly #table = new TokenTable();
  /** Of the file as last looked at, good or broken; null: no file. */
  #signature: string | null = null;
  /** Loads and edits, one after the other: an older read never overwrites a newer edit. */
  #work: Promise<unknown> = Promise.resolve();
  #checkQueued = false;
  #watcher: FSWatcher | null = null;
  #poll: Timer | null = null;

  /** Use `openFileTokens`. */
  constructor(options: FileTokensOptions) {
    this.#options = options;
  }

  find(secretHash: string): ManagedToken | null {
    return this.#table.find(secretHash);
  }

  list(): readonly ManagedToken[] {
    return this.#table.state.tokens;
  }

  isRevoked(issued: Issued): boolean {
    return this.#table.isRevoked(issued);
  }

  onChange(listener: (change: StoreChange) => void): void {
    this.#table.onChange(listener);
  }

  create(draft: TokenDraft): Promise<CreatedToken> {
    return this.#edit(creation(draft));
  }

  edit(id: string, patch: TokenPatch): Promise<ManagedToken | null> {
    return this.#edit(edition(id, patch));
  }

  revoke(id: string): Promise<ManagedToken | null> {
    return this.#edit(removal(id));
  }

  revokeIssued(draft: RevocationDraft): Promise<ListedRevocation> {
    return this.#edit(revocationOf(draft));
  }

  revocations(): readonly ListedRevocation[] {
    return listedRevocations(this.#table.state, this.#options.clock.wallMs());
  }

  withdraw(id: string): Promise<ListedRevocation | null> {
    return this.#edit(withdrawal(id));
  }

  /** Reads the file. Only for `openFileTokens`. */
  async load(): Promise<void> {
    const file = await readTokenFile(this.#options.path);
    if (file === null) return;
    this.#signature = file.signature;
    this.#table.replace(file.state);
  }

  /** Begins to follow the file. Only for `openFileTokens`. */
  follow(): void {
    this.#poll = this.#options.clock.every(pollIntervalMs, () => {
      this.#watch();
      this.check();
    });
    this.#watch();
    // What was written between loading and watching sent no event.
    this.check();
  }

  /** Looks whether the file changed, soon; what it says is taken over, and a broken or missing file is ignored and logged. */
  check(): void {
    if (this.#checkQueued) return;
    this.#checkQueued = true;
    void this.#queue(async () => {
      this.#checkQueued = false;
      await this.#reload();
    }).catch((error: unknown) => this.#options.logger.error("token file not checked", { problem: String(error) }));
  }

  /** Settles once what was begun before is done. */
  async settled(): Promise<void> {
    await this.#queue(async () => {});
  }

  /** Stops following the file; edits begun are finished. */
  async close(): Promise<void> {
    this.#poll?.cancel();
    this.#watcher?.close();
    this.#poll = null;
    this.#watcher = null;
    await this.settled();
  }

  #queue<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#work.then(run);
    this.#work = result.catch(() => {});
    return result;
  }

  #edit<T>(edit: TokenEdit<T>): Promise<T> {
    const { path, clock, lockWaitMs } = this.#options;
    return this.#queue(async () => {
      await makeDirectoryOf(path);
      return withFileLock(path, { clock, waitMs: lockWaitMs }, async () => {
        // Where the file was taken away under a running server, what it knows is written back with the edit.
        const known = this.#table.state;
        const before = (await readTokenFile(path))?.state ?? known;
        const [next, result] = edit(before, clock.wallMs());
        if (next !== before) this.#signature = await writeTokenFile(path, next);
        this.#table.replace(next);
        if (before !== known) this.#options.onForeignEdit?.(known, before);
        return result;
      });
    });
  }

  async #reload(): Promise<void> {
    const { path, logger } = this.#options;
    const signature = await signatureOf(path);
    if (signature === this.#signature) return;
    this.#signature = signature;
    try {
      const file = await readTokenFile(path);
      if (file === null) {
        logger.error("token file is gone, its tokens stay valid until there is one again", { path });
        return;
      }
      this.#signature = file.signature;
      const known = this.#table.state;
      this.#table.replace(file.state);
      this.#options.onForeignEdit?.(known, file.state);
      logger.info("token file loaded", { path, tokens: file.state.tokens.length });
    } catch (error) {
      logger.error("token file is broken, the last good state holds", { path, problem: String(error) });
    }
  }

  /** Watches the directory: a replaced file is another file, of which a watch on the old one would not hear. */
  #watch(): void {
    if (this.#watcher !== null) return;
    const { path, logger } = this.#options;
    const name = basename(path);
    try {
      const watcher = watch(dirname(resolve(path)), { persistent: false }, (_, changed) => {
        if (changed === null || changed === name) this.check();
      });
      watcher.on("error", (error) => {
        logger.debug("token file is polled, events failed", { path, problem: String(error) });
        watcher.close();
        if (this.#watcher === watcher) this.#watcher = null;
      });
      this.#watcher = watcher;
    } catch (error) {
      logger.debug("token file is polled, events are not to be had", { path, problem: String(error) });
    }
  }
}
