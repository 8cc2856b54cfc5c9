/** The aliases that one connection was told of: in its publishes they stand for tags, and what it receives may name them. */
import { errors } from "../core/codes.ts";
import { ProtocolError } from "../core/errors.ts";
import type { ErrorCode } from "../core/codes.ts";
import type { Identity } from "../core/identity.ts";
import type { Alias } from "../hub/alias.ts";
import type { Hub } from "../hub/hub.ts";
import type { TagState } from "../hub/space.ts";
import type { Deliveries, Publisher } from "../hub/subscriber.ts";
import type { MessageView } from "../wire/frames.ts";
import type { Session } from "./session.ts";

/** Aliases of one connection. Tags beyond them go by their names. */
export const aliasesMax = 1024;

interface Known {
  readonly alias: Alias;
  /** Null: whether the grants allow to publish is to be looked at. */
  target: TagState | null;
}

export class Aliases {
  readonly #hub: Pick<Hub, "target">;
  readonly #byNumber = new Map<number, Known>();
  readonly #byTag = new Map<string, Alias>();

  constructor(hub: Pick<Hub, "target">) {
    this.#hub = hub;
  }

  /** The alias of a tag, which the client is told in the answer at hand; null: it has as many as it may. */
  give(state: TagState): Alias | null {
    const known = this.#byTag.get(state.tag);
    if (known !== undefined && (state.exact === null || known === state.alias)) return known;
    const { alias } = state;
    if (alias === null || this.#byNumber.size >= aliasesMax) return null;
    this.#byNumber.set(alias.number, { alias, target: null });
    this.#byTag.set(state.tag, alias);
    return alias;
  }

  /** The tag that a publish names by an alias. @throws ProtocolError `invalidTag`, `denied` */
  find(identity: Identity, number: number): TagState {
    const known = this.#byNumber.get(number);
    if (known === undefined) throw new ProtocolError(errors.invalidTag, "This connection was told of no such alias");
    if (known.target === null || known.target.forgotten) known.target = this.#hub.target(identity, known.alias.tag);
    return known.target;
  }

  /** The grants have changed. */
  forgetTargets(): void {
    for (const known of this.#byNumber.values()) known.target = null;
  }

  /** Deliveries of one subscription that name its tag by the alias; undefined: it has none. */
  deliveriesOf(pattern: string, frames: Deliveries): Deliveries | undefined {
    const alias = this.#byTag.get(pattern);
    return alias === undefined ? undefined : new AliasedDeliveries(alias, frames);
  }
}

/** What does not come from native topics. */
class AliasedDeliveries implements Deliveries {
  readonly #alias: Alias;
  readonly #frames: Deliveries;

  constructor(alias: Alias, frames: Deliveries) {
    this.#alias = alias;
    this.#frames = frames;
  }

  get lane(): Deliveries["lane"] {
    return this.#frames.lane;
  }

  get waiting(): number {
    return this.#frames.waiting;
  }

  message(view: MessageView): void {
    const { tag } = view;
    view.tag = this.#alias;
    this.#frames.message(view, null);
    view.tag = tag;
  }

  gap(...gap: Parameters<Deliveries["gap"]>): void {
    this.#frames.gap(...gap);
  }

  presence(...change: Parameters<Deliveries["presence"]>): void {
    this.#frames.presence(...change);
  }

  unsubscribed(...end: Parameters<Deliveries["unsubscribed"]>): void {
    this.#frames.unsubscribed(...end);
  }

  flush(): void {
    this.#frames.flush();
  }
}

/** Answers one publish that named its tag, with the alias by which the next may name it. */
export class AliasTeller implements Publisher {
  readonly identity: Publisher["identity"];
  readonly native: Publisher["native"];
  readonly pace: Publisher["pace"];
  readonly #session: Session;
  readonly #alias: number;

  constructor(session: Session, { number }: Alias) {
    this.identity = session.identity;
    this.native = session.native;
    this.pace = session.pace;
    this.#session = session;
    this.#alias = number;
  }

  done(ref: number): void {
    this.#session.answered(ref, { alias: this.#alias });
  }

  appended(ref: number, epoch: number, offset: number, repeated: boolean): void {
    const result = { position: [epoch, offset], alias: this.#alias };
    this.#session.answered(ref, repeated ? { ...result, repeated } : result);
  }

  refused(ref: number, code: ErrorCode): void {
    this.#session.refused(ref, code);
  }
}
