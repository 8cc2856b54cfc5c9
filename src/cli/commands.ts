/** The table of commands. Each is loaded only when it is called, so that `version` does not wait for the server's parts. */
import type { CliIo } from "./io.ts";

/** What the file of a command exports. The answer is the exit status; anything thrown is a failure that `run.ts` reports. */
export interface CommandModule {
  run(argv: readonly string[], io: CliIo): Promise<number>;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  load(): Promise<CommandModule>;
}

export const commandList: readonly Command[] = [
  { name: "serve", summary: "Run the server.", load: () => import("./serve.ts") },
  { name: "pub", summary: "Publish messages to a tag.", load: () => import("./pub.ts") },
  { name: "sub", summary: "Subscribe to patterns and print what arrives.", load: () => import("./sub.ts") },
  {
    name: "token",
    summary: "Create, list, edit, revoke managed tokens; sign and decode JWTs.",
    load: () => import("./token.ts"),
  },
  {
    name: "store",
    summary: "Check or compact the store of a server that is not running.",
    load: () => import("./store.ts"),
  },
  {
    name: "cluster",
    summary: "List the instances of a cluster, and what they have to do.",
    load: () => import("./cluster.ts"),
  },
  {
    name: "config",
    summary: "Check the configuration, or show what holds and why.",
    load: () => import("./config.ts"),
  },
  { name: "health", summary: "Ask a server whether it lives, or serves requests.", load: () => import("./health.ts") },
  { name: "version", summary: "Print the version.", load: () => import("./version.ts") },
];
