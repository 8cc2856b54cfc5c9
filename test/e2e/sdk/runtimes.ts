/** The runtimes of the matrix, each started once: it runs the scenarios it is told to. */
import { join } from "node:path";
import { chromium } from "playwright-core";
import { scratchDirectory } from "../../harness/server.ts";
import { root } from "../../harness/source-tree.ts";
import { Controller } from "./controller.ts";

const folder = join(root, "test/e2e/sdk");
const nodePath = join(root, "node_modules/node/bin/node");
const chromiumPath = "/usr/bin/chromium";
/** Headless on a machine without a screen, as root, and without a word to hosts elsewhere. */
const chromiumArguments = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export interface Runtime extends AsyncDisposable {
  /** Runs a scenario. @throws where it fails, or where the runtime complained of anything */
  run(scenario: string): Promise<void>;
}

export const runtimes = { Bun: startBun, "Node 22": startNode, Chromium: startChromium };

/** What a runtime needs beside its program. */
interface Started {
  /** What it complained of since it was asked last. */
  readonly complaints: () => string;
  readonly stop: () => Promise<unknown>;
}

function startBun(): Promise<Runtime> {
  return start(null, (controller) =>
    Promise.resolve(startProgram([process.execPath, join(folder, "in-process.ts"), controller.url])),
  );
}

function startNode(): Promise<Runtime> {
  return start(null, async (controller, scratch) => {
    const script = join(scratch, "in-process.mjs");
    await Bun.write(script, await bundle("in-process.ts", "node"));
    return startProgram([nodePath, script, controller.url]);
  });
}

function startChromium(): Promise<Runtime> {
  return start("in-page.ts", async (controller, scratch) => {
    const browser = await chromium.launchPersistentContext(join(scratch, "profile"), {
      executablePath: chromiumPath,
      headless: true,
      args: chromiumArguments,
    });
    const errors: string[] = [];
    const page = await browser.newPage();
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(controller.pageUrl);
    return { complaints: () => errors.splice(0).join("\n"), stop: () => browser.close() };
  });
}

async function start(
  page: string | null,
  begin: (controller: Controller, scratch: string) => Promise<Started>,
): Promise<Runtime> {
  const scratch = scratchDirectory();
  const script = page === null ? new Blob() : await bundle(page, "browser");
  const controller = await Controller.start(script, join(scratch.path, "tagcast.toml"));
  const connected = controller.peer();
  const [started, peer] = await Promise.all([begin(controller, scratch.path), connected]);
  return {
    async run(scenario) {
      const error = await peer.run(scenario).catch((thrown: unknown) => `${String(thrown)}\n${started.complaints()}`);
      const complaints = started.complaints();
      if (error !== null || complaints !== "") throw new Error(`${error ?? "The scenario passed, but"}\n${complaints}`);
    },
    async [Symbol.asyncDispose]() {
      await controller[Symbol.asyncDispose]();
      await started.stop();
      scratch[Symbol.dispose]();
    },
  };
}

async function bundle(entry: string, target: "browser" | "node"): Promise<Blob> {
  const { outputs } = await Bun.build({ entrypoints: [join(folder, entry)], target, format: "esm" });
  const [output] = outputs;
  if (output === undefined) throw new Error(`${entry} was not bundled`);
  return output;
}

/** A process that ends by itself when the controller is gone. */
function startProgram(command: readonly string[]): Started {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  let stderr = "";
  const kept = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) stderr += decoder.decode(chunk, { stream: true });
  })();
  return {
    complaints() {
      const told = stderr;
      stderr = "";
      return told;
    },
    stop: () => Promise.all([child.exited, kept]),
  };
}
