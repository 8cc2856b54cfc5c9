/** Configuration from texts in place of files, and the problems it has. */
import { type ConfigSources, type ResolvedConfig, resolveConfig } from "../../src/config/load.ts";
import { ConfigError, type Problem } from "../../src/config/problems.ts";

export interface ConfigTexts {
  readonly argv?: readonly string[];
  readonly env?: ConfigSources["env"];
  /** Text of the file that `/etc/tagcast.toml` stands for; named by the environment. */
  readonly toml?: string;
  /** Other files by path. */
  readonly files?: Readonly<Record<string, string>>;
}

const path = "/etc/tagcast.toml";

export function resolve({ argv = [], env = {}, toml, files = {} }: ConfigTexts): Promise<ResolvedConfig> {
  const all: Readonly<Record<string, string>> = toml === undefined ? files : { ...files, [path]: toml };
  const readFile = async (name: string) => {
    const text = all[name];
    if (text === undefined) throw Object.assign(new Error("no such file or directory"), { code: "ENOENT" });
    return text;
  };
  return resolveConfig({ argv, env: toml === undefined ? env : { TAGCAST_CONFIG: path, ...env }, readFile });
}

/** The problems of a configuration; none where it is valid. */
export async function problemsOf(texts: ConfigTexts): Promise<readonly Problem[]> {
  try {
    await resolve(texts);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
