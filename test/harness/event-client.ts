/**
 * A reader of Server-Sent Events made of `fetch` and the rules of the HTML standard alone, so that what it sees owes
 * nothing to the server's own code. It keeps every event in order and waits with a deadline.
 */
import { Conditions, deadlineMs, within } from "./deadline.ts";
import { adminToken } from "./server.ts";

export interface ServerEvent {
  readonly type: string;
  /** Parsed. */
  readonly data: Readonly<Record<string, unknown>>;
  /** As `EventSource` would tell it: the newest that was given so far. */
  readonly lastEventId: string;
}

export interface EventsOptions {
  /** Sent as a bearer; null: none. Default the admin token. */
  readonly token?: string | null;
  readonly lastEventId?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: Bun.TLSOptions;
}

export class EventClient implements AsyncDisposable {
  readonly response: Response;
  readonly events: ServerEvent[] = [];
  comments = 0;
  lastEventId = "";
  retryMs: number | null = null;
  /** Every line that came, as it came. */
  readonly lines: string[] = [];
  ended = false;
  readonly #abort: AbortController;
  readonly #conditions = new Conditions();
  #taken = 0;
  #rest = "";
  #type = "";
  #data: string[] = [];

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    void this.#read();
  }

  /** A stream that was opened; fails where the server refuses. */
  static async open(url: string, options: EventsOptions = {}): Promise<EventClient> {
    const abort = new AbortController();
    const response = await within(requestEvents(url, options, abort.signal), `an answer of ${url}`);
    if (response.status !== 200) throw new Error(`Refused: ${response.status} ${await response.text()}`);
    return new EventClient(response, abort);
  }

  /** Takes the next event that was not taken yet, of one type if named; waits for it. */
  next(type?: string, ms: number = deadlineMs): Promise<ServerEvent> {
    const look = () => {
      while (this.#taken < this.events.length) {
        const event = this.events[this.#taken++];
        if (event !== undefined && (type === undefined || event.type === type)) return event;
      }
      return undefined;
    };
    return this.#conditions.until(look, () => `an event ${type ?? ""}; ${this.#told()}`, ms);
  }

  /** Waits until `count` messages (of one tag, if named) have come; their data. */
  async messages(count: number, tag?: string, ms: number = deadlineMs): Promise<readonly ServerEvent["data"][]> {
    const all = () => this.of("message").filter((data) => (tag ?? data["tag"]) === data["tag"]);
    await this.until(() => all().length >= count, `${count} messages of ${tag ?? "any tag"}`, ms);
    return all();
  }

  /** Data of the events of one type that came. */
  of(type: string): readonly ServerEvent["data"][] {
    return this.events.filter((event) => event.type === type).map((event) => event.data);
  }

  async until(holds: () => boolean, what: string, ms: number = deadlineMs): Promise<void> {
    await this.#conditions.until(
      () => holds() || undefined,
      () => `${what}; ${this.#told()}`,
      ms,
    );
  }

  /** Waits until the server has ended the stream. */
  end(): Promise<void> {
    return this.until(() => this.ended, "the end of the stream");
  }

  close(): void {
    this.#abort.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.end();
  }

  async #read(): Promise<void> {
    try {
      for await (const chunk of this.response.body?.pipeThrough(new TextDecoderStream()) ?? []) this.#take(chunk);
    } catch {
      // Aborted by us, or cut off by the server.
    }
    this.ended = true;
    this.#conditions.check();
  }

  #take(chunk: string): void {
    const lines = (this.#rest + chunk).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
    this.#conditions.check();
  }

  #line(line: string): void {
    this.lines.push(line);
    if (line === "") return this.#dispatch();
    if (line.startsWith(":")) {
      this.comments++;
      return;
    }
    const [, field, value = ""] = /^([^:]*)(?::\s?(.*))?$/s.exec(line) ?? [];
    if (field === "event") this.#type = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id") this.lastEventId = value;
    else if (field === "retry") this.retryMs = Number(value);
  }

  #dispatch(): void {
    const type = this.#type || "message";
    const data = this.#data.join("\n");
    this.#type = "";
    this.#data = [];
    if (data === "") return;
    this.events.push({ type, data: JSON.parse(data) as ServerEvent["data"], lastEventId: this.lastEventId });
  }

  #told(): string {
    return `${this.events.length} came, the last: ${JSON.stringify(this.events.slice(-3)).slice(0, 600)}`;
  }
}

/** The answer to a request for a stream, whatever it is. */
export function requestEvents(url: string, options: EventsOptions = {}, signal?: AbortSignal): Promise<Response> {
  const { token = adminToken, lastEventId, headers, tls } = options;
  return fetch(url, {
    headers: {
      ...(token !== null && { authorization: `Bearer ${token}` }),
      ...(lastEventId !== undefined && { "last-event-id": lastEventId }),
      ...headers,
    },
    ...(signal && { signal }),
    ...(tls && { tls }),
  });
}
