/**
 * Members of tags. Those that joined here are also kept here, so that an instance whose lease has expired, or which was cut
 * off, brings Redis up to date when it is back; then nothing needs to be refreshed for members that sit still.
 */
import { membersListedMax } from "../../core/presence.ts";
import type { ByteWriter } from "../../lib/byte-writer.ts";
import type { Member, Members } from "../broker.ts";
import type { Calls } from "./calls.ts";
import { Gathering } from "./gathering.ts";
import type { Place, Places } from "./keys.ts";
import { readMembers } from "./receiver.ts";
import { scripts } from "./scripts.ts";

const what = { join: 1, leave: 2, list: 3, end: 4 } as const;
/** Leaves remembered while Redis cannot be told of them; with more, all that it holds of this instance is given up. */
export const untoldMax = 16_384;
/** Members told at a time: more at once than may be on its way would be refused. */
const toldAtOnce = 1024;

interface Local {
  readonly place: Place;
  readonly members: Map<string, Member>;
}

export class MemberRegistry {
  readonly #places: Places;
  readonly #asking: Gathering;
  /** Tells Redis of a slot key before the incarnation has members there. */
  readonly #announceSlot: (slot: number) => Promise<void> | void;
  readonly #tags = new Map<string, Local>();
  /** Leaves that Redis may not know of. */
  #untold: { readonly place: Place; readonly member: Member }[] = [];
  #isObsolete = false;
  /** Whether Redis may not know of all members; how often it was begun to tell it of all. */
  #isBehind = false;
  #rounds = 0;
  #isTelling = false;
  #count = 0;
  #incarnation = "";

  constructor(calls: Calls, places: Places, announceSlot: (slot: number) => Promise<void> | void) {
    this.#places = places;
    this.#asking = new Gathering(calls, scripts.presence);
    this.#announceSlot = announceSlot;
  }

  /** Members of this instance. */
  get count(): number {
    return this.#count;
  }

  /** 8 ASCII characters: what the members belong to in Redis. */
  get incarnation(): string {
    return this.#incarnation;
  }

  /** Whether what Redis holds of the incarnation cannot be brought up to date: another one is to be begun, and this one ended. */
  get isObsolete(): boolean {
    return this.#isObsolete;
  }

  /** The members belong to another incarnation from now on, of which Redis knows nothing. */
  begin(incarnation: string): void {
    this.#incarnation = incarnation;
    this.#isObsolete = false;
    this.#isBehind = this.#count > 0;
    this.#untold = [];
  }

  async join(app: string, tag: string, member: Member): Promise<void> {
    const place = this.#places.of(app, tag);
    const key = `${app}\0${tag}`;
    let local = this.#tags.get(key);
    if (local === undefined) this.#tags.set(key, (local = { place, members: new Map() }));
    if (!local.members.has(identity(member))) this.#count++;
    local.members.set(identity(member), member);
    await this.#tellJoin(place, member);
  }

  async leave(app: string, tag: string, member: Member): Promise<void> {
    const place = this.#places.of(app, tag);
    const key = `${app}\0${tag}`;
    const local = this.#tags.get(key);
    if (local?.members.delete(identity(member))) this.#count--;
    if (local?.members.size === 0) this.#tags.delete(key);
    await this.#tellLeave(place, member);
  }

  async members(app: string, tag: string): Promise<Members> {
    const { head, slot } = this.#places.of(app, tag);
    const reply = (await this.#asking.ask(slot, (writer) => {
      writer.u8(what.list);
      writer.append(head);
      writer.u32(membersListedMax);
    })) as Buffer;
    const count = reply.readDoubleBE(8);
    const { members } = readMembers(reply, 16);
    return { version: reply.readDoubleBE(0), count, members: count > membersListedMax ? null : members };
  }

  /** Brings Redis up to date. Joins that it knows of change nothing. What cannot be told now is told by a later beat. */
  async retell(): Promise<void> {
    const round = ++this.#rounds;
    this.#isBehind = true;
    await this.#tellLeaves();
    let asked: Promise<void>[] = [];
    for (const { place, members } of this.#tags.values()) {
      for (const member of members.values()) {
        if (asked.push(this.#tellJoin(place, member)) < toldAtOnce) continue;
        await Promise.all(asked);
        asked = [];
      }
    }
    await Promise.all(asked);
    if (round === this.#rounds) this.#isBehind = false;
  }

  /** Each second while connected: tells what could not be told before. */
  async beat(): Promise<void> {
    if (this.#isTelling || this.#isObsolete) return;
    this.#isTelling = true;
    try {
      await (this.#isBehind ? this.retell() : this.#tellLeaves());
    } finally {
      this.#isTelling = false;
    }
  }

  async #tellLeaves(): Promise<void> {
    const untold = this.#untold;
    this.#untold = [];
    const gone = untold.filter(
      ({ place, member }) => !this.#tags.get(`${place.app}\0${place.tag}`)?.members.has(identity(member)),
    );
    await Promise.all(gone.map(({ place, member }) => this.#tellLeave(place, member)));
  }

  /** Takes all members of an incarnation out of a slot key, a number of tags at a time. */
  async end(incarnation: string, slot: number): Promise<void> {
    for (;;) {
      const more = await this.#asking.ask(slot, (writer) => {
        writer.u8(what.end);
        writer.u16(slot);
        writer.utf8(incarnation);
      });
      if (more !== 1) return;
    }
  }

  async #tellJoin(place: Place, member: Member): Promise<void> {
    const announced = this.#announceSlot(place.slot);
    if (announced) await announced;
    const { incarnation } = this;
    await this.#asking.ask(place.slot, (writer) => {
      writer.u8(what.join);
      this.#writeMember(writer, { place, member, incarnation });
      writer.u16(member.info === null ? 1 : 1 + member.info.length);
      writer.u8(member.info === null ? 0 : 1);
      if (member.info !== null) writer.append(member.info);
    });
  }

  async #tellLeave(place: Place, member: Member): Promise<void> {
    try {
      // Not before the join that it may follow.
      const announced = this.#announceSlot(place.slot);
      if (announced) await announced;
      const { incarnation } = this;
      await this.#asking.ask(place.slot, (writer) => {
        writer.u8(what.leave);
        this.#writeMember(writer, { place, member, incarnation });
      });
    } catch (error) {
      this.#remember(place, member);
      throw error;
    }
  }

  #remember(place: Place, member: Member): void {
    if (this.#isObsolete || this.#untold.push({ place, member }) <= untoldMax) return;
    this.#isObsolete = true;
    this.#untold = [];
  }

  #writeMember(
    writer: ByteWriter,
    { place, member, incarnation }: { place: Place; member: Member; incarnation: string },
  ): void {
    writer.append(place.head);
    writer.utf8(incarnation);
    writer.u16(Buffer.byteLength(member.client));
    writer.f64(member.generation);
    writer.utf8(member.client);
  }
}

function identity({ client, generation }: Member): string {
  return `${generation} ${client}`;
}
