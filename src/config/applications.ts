/** The structured part of the file → applications: top-level `[[tags]]` and `[[keys]]` are those of `main`, others have a table each. */
import type { KeyConfig } from "../core/key-config.ts";
import { type ApplicationConfig, mainApplication } from "./config.ts";
import { type KeyReading, readKeys } from "./keys.ts";
import { type ProblemList, suggestion } from "./problems.ts";
import { readTags } from "./tags.ts";
import { isTable, quoted } from "./values.ts";

/** Keys of an `[applications.NAME]`. */
const sections = ["tags", "keys"];
const applicationsMax = 1024;

/** The applications of a parsed file (an empty table where there is none); always has `main`. */
export async function readApplications(
  file: Readonly<Record<string, unknown>>,
  origin: string,
  reading: KeyReading,
): Promise<Map<string, ApplicationConfig>> {
  const { problems } = reading;
  const applications = new Map<string, ApplicationConfig>();
  const read = async (name: string, table: Readonly<Record<string, unknown>>, prefix: string) => {
    const rules = readTags(table["tags"], { path: `${prefix}tags`, origin }, problems);
    const keys = await readKeys(table["keys"], { path: `${prefix}keys`, origin }, reading);
    applications.set(name, { name, rules, keys });
  };
  await read(mainApplication, file, "");
  for (const [name, table] of readNames(file["applications"], origin, problems)) {
    await read(name, table, `applications.${name}.`);
  }
  checkShared(applications, origin, problems);
  return applications;
}

function readNames(
  raw: unknown,
  origin: string,
  problems: ProblemList,
): (readonly [string, Readonly<Record<string, unknown>>])[] {
  if (raw === undefined) return [];
  if (!isTable(raw) || Object.keys(raw).length > applicationsMax) {
    problems.add(
      "applications",
      origin,
      `expected at most ${applicationsMax} tables, each begun by [applications.NAME]`,
    );
    return [];
  }
  const tables: (readonly [string, Readonly<Record<string, unknown>>])[] = [];
  for (const [name, table] of Object.entries(raw)) {
    const key = `applications.${name}`;
    if (!/^[a-z0-9-]{1,32}$/.test(name)) {
      problems.add(key, origin, `expected a name of 1 to 32 characters a-z, 0-9 and "-", got ${quoted(name)}`);
    } else if (name === mainApplication) {
      problems.add(
        key,
        origin,
        `${JSON.stringify(name)} is configured by [[tags]] and [[keys]] at the top of the file`,
      );
    } else if (!isTable(table)) {
      problems.add(key, origin, `expected a table, got ${quoted(table)}`);
    } else {
      for (const unknown of Object.keys(table).filter((section) => !sections.includes(section))) {
        problems.add(`${key}.${unknown}`, origin, `unknown key${suggestion(unknown, sections)}`);
      }
      tables.push([name, table]);
    }
  }
  return tables;
}

/** A token fixes its application by the key that verifies it: two applications that accept the same tokens are one too many. */
function checkShared(
  applications: ReadonlyMap<string, ApplicationConfig>,
  origin: string,
  problems: ProblemList,
): void {
  const owners = new Map<string, string>();
  for (const { name, keys } of applications.values()) {
    for (const key of keys) {
      const identity = identityOf(key);
      const owner = owners.get(identity) ?? name;
      owners.set(identity, owner);
      if (owner !== name) {
        const message = `has a key of application ${JSON.stringify(owner)} too: give it a key, issuer or audience of its own`;
        problems.add(`applications.${name}.keys`, origin, message);
      }
    }
  }
}

function identityOf({ secret, publicKey, jwk, jwksUrl, issuer, audience }: KeyConfig): string {
  return JSON.stringify([secret, publicKey, jwk, jwksUrl, issuer, audience]);
}
