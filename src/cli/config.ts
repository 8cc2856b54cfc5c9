/** `tagcast config check` and `tagcast config show` */
import { readTokenFile } from "../auth/token-file.ts";
import { flagHelp } from "../config/docs.ts";
import { type ResolvedConfig, resolveConfig } from "../config/load.ts";
import { ConfigError, suggestion } from "../config/problems.ts";
import { showJson, showText } from "../config/show.ts";
import { quoted } from "../config/values.ts";
import { TokenStoreError } from "../core/token-store.ts";
import { CertificateError, readCertificates } from "../gateway/certificates.ts";
import { exitCodes, renderHelp, UsageError, wantsHelp } from "./help.ts";
import type { CliIo } from "./io.ts";
import { certificateProblem } from "./serve.ts";

const verbs: Readonly<Record<string, (resolved: ResolvedConfig, json: boolean) => string>> = {
  check: ({ file }, json) =>
    json ? JSON.stringify({ valid: true, file }) : `The configuration is valid${file === null ? "" : ` (${file})`}.`,
  show: (resolved, json) => (json ? JSON.stringify(showJson(resolved), null, 2) : showText(resolved)),
};

const help = renderHelp({
  usage: ["config check [options]", "config show [options]"],
  about:
    "check reads the file, the environment and the flags as `serve` would, and tells every problem. show prints the values that hold and where each came from; secrets are hidden. Both take the flags of `serve`.",
  options: [["--json", "Print JSON."], ...flagHelp().map((row) => [row.flag, row.help] as const)],
  examples: ["tagcast config check --config tagcast.toml", "TAGCAST_PORT=9000 tagcast config show"],
});

/** @throws ConfigError (rejects) with all problems; with `--json` they are printed instead. */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  if (wantsHelp(argv)) {
    io.out(help);
    return exitCodes.ok;
  }
  const [verb = "", ...rest] = argv;
  const print = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
  if (print === undefined) {
    const what = verb === "" ? "say check or show" : `unknown command ${quoted(verb)}`;
    throw new UsageError(what + suggestion(verb, Object.keys(verbs)));
  }
  const flags = rest.filter((argument) => argument !== "--json");
  const json = flags.length < rest.length;
  try {
    const resolved = await resolveConfig({ argv: flags, env: io.env });
    await checkTokens(resolved);
    await checkTls(resolved);
    io.out(print(resolved, json));
    return exitCodes.ok;
  } catch (error) {
    if (!json || !(error instanceof ConfigError)) throw error;
    io.out(JSON.stringify({ valid: false, problems: error.problems }));
    return exitCodes.usage;
  }
}

/** The token file is read as `serve` would. @throws ConfigError (rejects) */
async function checkTokens({ config, origins }: ResolvedConfig): Promise<void> {
  if (config.tokens === null) return;
  try {
    await readTokenFile(config.tokens);
  } catch (error) {
    if (!(error instanceof TokenStoreError)) throw error;
    throw new ConfigError([{ key: "tokens", origin: origins.get("tokens") ?? "", message: error.message }]);
  }
}

/** Certificates are read as `serve` would. @throws ConfigError (rejects) */
async function checkTls(resolved: ResolvedConfig): Promise<void> {
  if (resolved.config.tlsCert.length === 0) return;
  try {
    await readCertificates(resolved.config);
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    throw certificateProblem(error, resolved);
  }
}
