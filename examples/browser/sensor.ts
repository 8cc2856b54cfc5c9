/** One sensor on the page: its two buttons, and what they start and end. */
import type { Client, Gap, Message, Subscription, TagcastError } from "tagcast/client";
import { Plot } from "./plot.ts";
import { format, readingOf } from "./reading.ts";

/** Messages shown at once when a sensor is subscribed to, where the token grants history. */
const lastWanted = 300;
/** The token does not grant it. */
const deniedCode = 103;

/** `paused`: the connection is lost, and will be made again. */
type Status = "off" | "asked" | "live" | "paused" | "refused";

export class Sensor {
  readonly tag: string;
  readonly element: HTMLElement;
  readonly #client: Client;
  readonly #plot: Plot;
  #subscription: Subscription | null = null;
  /** Offsets received, as ranges: one range as long as nothing is missing or doubled. */
  #offsets: [first: number, last: number][] = [];
  #received = 0;
  #missing = 0;

  constructor(tag: string, client: Client, template: HTMLTemplateElement) {
    this.tag = tag;
    this.#client = client;
    const [element] = (template.content.cloneNode(true) as DocumentFragment).children;
    this.element = element as HTMLElement;
    this.element.dataset["tag"] = tag;
    this.#part("h3").textContent = tag;
    this.#part("h3").title = tag;
    this.#part(".subscribe").addEventListener("click", () => this.subscribe());
    this.#part(".cancel").addEventListener("click", () => this.cancel());
    this.#plot = new Plot(this.#part(".plot"), (points) => (this.element.dataset["plotted"] = String(points)));
  }

  subscribe(): void {
    this.#received = this.#missing = 0;
    this.#offsets = [];
    this.#plot.clear();
    this.#count();
    this.#ask(lastWanted);
  }

  cancel(): void {
    const subscription = this.#subscription;
    this.#subscription = null;
    this.#show("off");
    void subscription?.unsubscribe();
  }

  /** The connection is lost: what comes now is what is missed, once it is there again. */
  pause(): void {
    if (this.#subscription !== null) this.#show("paused");
  }

  #ask(last: number): void {
    let subscription: Subscription;
    try {
      subscription = this.#client.subscribe(this.tag, last > 0 ? { last } : {}, (message) => this.#take(message));
    } catch (error) {
      return this.#show("refused", (error as TagcastError).message);
    }
    this.#subscription = subscription;
    this.#show("asked");
    subscription.on("active", () => this.#subscription === subscription && this.#show("live"));
    subscription.on("gap", (gap) => this.#miss(gap));
    void subscription.ended.then((error) => {
      if (this.#subscription !== subscription) return;
      this.#subscription = null;
      if (error === null) this.#show("off");
      else if (error.code === deniedCode && last > 0) this.#ask(0);
      else this.#show("refused", error.message);
    });
  }

  #take({ payload, offset }: Message): void {
    // A message that was on its way when Cancel was clicked.
    if (this.#subscription === null) return;
    this.#received++;
    const range = this.#offsets.at(-1);
    if (range && offset === range[1] + 1) range[1] = offset;
    else if (offset !== null) this.#offsets.push([offset, offset]);
    this.#count();
    const reading = readingOf(payload, Date.now());
    if (reading === null) return;
    this.#plot.add(reading);
    const [number, unit] = format(reading.value, reading.unit);
    this.#part("data").textContent = number;
    this.#part(".value small").textContent = unit;
  }

  #miss({ from, to, count }: Gap): void {
    this.#missing += from !== null && to !== null ? to - from + 1 : (count ?? 1);
    this.#count();
  }

  #count(): void {
    const { dataset } = this.element;
    dataset["received"] = String(this.#received);
    dataset["missing"] = String(this.#missing);
    dataset["offsets"] = this.#offsets.map((range) => range.join("-")).join(" ");
    const missing = this.#missing > 0 ? `, ${this.#missing} missing` : "";
    this.#part(".counts").textContent = `${this.#received} received${missing}`;
  }

  #show(status: Status, text: string = status): void {
    this.element.dataset["status"] = status;
    this.#part(".badge").textContent = text;
    const subscribed = this.#subscription !== null;
    (this.#part(".subscribe") as HTMLButtonElement).disabled = subscribed;
    (this.#part(".cancel") as HTMLButtonElement).disabled = !subscribed;
  }

  #part(selector: string): HTMLElement {
    return this.element.querySelector(selector) as HTMLElement;
  }
}
