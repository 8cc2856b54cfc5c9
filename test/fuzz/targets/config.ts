/**
 * The configuration. Input: `--` lines are flags, `TAGCAST_` lines variables, all others the file. Refused with problems,
 * or accepted; and one value means the same as a flag, as a variable and in the file.
 */
import { resolve as resolvePath } from "node:path";
import { optionRows, variableOf } from "../../../src/config/options.ts";
import { ConfigError } from "../../../src/config/problems.ts";
import { resolve } from "../../harness/config.ts";
import { read } from "../../harness/source-tree.ts";
import type { Target } from "../engine.ts";

const file = `[[tags]]
pattern = "log/#"
history = { size = 1000, ttl = "1h", bytes = "64MiB" }
retain = true
presence = true
delivery = "reliable"

[[keys]]
algorithm = "HS256"
secret = "a secret of thirty-two bytes or more"
key-id = "k"
issuer = "i"
audience = "a"

[applications.acme]
[[applications.acme.keys]]
algorithm = "EdDSA"
jwk = { kty = "OKP", crv = "Ed25519", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }
`;
const scalars = `host = "127.0.0.1"
port = 0
allowed-origins = ["https://a.example"]
admin-token = "0123456789abcdef"
clock-skew = "1.5s"
payload-max = "64KiB"
log-format = "json"
`;
const flags = `--port=8080
--payload-max=1MiB
--log-level=debug
--allowed-origins=https://a.example,http://b
TAGCAST_PING_INTERVAL=25s
TAGCAST_LOGS_MAX=1e5
`;
const keys = optionRows.map(([, { key }]) => key);
const encoder = new TextEncoder();

export const configTarget: Target = {
  name: "config",
  bytesMax: 1500,
  msMax: 500,
  words: [
    ...keys.flatMap((key) => [`\n${key} = `, `\n--${key}=`, `\n${variableOf(key)}=`]),
    ...["\n[[tags]]\n", "\n[[keys]]\n", "[applications.x]", '"', "'''", '"""', "[", "]", "{", "}", "=", ",", "\\u0000"],
    ...["pattern", "history", "size", "ttl", "jwk", "jwks-url", "public-key", "__proto__", "constructor"],
    ...["1979-05-27", "0x7fffffffffffffff", "inf", "nan", "1_0", "18446744073709551616", "250ms", "1.5h", "7d", "GiB"],
  ],
  async seeds() {
    const texts = [file, scalars, flags, scalars + flags + file, await read("examples/tagcast.toml")];
    return texts.map((text) => encoder.encode(text));
  },
  open: () => ({ run }),
};

async function run(input: Uint8Array): Promise<string> {
  const lines = Buffer.from(input).toString("utf8").split("\n");
  const argv = lines.filter((line) => line.startsWith("--"));
  const variables = lines.filter((line) => line.startsWith("TAGCAST_"));
  const toml = lines.filter((line) => !line.startsWith("--") && !line.startsWith("TAGCAST_")).join("\n");
  const env = Object.fromEntries(variables.map((line) => split(line)));
  const signs = [await outcome({ argv, env, toml })];
  for (const line of argv.slice(0, 3)) signs.push(await comparePlaces(...split(line.slice(2))));
  return signs.join(" ");
}

function split(line: string): [string, string] {
  const at = line.indexOf("=");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
}

/** Which values hold, or which problems there are. */
async function outcome(texts: Parameters<typeof resolve>[0]): Promise<string> {
  try {
    const { origins } = await resolve(texts);
    return [...origins].map(([key, origin]) => (origin === "default" ? "" : key[0])).join("");
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (error.problems.length === 0) throw new Error("Refused without a problem", { cause: error });
    const told = error.problems.map(({ key, message }) => {
      // oxlint-disable-next-line no-control-regex
      if (/[\u0000-\u001f\u007f-\u009f]/.test(message))
        throw new Error(`Control characters in a problem: ${message}`, { cause: error });
      return `${key.replace(/\d+/g, "#")}:${message.replace(/"(\\.|[^"\\])*"|\d+/g, "#").slice(0, 30)}`;
    });
    return [...new Set(told)].slice(0, 4).join(" ");
  }
}

/** `text` for an option as a flag, as a variable, and as a string in the file. */
async function comparePlaces(key: string, text: string): Promise<string> {
  const row = optionRows.find(([, option]) => option.key === key);
  if (row === undefined || text === "" || !text.isWellFormed() || text.includes("\0")) return "";
  const toml = `${key} = ${JSON.stringify(text).replaceAll("\u007f", "\\u007f")}`;
  const credential = key === "admin-token" ? [] : ["--admin-token=0123456789abcdef"];
  const places = [
    { argv: [...credential, `--${key}=${text}`] },
    { argv: credential, env: { [variableOf(key)]: text } },
    { argv: credential, toml },
  ];
  const values = await Promise.all(
    places.map(async (place) => {
      try {
        const { config } = await resolve(place);
        const value = config[row[0]];
        return JSON.stringify("path" in row[1] && typeof value === "string" ? resolvePath("/etc", value) : value);
      } catch (error) {
        if (error instanceof ConfigError) return "refused";
        throw error;
      }
    }),
  );
  if (new Set(values).size > 1) throw new Error(`${JSON.stringify([key, text])} differs: ${values.join(" ")}`);
  return `${key}${values[0] === "refused"}`;
}
