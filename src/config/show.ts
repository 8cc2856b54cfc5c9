/** The effective configuration for people and for programs, without its secrets. */
import type { KeyConfig } from "../core/key-config.ts";
import type { TagRule } from "../core/tag-rule.ts";
import { printable } from "../lib/printable.ts";
import type { ResolvedConfig } from "./load.ts";
import { optionRows } from "./options.ts";
import { formatValue } from "./values.ts";

const hidden = "(hidden)";

/** `{file, options: {key: {value, source}}, applications: {name: {tags, keys}}}`; values in bytes and milliseconds. */
export function showJson({ config, origins, file }: ResolvedConfig): Readonly<Record<string, unknown>> {
  const options = optionRows.map(([field, option]) => {
    const value = option.secret && config[field] !== null ? hidden : config[field];
    return [option.key, { value, source: origins.get(option.key) }] as const;
  });
  const applications = [...config.applications.values()].map(
    ({ name, rules, keys }) => [name, { tags: rules, keys: keys.map(withoutSecrets) }] as const,
  );
  return { file, options: Object.fromEntries(options), applications: Object.fromEntries(applications) };
}

/** A line an option: key, value, source; then a block per application. */
export function showText({ config, origins }: ResolvedConfig): string {
  const cells = optionRows.map(([field, option]) => {
    const value = formatValue(option, config[field]);
    return [option.key, value === "" ? "(none)" : option.secret ? hidden : value, origins.get(option.key) ?? ""];
  });
  const widths = [0, 1].map((column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const lines = cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  "));
  for (const { name, rules, keys } of config.applications.values()) {
    lines.push("", `application ${name}: ${count(rules, "tag rule")}, ${count(keys, "key")}`);
    lines.push(...rules.map((rule) => `  tag ${ruleText(rule)}`), ...keys.map((key) => `  key ${keyText(key)}`));
  }
  return lines.map((line) => printable(line.trimEnd())).join("\n");
}

function withoutSecrets(key: KeyConfig): KeyConfig {
  return {
    ...key,
    ...(key.secret === undefined ? {} : { secret: hidden }),
    ...(key.jwk === undefined ? {} : { jwk: { kty: key.jwk["kty"], value: hidden } }),
  };
}

function ruleText({ pattern, history, retain, presence, delivery, local }: TagRule): string {
  const bounds = history === null ? [] : [`history ${history.size}`];
  if (history?.ttlMs !== undefined)
    bounds.push(`ttl ${formatValue({ kind: "duration", min: 0, max: 0 }, history.ttlMs)}`);
  if (history?.bytes !== undefined)
    bounds.push(`bytes ${formatValue({ kind: "size", min: 0, max: 0 }, history.bytes)}`);
  const flags = Object.entries({ retain, presence, local }).flatMap(([name, on]) => (on ? [name] : []));
  return [pattern, ...bounds, ...flags, `delivery ${delivery}`].join("  ");
}

function keyText({ algorithm, secret, publicKey, jwk, jwksUrl, keyId, issuer, audience }: KeyConfig): string {
  const parts = [algorithm, secret && `secret ${hidden}`, publicKey && "public-key", jwk && `jwk ${hidden}`];
  parts.push(jwksUrl && `jwks-url ${jwksUrl}`, keyId && `key-id ${keyId}`, issuer && `issuer ${issuer}`);
  parts.push(audience && `audience ${audience}`);
  return parts.filter((part) => part !== undefined).join("  ");
}

function count(items: readonly unknown[], word: string): string {
  return `${items.length} ${word}${items.length === 1 ? "" : "s"}`;
}
