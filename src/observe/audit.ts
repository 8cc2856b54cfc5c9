/**
 * The audit log: who did what administrative thing, when, from where, with what result. Lines of JSON of its own, in a file or on
 * standard error, or among the lines of the log. Written in step: what was answered has been noted.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import type { Audit, AuditEntry } from "../core/audit.ts";
import type { Logger } from "../core/logger.ts";
import { createLogger } from "./logger.ts";
import type { LogDestination } from "./pretty.ts";

/** Stands for standard error where a path is expected. */
export const auditToStderr = "stderr";

export interface AuditOptions {
  /** Of the file; `auditToStderr`, or null: into `log`, as far as its level lets lines of level info through. */
  readonly path: string | null;
  readonly log: Logger;
}

/** Opens the file. @throws where that is not permitted */
export function openAudit(options: AuditOptions): AuditLog {
  return new AuditLog(options);
}

/** Close it after everything that notes. */
export class AuditLog implements Audit {
  readonly counts = { entries: 0, failures: 0 };
  readonly #log: Logger;
  readonly #lines: Logger;
  readonly #file: AppendedFile | null;

  /** Use `openAudit`. */
  constructor({ path, log }: AuditOptions) {
    this.#log = log;
    this.#file = path === null || path === auditToStderr ? null : new AppendedFile(path);
    const destination = this.#file === null ? {} : { destination: this.#file };
    this.#lines = path === null ? log : createLogger({ level: "info", format: "json", ...destination });
  }

  note(entry: AuditEntry): void {
    const fields = fieldsOf(entry);
    this.counts.entries++;
    try {
      this.#lines.info("audit", fields);
    } catch (error) {
      this.counts.failures++;
      // So that what was done is known somewhere.
      this.#log.error("audit log not written", {
        path: this.#file?.path ?? null,
        problem: String(error),
        entry: fields,
      });
    }
  }

  /** Opens the file anew by its name: who renamed it has all of it. Where that fails, the old one is written to. */
  reopen(): void {
    try {
      this.#file?.reopen();
    } catch (error) {
      this.counts.failures++;
      this.#log.error("audit log not opened anew", { path: this.#file?.path ?? null, problem: String(error) });
    }
  }

  close(): void {
    this.#file?.close();
  }
}

class AppendedFile implements LogDestination {
  readonly path: string;
  #fd: number;
  /** Whether a line was cut short: the next one begins a line of its own. */
  #torn = false;

  constructor(path: string) {
    this.path = path;
    this.#fd = open(path);
  }

  write(line: string): void {
    const bytes = Buffer.from(this.#torn ? `\n${line}` : line);
    this.#torn = true;
    for (let written = 0; written < bytes.length;) written += writeSync(this.#fd, bytes, written);
    this.#torn = false;
  }

  reopen(): void {
    const fd = open(this.path);
    closeSync(this.#fd);
    this.#fd = fd;
    this.#torn = false;
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/** Appended to by every writer; made for its owner alone. */
function open(path: string): number {
  return openSync(path, "a", 0o600);
}

function fieldsOf({ action, result, by, from, target, detail }: AuditEntry): Record<string, unknown> {
  const actor =
    by === null || typeof by === "string"
      ? { by }
      : { by: by.subject, app: by.app, tokenId: by.tokenId, ...(by.login !== null && { login: by.login.id }) };
  return {
    audit: true,
    action,
    result,
    ...actor,
    ...(from !== null && { from }),
    ...(target !== undefined && { target }),
    ...(detail !== undefined && { detail }),
  };
}
