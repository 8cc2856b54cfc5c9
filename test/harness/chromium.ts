/** Debian's Chromium with a profile of its own, and what a page of it complained of. */
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { scratchDirectory } from "./server.ts";

const chromiumPath = "/usr/bin/chromium";
/** As root, on a machine without a screen, and without a word to hosts elsewhere. */
const chromiumArguments = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser is many processes; this is still less than the runner's own limit. */
const deadlineMs = 10_000;

export class Chromium implements AsyncDisposable {
  readonly page: Page;
  /** Exceptions and errors on the console. */
  readonly complaints: string[] = [];
  /** URLs that the page asked for. */
  readonly requested: string[] = [];
  readonly #context: BrowserContext;
  readonly #profile: Disposable;

  private constructor(context: BrowserContext, page: Page, profile: Disposable) {
    this.#context = context;
    this.#profile = profile;
    this.page = page;
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => message.type() === "error" && this.complaints.push(message.text()));
    page.on("request", (request) => this.requested.push(request.url()));
    page.on("websocket", (socket) => this.requested.push(socket.url()));
  }

  static async open(): Promise<Chromium> {
    const profile = scratchDirectory();
    const context = await chromium.launchPersistentContext(join(profile.path, "profile"), {
      executablePath: chromiumPath,
      headless: true,
      args: chromiumArguments,
    });
    context.setDefaultTimeout(deadlineMs);
    return new Chromium(context, context.pages()[0] ?? (await context.newPage()), profile);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    this.#profile[Symbol.dispose]();
  }
}
