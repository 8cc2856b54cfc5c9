/** What devices and consoles have in common: their tags, and what is said on them. */

/** Present is who is subscribed to it; the device's id is in `info`. */
export const presentTag = "devices/present";
/** Retained: the last state of each device. */
export const stateTag = (id: string) => `devices/${id}/state`;
/** Live only: a command for a device that is away is not carried out later. */
export const commandsTag = (id: string) => `devices/${id}/commands`;

export interface State {
  readonly on: boolean;
  /** Percent. */
  readonly brightness: number;
}

export interface Command {
  readonly name: string;
  readonly value?: unknown;
}

/** The answer to a command. */
export type Outcome = { readonly state: State } | { readonly error: string };
