/** The file of managed tokens on disk: read and checked whole, written as a whole or not at all. */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, realpath, rename, stat, unlink } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { TokenStoreError } from "../core/token-store.ts";
import { ignoreMissing } from "./file-lock.ts";
import { problemsOf, stateSchema, type TokenState } from "./token-state.ts";

/** Larger files are refused: some 100,000 tokens. */
const fileBytesMax = 64 * 1024 ** 2;

export interface TokenFile {
  readonly state: TokenState;
  readonly signature: string;
}

/** Changes whenever the file does; null: there is no file. */
export async function signatureOf(path: string): Promise<string | null> {
  const status = await stat(path, { bigint: true }).catch(ignoreMissing);
  return status === undefined ? null : signature(status);
}

/**
 * The file's state, or null where there is no file.
 * @throws TokenStoreError `unavailable` where it cannot be read or is not a token file
 */
export async function readTokenFile(path: string): Promise<TokenFile | null> {
  try {
    const file = await open(path, constants.O_RDONLY).catch(ignoreMissing);
    if (file === undefined) return null;
    try {
      const status = await file.stat({ bigint: true });
      if (status.size > fileBytesMax) throw new Error(`It is larger than ${fileBytesMax} bytes`);
      return { state: parseState(await file.readFile("utf8")), signature: signature(status) };
    } finally {
      await file.close();
    }
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new TokenStoreError("unavailable", `Cannot use the token file "${path}": ${problem}`, { cause: error });
  }
}

/**
 * Replaces the file, mode 0600, so that a reader or a crash meets the old text or the new one. Only for who holds its
 * lock: what crashed writers left behind is removed. Returns the new file's signature.
 */
export async function writeTokenFile(path: string, state: TokenState): Promise<string | null> {
  const target = (await realpath(path).catch(ignoreMissing)) ?? resolve(path);
  const directory = dirname(target);
  await removeLeftOvers(directory, basename(target));
  const temporary = join(directory, `${basename(target)}.${process.pid}.tmp`);
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await keepOwner(file, target);
      await file.writeFile(`${JSON.stringify({ version: 1, ...state }, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await unlink(temporary).catch(ignoreMissing);
    throw new TokenStoreError("unavailable", `Cannot write the token file "${path}"`, { cause: error });
  }
  await syncDirectory(directory);
  return signatureOf(path);
}

/** @throws TokenStoreError `unavailable` */
export async function makeDirectoryOf(path: string): Promise<void> {
  try {
    await mkdir(dirname(resolve(path)), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new TokenStoreError("unavailable", `Cannot make the directory of "${path}"`, { cause: error });
  }
}

function parseState(text: string): TokenState {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new Error("It is not JSON", { cause: error });
  }
  const result = stateSchema.safeParse(json);
  if (!result.success) throw new Error(problemsOf(result.error));
  return result.data;
}

async function removeLeftOvers(directory: string, name: string): Promise<void> {
  for (const entry of await readdir(directory)) {
    const middle = entry.startsWith(`${name}.`) && entry.endsWith(".tmp") ? entry.slice(name.length + 1, -4) : "";
    if (/^\d+$/.test(middle)) await unlink(join(directory, entry)).catch(ignoreMissing);
  }
}

/** An edit by root leaves the file to the user whose server reads it. */
async function keepOwner(file: FileHandle, target: string): Promise<void> {
  const old = await stat(target).catch(ignoreMissing);
  if (old !== undefined && process.getuid?.() === 0) await file.chown(old.uid, old.gid);
}

/** The rename itself survives a power cut only once the directory is on disk. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function signature(status: { ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint }): string {
  return `${status.ino} ${status.size} ${status.mtimeNs} ${status.ctimeNs}`;
}
