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
  #count = 0;
  /** 8 ASCII characters: what the members belong to in Redis. */
  incarnation = "";

  constructor(calls: Calls, places: Places, announceSlot: (slot: number) => Promise<void> | void) {
    this.#places = places;
    this.#asking = new Gathering(calls, scripts.presence);
    this.#announceSlot = announceSlot;
  }

  /** Members of this instance. */
  get count(): number {
    return this.#count;
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

  /** Brings Redis up to date. Joins that it knows of change nothing. */
  async retell(): Promise<void> {
    const untold = this.#untold;
    this.#untold = [];
    const leaves = untold
      .filter(({ place, member }) => !this.#tags.get(`${place.app}\0${place.tag}`)?.members.has(identity(member)))
      .map(({ place, member }) => this.#tellLeave(place, member));
    const joins: Promise<void>[] = [];
    for (const { place, members } of this.#tags.values()) {
      for (const member of members.values()) joins.push(this.#tellJoin(place, member));
    }
    await Promise.all([...leaves, ...joins]);
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
      this.#untold.push({ place, member });
      throw error;
    }
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
